"""The loop from coarse to fine: what it reports, how it stops, goes on and repeats itself to the bit."""

import dataclasses
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from styletransfer.errors import Cancelled, ImageError, RecordError, StyleTransferError
from styletransfer.network.vgg_weights import random_weights
from styletransfer.objective import sqrtm
from styletransfer.pictures.picture import Picture
from styletransfer.settings import Settings
from styletransfer.transfer.report import ScaleReport
from styletransfer.transfer.schedule import Work
from styletransfer.transfer.state import State
from styletransfer.transfer.stylizer import Progress, Stylizer
from tests.reference.objective import reference_stylizer
from tests.transfer.small_renders import (
    CONTENT,
    QUICK,
    STYLES,
    make_stylizer,
    progress_of,
    random_picture,
    render,
    weights,
)

ITERATIONS = 7


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


def test_two_devices_that_share_the_layers_give_the_same_bits_as_one():
    two = Stylizer(weights(), Settings.model_validate({**QUICK, "split": "layers"}), devices=("cpu", "cpu"))
    assert torch.equal(render(two), render(make_stylizer()))


def test_two_devices_that_share_the_picture_give_the_same_within_rounding():
    two = Stylizer(weights(), Settings.model_validate(QUICK), devices=("cpu", "cpu"))
    torch.testing.assert_close(render(two), render(make_stylizer()), rtol=0, atol=1e-3)


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


def test_a_loss_that_is_no_number_is_told_as_soon_as_it_is_read():
    read: list[dict[str, float]] = []

    def callback(progress):
        read.append(progress.losses())
        progress._run.running.optimizer.image.fill_(torch.nan)

    with pytest.raises(StyleTransferError, match="the loss is not finite at scale 17 "):
        render(make_stylizer(), callback=callback)
    assert len(read) == 1


def test_peak_memory_is_told():
    peaks: list[int | None] = []
    render(make_stylizer(), callback=lambda progress: peaks.append(progress.peak_memory()))
    assert all(peak is not None and peak > 2**20 for peak in peaks)


def test_the_picture_so_far_is_the_result_in_the_end():
    images: list[Tensor] = []
    found = render(make_stylizer(), callback=lambda progress: images.append(progress.image()))
    assert torch.equal(images[-1], found)
    assert [tuple(image.shape[-2:]) for image in images] == [(11, 17)] * 4 + [(16, 24)] * 3


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


# Refusals


@pytest.mark.parametrize(("styles", "style_weights"), [(STYLES, [1.0]), (STYLES[:1], [1.0, 2.0]), ([], [])])
def test_styles_and_their_weights_must_be_as_many(styles, style_weights):
    message = f"^{len(styles)} styles and {len(style_weights)} style weights; must be as many, at least 1$"
    with pytest.raises(ImageError, match=message):
        make_stylizer().run(CONTENT, styles, style_weights)


def test_a_picture_too_narrow_for_the_network_is_refused_with_both_sizes():
    with pytest.raises(ImageError, match=r"^picture is 17x1 px; must be at least 2x2 px$"):
        make_stylizer().run(random_picture(0, 300, 6), STYLES, [1, 1])


@pytest.mark.parametrize(
    ("by_chain", "precision"), [("cuda", "float32"), ("cpu", "auto")], ids=["as on a CPU", "as on a GPU"]
)
def test_pictures_of_one_colour_render(monkeypatch, by_chain, precision):
    """Their covariance is zero but for rounding, which may be negative; the roots must not run away."""
    monkeypatch.setattr(sqrtm, "BY_CHAIN", by_chain)
    black = Picture(np.zeros((24, 32, 3), np.uint8))
    noise = Picture(np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8))
    settings = Settings(end_scale=32, min_scale=32, initial_iterations=3, precision=precision)
    for content, style in [(noise, black), (black, noise)]:
        image = Stylizer(random_weights(0, "relu5_1"), settings).run(content, [style], [1.0])
        assert image.isfinite().all()


def spoilt(state: State, **changes: Any) -> State:
    """`state` with other tensors; names that it hasn't are its optimizer's."""
    own = {name: value for name, value in changes.items() if hasattr(state, name)}
    rest = {name: value for name, value in changes.items() if name not in own}
    return dataclasses.replace(state, **{"optimizer": {**state.optimizer, **rest}, **own})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"total": torch.zeros(1, 3, 4, 4)}, r"checkpoint's average is \(1, 3, 4, 4\); must be"),
        ({"total": torch.full((1, 3, 11, 17), torch.nan)}, "checkpoint's average is not finite"),
        ({"image": torch.full((1, 3, 11, 17), torch.inf)}, "checkpoint's image is not finite"),
        ({"exp_avg": torch.zeros(1)}, r"checkpoint's exp_avg is \(1,\); must be"),
        ({"exp_avg_sq": torch.full((1, 3, 11, 17), torch.inf)}, "checkpoint's exp_avg_sq is not finite"),
        ({"step": torch.zeros(7)}, r"checkpoint's step is \(7,\); must be \(1,\)"),
        ({"exp_avg": "text"}, "checkpoint is of another kind"),
        ({"exp_avg": torch.zeros(1, 3, 11, 17).half()}, "checkpoint's exp_avg is of torch.float16; must be of"),
        ({"exp_avg_sq": torch.full((1, 3, 11, 17), -1.0)}, "checkpoint's exp_avg_sq is negative"),
        ({"total": torch.zeros(1, 3, 11, 17).half()}, "checkpoint's average is of torch.float16; must be of"),
        ({"n_iter": 1}, "checkpoint is of another kind: its optimizer keeps too much or too little: n_iter"),
        ({"optimizer": {}}, "checkpoint is of another kind: its optimizer keeps too much or too little: "),
        ({"reports": ({"surprise": 1},)}, "checkpoint is of another kind"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_state_of_other_sizes_or_kinds_is_refused_before_it_is_used(changes, message):
    """Adam's fused step would write beyond the end of a tensor that is too short."""
    states: list[State] = []
    render(make_stylizer(), callback=lambda progress: states.append(progress.state()))
    state = states[1]
    assert state.image.shape == (1, 3, 11, 17)
    with pytest.raises(RecordError, match=message):
        render(make_stylizer(), resume=spoilt(state, **changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer": {"n_iter": 3}},
        {"t": "text"},
        {"n_iter": 1.0},
        {"ro": []},
        {"old_dirs": None},
        {"d": torch.zeros(2)},
    ],
    ids=str,
)
def test_a_history_that_can_not_be_is_refused_before_it_is_used(changes):
    states: list[State] = []
    render(make_stylizer(optimizer="lbfgs"), callback=lambda progress: states.append(progress.state()))
    with pytest.raises(RecordError, match=r"^checkpoint"):
        render(make_stylizer(optimizer="lbfgs"), resume=spoilt(states[2], **changes))
