"""The loop from coarse to fine: what it reports, how it stops, goes on and repeats itself to the bit."""

import dataclasses
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from styletransfer.errors import Cancelled, ImageError, RecordError
from styletransfer.network.vgg_weights import Weights, random_weights
from styletransfer.pictures.picture import Picture
from styletransfer.settings import Settings
from styletransfer.transfer.report import ScaleReport
from styletransfer.transfer.schedule import Work
from styletransfer.transfer.state import State
from styletransfer.transfer.stylizer import Progress, Stylizer
from tests.networks import shallow_network
from tests.reference.objective import reference_stylizer

QUICK: dict[str, Any] = {
    "end_scale": 24,
    "min_scale": 16,
    "initial_iterations": 4,
    "iterations": 3,
    "content_layers": ("relu2_1",),
    "style_layers": {"relu1_1": 1, "relu2_1": 1},
}
"""Two scales, 17 and 24 px, seven iterations, up to relu2_1: some hundredths of a second."""

ITERATIONS = 7


def random_picture(seed: int, width: int, height: int) -> Picture:
    return Picture(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8))


CONTENT = random_picture(0, 30, 20)
STYLES = [random_picture(1, 26, 40), random_picture(2, 19, 12)]


def weights() -> Weights:
    return Weights("shallow", "shallow", shallow_network("relu2_1"))


def make_stylizer(**values: Any) -> Stylizer:
    return Stylizer(weights(), Settings.model_validate(QUICK | values))


def render(stylizer: Stylizer, style_weights: tuple[float, ...] = (1, 2), **options: Any) -> Tensor:
    return stylizer.run(CONTENT, STYLES, style_weights, **options)


def progress_of(stylizer: Stylizer) -> list[Progress]:
    seen: list[Progress] = []
    render(stylizer, callback=seen.append)
    return seen


class StopError(Exception):
    """What a callback of the tests raises."""


def stop_after(count: int):
    """A callback that stops at its `count`-th call."""
    seen = []

    def callback(progress):
        seen.append(progress)
        if len(seen) == count:
            raise StopError

    return callback


# The picture


@pytest.mark.parametrize(("precision", "dtype"), [("auto", torch.float32), ("float64", torch.float64)])
def test_the_result_is_a_picture_at_the_end_scale(precision, dtype):
    found = render(make_stylizer(precision=precision))
    assert (found.shape, found.dtype, found.device.type) == ((1, 3, 16, 24), dtype, "cpu")
    assert found.min() >= 0
    assert found.max() <= 1


@pytest.mark.parametrize("init", ["content", "uniform"])
@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_the_same_inputs_give_the_same_bits(optimizer, init):
    chosen = {"optimizer": optimizer, "init": init, "seed": 5}
    one, other = make_stylizer(**chosen), make_stylizer(**chosen)
    first = render(one)
    assert torch.equal(render(other), first)
    assert torch.equal(render(one), first)  # nothing is left over from the run before


@pytest.mark.parametrize("init", ["gray", "uniform", "normal", "style_stats"])
def test_only_the_seed_decides_a_random_start(init):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        before = torch.get_rng_state()
        first = render(make_stylizer(init=init))
        assert torch.equal(torch.get_rng_state(), before)
        torch.manual_seed(2)
        assert torch.equal(render(make_stylizer(init=init)), first)
    assert not torch.equal(render(make_stylizer(init=init, seed=1)), first)


def test_only_the_proportions_of_style_weights_count():
    # Powers of two: the shares are the same to the last bit.
    assert torch.equal(render(make_stylizer(), (1, 3)), render(make_stylizer(), (4, 12)))
    assert not torch.equal(render(make_stylizer(), (1, 3)), render(make_stylizer(), (3, 1)))


def test_two_devices_give_the_same_bits_as_one():
    two = Stylizer(weights(), Settings.model_validate(QUICK), devices=("cpu", "cpu"))
    assert torch.equal(render(two), render(make_stylizer()))


def test_the_reference_gives_the_same_picture():
    chosen = Settings.model_validate(QUICK | {"precision": "float64"})
    torch.testing.assert_close(
        render(reference_stylizer(weights().tensors, chosen)),
        render(make_stylizer(precision="float64")),
        rtol=0,
        atol=1e-7,  # Adam divides gradients by their size, so it also enlarges the rounding of the smallest
    )


def test_the_picture_comes_closer_to_its_aim():
    totals: list[float] = []
    render(make_stylizer(), callback=lambda progress: totals.append(progress.losses()["total"]))
    first_scale, second_scale = totals[:4], totals[4:]
    assert first_scale == sorted(first_scale, reverse=True)
    assert second_scale == sorted(second_scale, reverse=True)


def test_without_an_average_the_result_is_the_last_iterate():
    images: list[Tensor] = []
    found = render(make_stylizer(avg_decay=0), callback=lambda progress: images.append(progress.state().image))
    assert torch.equal(found, images[-1])


def test_with_a_moving_average_the_result_is_not():
    images: list[Tensor] = []
    found = render(make_stylizer(), callback=lambda progress: images.append(progress.state().image))
    assert not torch.equal(found, images[-1])


# Sizes


def sizes_of_styles(**values: Any) -> list[tuple[int, int]]:
    """Width and height at which each style is measured, in order; the real objective does the measuring."""
    stylizer, sizes = make_stylizer(**values), []
    measure = stylizer.objective.style_moments

    def style_moments(style):
        sizes.append((style.shape[3], style.shape[2]))
        return measure(style)

    stylizer.objective.style_moments = style_moments  # type: ignore[method-assign]
    render(stylizer)
    return sizes


@pytest.mark.parametrize(
    ("values", "sizes"),
    [
        # Each scale: the 26 x 40 style, then the 19 x 12 one.
        ({}, [(11, 17), (17, 11), (16, 24), (19, 12)]),
        ({"style_scale_fac": 0.5}, [(5, 8), (8, 5), (8, 12), (12, 8)]),
        ({"style_scale_fac": 10.0}, [(26, 40), (19, 12)] * 2),
        ({"style_size": 10}, [(6, 10), (10, 6)] * 2),
        ({"style_size": 10, "style_scale_fac": 3.0}, [(6, 10), (10, 6)] * 2),
        ({"style_size": 1000}, [(26, 40), (19, 12)] * 2),
    ],
)
def test_styles_follow_the_scale_or_their_own_size_and_are_never_enlarged(values, sizes):
    assert sizes_of_styles(**values) == sizes


def test_a_content_smaller_than_the_scale_is_enlarged():
    small = random_picture(0, 6, 9)
    assert make_stylizer().run(small, STYLES, [1, 1]).shape == (1, 3, 24, 16)


def test_an_end_scale_with_a_plus_goes_by_the_contents_aspect():
    assert make_stylizer(end_scale="20+").run(CONTENT, STYLES, [1, 1]).shape == (1, 3, 16, 24)


def test_a_min_scale_above_the_end_scale_leaves_one_scale_with_the_initial_iterations():
    seen = progress_of(make_stylizer(min_scale=100))
    assert [(step.scale, step.iteration) for step in seen] == [(24, 1), (24, 2), (24, 3), (24, 4)]


def test_style_stats_are_those_of_the_styles_at_their_own_size():
    """A checkerboard is grey at every smaller size: mean and deviation 0.5, cut one deviation from the mean."""
    squares = 255 * (np.indices((40, 40)).sum(axis=0) % 2)
    board = Picture(np.stack([squares] * 3, axis=2).astype(np.uint8))
    stylizer, images = make_stylizer(init="style_stats", end_scale=24, min_scale=24, initial_iterations=1), []
    stylizer.run(CONTENT, [board], [1], callback=lambda progress: images.append(progress.state().image))
    cut = 0.5 * (1 - 2 * 0.24197 / 0.68269) ** 0.5  # phi(1) and 2 Phi(1) - 1
    assert images[0].std().item() == pytest.approx(cut, abs=0.03)  # 1,152 values, and a step of 0.02


# Progress


def test_progress_tells_where_a_render_stands():
    seen = progress_of(make_stylizer())
    places = [(p.scale_index, p.scale, p.width, p.height, p.iteration, p.iterations) for p in seen]
    assert places == [
        (0, 17, 17, 11, 1, 4),
        (0, 17, 17, 11, 2, 4),
        (0, 17, 17, 11, 3, 4),
        (0, 17, 17, 11, 4, 4),
        (1, 24, 24, 16, 1, 3),
        (1, 24, 24, 16, 2, 3),
        (1, 24, 24, 16, 3, 3),
    ]
    assert {step.scales for step in seen} == {(17, 24)}
    assert [len(step.reports) for step in seen] == [0] * 4 + [1] * 3


def test_the_fraction_weighs_iterations_by_pixels():
    whole = 4 * 17 * 11 + 3 * 24 * 16
    fractions = [step.fraction for step in progress_of(make_stylizer())]
    done = [17 * 11 * n for n in (1, 2, 3, 4)] + [4 * 17 * 11 + 24 * 16 * n for n in (1, 2, 3)]
    assert fractions == pytest.approx([part / whole for part in done], rel=1e-15)


@given(st.integers(1, 50), st.integers(1, 50), st.lists(st.integers(16, 3000), min_size=1, max_size=9, unique=True))
def test_fractions_rise_to_one(initial, later, scales):
    chosen = Settings(initial_iterations=initial, iterations=later)
    work = Work.of(chosen, (640, 480), sorted(scales))
    fractions = [
        work.fraction(index, iteration)
        for index, iterations in enumerate(work.iterations)
        for iteration in range(1, iterations + 1)
    ]
    assert all(before < after for before, after in pairwise([0.0, *fractions]))
    assert fractions[-1] == 1


def test_seconds_count_up():
    seconds = [step.seconds for step in progress_of(make_stylizer())]
    assert all(before < after for before, after in pairwise([0.0, *seconds]))


def test_losses_are_told_by_term():
    losses: list[dict[str, float]] = []
    render(make_stylizer(), callback=lambda progress: losses.append(progress.losses()))
    assert list(losses[0]) == ["content_relu2_1", "style_relu1_1", "style_relu2_1", "tv", "total"]


def test_peak_memory_is_told():
    peaks: list[int | None] = []
    render(make_stylizer(), callback=lambda progress: peaks.append(progress.peak_memory()))
    assert all(peak is not None and peak > 2**20 for peak in peaks)


def test_the_picture_so_far_is_the_result_in_the_end():
    images: list[Tensor] = []
    found = render(make_stylizer(), callback=lambda progress: images.append(progress.image()))
    assert torch.equal(images[-1], found)
    assert [tuple(image.shape[-2:]) for image in images] == [(11, 17)] * 4 + [(16, 24)] * 3


def test_a_picture_or_state_taken_along_the_way_stays_as_it_was():
    taken: list[tuple[Tensor, Tensor, State, bytes]] = []

    def callback(progress):
        image, state = progress.image(), progress.state()
        taken.append((image, image.clone(), state, state.to_bytes()))

    for optimizer in ("adam", "lbfgs"):
        render(make_stylizer(optimizer=optimizer), callback=callback)
    for image, before, state, stored in taken:
        assert torch.equal(image, before)
        now, then = safetensors.torch.load(state.to_bytes()), safetensors.torch.load(stored)
        assert now.keys() == then.keys()
        assert all(torch.equal(now[name], then[name]) for name in now)


def test_asking_along_the_way_changes_nothing():
    def callback(progress):
        progress.image().zero_()
        progress.state().image.zero_()
        progress.losses()

    assert torch.equal(render(make_stylizer(), callback=callback), render(make_stylizer()))


# Reports


def test_each_finished_scale_has_a_report():
    stylizer = make_stylizer()
    totals: list[dict[str, float]] = []
    render(stylizer, callback=lambda progress: totals.append(progress.losses()))
    first, second = stylizer.scales_report
    assert (first.scale, first.width, first.height, first.iterations) == (17, 17, 11, 4)
    assert (second.scale, second.width, second.height, second.iterations) == (24, 24, 16, 3)
    assert first.losses == totals[3]
    assert second.losses == totals[6]
    assert all(report.seconds > 0 for report in (first, second))
    assert all(report.peak_memory is not None for report in (first, second))


def test_a_trace_holds_the_loss_of_every_iteration_where_asked_for():
    stylizer, totals = make_stylizer(trace=True), []
    render(stylizer, callback=lambda progress: totals.append(progress.losses()["total"]))
    first, second = stylizer.scales_report
    # The trace adds terms up in float32 on the device, `losses` in float64.
    assert first.trace == pytest.approx(totals[:4], rel=1e-6)
    assert second.trace == pytest.approx(totals[4:], rel=1e-6)
    plain = make_stylizer()
    render(plain)
    assert [report.trace for report in plain.scales_report] == [(), ()]


def test_before_a_run_there_is_nothing_to_tell():
    stylizer = make_stylizer()
    assert stylizer.image() is None
    assert stylizer.scales_report == ()


# Stopping


@pytest.mark.parametrize("count", [1, 4, 5, ITERATIONS])
def test_what_a_callback_raises_stops_the_run_and_leaves_the_picture_so_far(count):
    images: list[Tensor] = []
    render(make_stylizer(), callback=lambda progress: images.append(progress.image()))
    stylizer = make_stylizer()
    with pytest.raises(StopError):
        render(stylizer, callback=stop_after(count))
    found = stylizer.image()
    assert found is not None
    assert torch.equal(found, images[count - 1])
    assert len(stylizer.scales_report) == (1 if count > 4 else 0)


def test_cancelling_goes_through_untouched():
    def callback(progress):
        raise Cancelled("drained")

    with pytest.raises(Cancelled, match=r"^drained$"):
        render(make_stylizer(), callback=callback)


def test_a_stopped_stylizer_can_run_again():
    stylizer = make_stylizer()
    with pytest.raises(StopError):
        render(stylizer, callback=stop_after(5))
    assert torch.equal(render(stylizer), render(make_stylizer()))


# Going on


def without_seconds(reports: tuple[ScaleReport, ...]) -> list[ScaleReport]:
    return [dataclasses.replace(report, seconds=0, peak_memory=None) for report in reports]


@pytest.mark.parametrize("trace", [False, True])
@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_a_resumed_run_ends_in_the_same_bits_wherever_it_stopped(optimizer, trace):
    chosen = {"optimizer": optimizer, "trace": trace}
    whole = make_stylizer(**chosen)
    stored: list[bytes] = []
    expected = render(whole, callback=lambda progress: stored.append(progress.state().to_bytes()))
    assert len(stored) == ITERATIONS
    for done, checkpoint in enumerate(stored, 1):
        resumed = make_stylizer(**chosen)
        left: list[Progress] = []
        found = render(resumed, resume=State.from_bytes(checkpoint), callback=left.append)
        assert torch.equal(found, expected), f"resumed after iteration {done}"
        assert len(left) == ITERATIONS - done
        traces = [report.trace for report in resumed.scales_report]
        assert traces == [report.trace for report in whole.scales_report]


def test_a_resumed_run_has_the_reports_of_the_whole():
    """Also those of scales that were finished before."""
    whole = make_stylizer(trace=True)
    stored: list[bytes] = []
    render(whole, callback=lambda progress: stored.append(progress.state().to_bytes()))
    for checkpoint in (stored[1], stored[5]):
        resumed = make_stylizer(trace=True)
        render(resumed, resume=State.from_bytes(checkpoint))
        assert without_seconds(resumed.scales_report) == without_seconds(whole.scales_report)


def test_a_run_resumed_twice_ends_in_the_same_bits():
    expected = render(make_stylizer())
    checkpoint: State | None = None
    for count in (2, 1, 3):
        stored: list[State] = []
        with pytest.raises(StopError):
            render(make_stylizer(), resume=checkpoint, callback=stop_and_store(count, stored))
        checkpoint = State.from_bytes(stored[-1].to_bytes())
    assert torch.equal(render(make_stylizer(), resume=checkpoint), expected)


def stop_and_store(count: int, stored: list[State]):
    def callback(progress):
        stored.append(progress.state())
        if len(stored) == count:
            raise StopError

    return callback


def test_time_and_fraction_go_on_from_the_checkpoint():
    stored: list[State] = []
    render(make_stylizer(), callback=lambda progress: stored.append(progress.state()))
    seen = progress_of(make_stylizer())
    later = dataclasses.replace(stored[4], seconds=100.0, scale_seconds=50.0)
    resumed = make_stylizer()
    left: list[Progress] = []
    render(resumed, resume=later, callback=left.append)
    assert [step.fraction for step in left] == [step.fraction for step in seen[5:]]
    assert all(step.seconds > 100 for step in left)
    assert resumed.scales_report[-1].seconds > 50


def test_resuming_leaves_the_state_as_it_was():
    stored: list[State] = []
    expected = render(make_stylizer(), callback=lambda progress: stored.append(progress.state()))
    for _ in range(2):
        assert torch.equal(render(make_stylizer(), resume=stored[2]), expected)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scale_index": 2}, "checkpoint is at scale number 2 of 2"),
        ({"scale_index": -1}, "checkpoint is at scale number -1 of 2"),
        ({"scale_index": 1}, r"checkpoint's image is \(1, 3, 11, 17\); must be \(1, 3, 16, 24\)"),
        ({"image": torch.zeros(1, 3, 17, 11)}, r"checkpoint's image is \(1, 3, 17, 11\); must be \(1, 3, 11, 17\)"),
        ({"iteration": 5}, "checkpoint is at iteration 5 of 4"),
        ({"iteration": 0}, "checkpoint is at iteration 0 of 4"),
    ],
)
def test_a_state_of_another_render_is_refused(changes, message):
    stored: list[State] = []
    render(make_stylizer(), callback=lambda progress: stored.append(progress.state()))
    with pytest.raises(RecordError, match=f"^{message}$"):
        render(make_stylizer(), resume=dataclasses.replace(stored[1], **changes))


@pytest.mark.parametrize(("optimizer", "other"), [("adam", "lbfgs"), ("lbfgs", "adam")])
def test_a_state_of_another_optimizer_is_refused(optimizer, other):
    stored: list[State] = []
    render(make_stylizer(optimizer=other), callback=lambda progress: stored.append(progress.state()))
    with pytest.raises(RecordError, match="another optimizer"):
        render(make_stylizer(optimizer=optimizer), resume=stored[1])


# Refusals


@pytest.mark.parametrize(("styles", "style_weights"), [(STYLES, [1.0]), (STYLES[:1], [1.0, 2.0]), ([], [])])
def test_styles_and_their_weights_must_be_as_many(styles, style_weights):
    message = f"^{len(styles)} styles and {len(style_weights)} style weights; must be as many, at least 1$"
    with pytest.raises(ImageError, match=message):
        make_stylizer().run(CONTENT, styles, style_weights)


def test_a_picture_too_narrow_for_the_network_is_refused_with_both_sizes():
    with pytest.raises(ImageError, match=r"^picture is 17x1 px; must be at least 2x2 px$"):
        make_stylizer().run(random_picture(0, 300, 6), STYLES, [1, 1])


def test_pictures_of_one_colour_render():
    """Their covariance is zero but for rounding, which may be negative; the roots must not run away."""
    black = Picture(np.zeros((24, 32, 3), np.uint8))
    noise = Picture(np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8))
    settings = Settings(end_scale=32, min_scale=32, initial_iterations=3, precision="float32")
    for content, style in [(noise, black), (black, noise)]:
        image = Stylizer(random_weights(0, "relu5_1"), settings).run(content, [style], [1.0])
        assert image.isfinite().all()
