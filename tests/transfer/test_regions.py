"""Parts of a picture with styles of their own, samples of styles, and what is kept, in whole renders."""

import logging
from typing import Any

import numpy as np
import pytest
import torch

from styletransfer.errors import ImageError
from styletransfer.pictures.picture import Picture
from styletransfer.settings import Settings
from styletransfer.transfer.regions import Kept, Regions, gray
from styletransfer.transfer.state import State
from styletransfer.transfer.stylizer import Stylizer
from tests.transfer.small_renders import CONTENT, QUICK, STYLES, make_stylizer, render, weights

SIZE = (24, 16)
"""Of a result."""


def mask_of(values: Any, deep: bool = False) -> Picture:
    """A gray picture of 30 x 20 px."""
    top, dtype = (65535, np.uint16) if deep else (255, np.uint8)
    plane = np.broadcast_to(values, (20, 30))
    return Picture(np.repeat(np.rint(plane * top).astype(dtype)[..., None], 3, axis=2))


WHITE, BLACK = mask_of(1.0), mask_of(0.0)
LEFT = mask_of(np.arange(30) < 15)
SOFT = mask_of(np.linspace(0, 1, 30))


def part_of(regions: Regions, styles: int = 2) -> list[tuple[list[float], tuple[int, ...], bool]]:
    """Each part's mask, as its first row at the masks' own size."""
    parts = regions.parts(styles, (30, 20), torch.float64)
    return [(part.mask[0].tolist(), part.styles, part.is_rest) for part in parts]


def test_styles_of_one_region_are_blended_in_it_and_the_others_in_the_rest():
    left, right = part_of(Regions([LEFT, None, mask_of(np.arange(30) < 15)]), 3)
    assert left == ([1.0] * 15 + [0.0] * 15, (0, 2), False)
    assert right == ([0.0] * 15 + [1.0] * 15, (1,), True)


def test_overlapping_regions_leave_nothing_below_zero():
    found = part_of(Regions([LEFT, WHITE, None]), 3)
    assert [mask[0] for mask, _, _ in found] == [1, 1, 0]
    assert found[2][0] == [0.0] * 30


def test_soft_edges_and_16_bits_are_kept():
    (soft, _, _), (rest, _, _) = part_of(Regions([mask_of(np.linspace(0, 1, 30), deep=True), None]))
    assert soft == pytest.approx(np.linspace(0, 1, 30), abs=1e-5)
    assert np.add(soft, rest) == pytest.approx(1)


@pytest.mark.parametrize(
    "regions", [Regions(), Regions([None, None]), Regions([WHITE, WHITE]), Regions(keep=BLACK)], ids=range(4)
)
def test_where_all_styles_are_everywhere_there_are_no_parts(regions):
    assert part_of(regions) == []
    assert torch.equal(render(make_stylizer(), regions=regions), render(make_stylizer()))


def test_what_is_kept_is_in_no_part():
    ((mask, styles, _),) = part_of(Regions(keep=LEFT))
    assert (mask, styles) == ([0.0] * 15 + [1.0] * 15, (0, 1))


@pytest.mark.parametrize("regions", [Regions([LEFT]), Regions(samples=[LEFT] * 3)], ids=["regions", "samples"])
def test_masks_are_as_many_as_styles(regions):
    with pytest.raises(ImageError, match=r"2 styles and [13] (regions|samples); must be as many, or none"):
        render(make_stylizer(), regions=regions)


@pytest.mark.parametrize(
    ("regions", "count"),
    [
        (Regions(), 0),
        (Regions([None, None]), 0),
        (Regions([LEFT, None]), 2),
        (Regions([LEFT] * 2), 1),
        (Regions(keep=LEFT), 1),
    ],
    ids=range(5),
)
def test_the_memory_plan_is_told_how_many_parts_there_are(regions, count):
    assert regions.count() == count


def test_every_region_has_its_own_style():
    """Left of the cut the picture is nearly the one with the first style alone, right of it with the second."""
    both = render(make_stylizer(), regions=Regions([LEFT, None]))
    first, second = (make_stylizer().run(CONTENT, [style], [1.0]) for style in STYLES)
    for columns, near, far in ((slice(0, 8), first, second), (slice(16, 24), second, first)):
        distances = [(both - other)[..., columns].square().mean() for other in (near, far)]
        assert distances[0] < 0.5 * distances[1]


def test_regions_in_tiles_are_the_same_picture():
    regions = Regions([SOFT, None], keep=mask_of((np.arange(30) > 25) * 0.5))
    whole = render(make_stylizer(precision="float64"), regions=regions)
    tiled = render(make_stylizer(precision="float64", tiles=16), regions=regions)
    torch.testing.assert_close(tiled, whole, rtol=0, atol=1e-6)


def test_a_sample_of_all_of_a_style_is_the_style():
    plain = render(make_stylizer(precision="float64"))
    found = render(make_stylizer(precision="float64"), regions=Regions(samples=[WHITE, None]))
    torch.testing.assert_close(found, plain, rtol=0, atol=1e-6)


def test_a_style_counts_by_its_sample_alone():
    """Whatever the rest of the style picture is, but for what features see across the edge, which is black here."""
    pixels = STYLES[0].pixels.copy()
    pixels[:, 13:] = 255 - pixels[:, 13:]
    sample, found = mask_of(np.arange(30) < 9), []
    for style in (STYLES[0], Picture(pixels)):
        stylizer = make_stylizer(style_layers={"relu1_1": 1}, style_size=26)
        found.append(stylizer.run(CONTENT, [style], [1.0], regions=Regions(samples=[sample])))
    assert torch.equal(*found)


def test_samples_are_told_apart_in_the_cache():
    stylizer = make_stylizer()
    found = [render(stylizer, regions=Regions(samples=[sample, None])) for sample in (LEFT, SOFT, LEFT)]
    assert torch.equal(found[0], found[2])
    assert not torch.equal(found[0], found[1])


def test_what_is_too_small_at_a_layer_is_told_once(caplog):
    dot = np.zeros((20, 30))
    dot[:4, :4] = 1
    with caplog.at_level(logging.WARNING):
        found = render(make_stylizer(), regions=Regions([mask_of(dot), None], [None, mask_of(dot)]))
    assert found.isfinite().all()
    assert caplog.messages == [
        "the region of style 1 is too small for relu2_1 at 17 px, and left out there",
        "the sample of style 2 is too small for relu2_1 at 17 px, and left out there",
    ]


def test_a_mask_has_the_mean_of_its_channels():
    pixels = np.zeros((2, 2, 3), np.uint8)
    pixels[0, 0] = 255, 255, 0
    assert gray(Picture(pixels), (2, 2), torch.float64).tolist() == [[pytest.approx(2 / 3), 0], [0, 0]]


# What is kept


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_the_picture_is_painted_around_what_is_kept(optimizer):
    """The objective sees the content there, and no change of what is below it."""
    seen: list[torch.Tensor] = []
    stylizer = make_stylizer(optimizer=optimizer, init="gray")
    compute = stylizer.objective.value_and_gradients

    def watched(image, targets):
        losses, (gradient,) = compute(image, targets)
        seen.append(image[0].clone())
        return losses, [gradient + 1]

    stylizer.objective.value_and_gradients = watched  # type: ignore[method-assign]
    kept = gray(LEFT, SIZE, torch.float32) == 1
    iterates: list[torch.Tensor] = []

    def callback(progress):
        if progress.scale_index == 1:
            iterates.append(progress.state().image[..., kept])

    render(stylizer, regions=Regions(keep=LEFT), callback=callback)
    content = CONTENT.at(SIZE, torch.float32)
    at_the_end = [image for image in seen if image.shape == content.shape]
    assert len(at_the_end) >= 3
    assert all(torch.equal(image[..., kept], content[..., kept]) for image in at_the_end)
    if optimizer == "lbfgs":  # which has no momentum from the scale before
        assert all(torch.equal(iterate, iterates[0]) for iterate in iterates)


def test_the_gradient_around_what_is_kept_is_the_slope():
    weights, content = torch.rand(4, 5, dtype=torch.float64), torch.rand(1, 3, 4, 5, dtype=torch.float64)
    kept, image = Kept([content], [weights]), torch.rand(1, 3, 4, 5, dtype=torch.float64, requires_grad=True)
    (painted,) = kept.over([image])
    expected = torch.autograd.grad(painted.square().sum(), image)
    with torch.no_grad():
        torch.testing.assert_close(kept.around([2 * painted]), list(expected))


def test_a_render_that_keeps_all_has_no_style_to_follow(caplog):
    with caplog.at_level(logging.WARNING):
        stylizer = make_stylizer()
        render(stylizer, regions=Regions(keep=WHITE))
    for report in stylizer.scales_report:
        assert report.losses["style_relu1_1"] == report.losses["content_relu2_1"] == 0
    assert caplog.messages == [
        "what is left to style 1 is too small for relu1_1, relu2_1 at 17 px, and left out there"
    ]


def test_a_render_with_masks_goes_on_from_a_checkpoint_to_the_bit():
    regions = Regions([SOFT, None], [None, LEFT], keep=mask_of((np.arange(30) > 25) * 0.5))
    states: list[State] = []
    whole = render(make_stylizer(), regions=regions, callback=lambda progress: states.append(progress.state()))
    for state in (states[1], states[-2]):  # in the first scale, and in the last
        assert torch.equal(render(make_stylizer(), regions=regions, resume=state), whole)


def test_two_devices_that_share_the_picture_keep_and_style_the_same_parts():
    regions = Regions([SOFT, None], keep=mask_of((np.arange(20) > 5)[:, None] * 0.5))
    exact = {"precision": "float64"}
    two = Stylizer(weights(), Settings.model_validate(QUICK | exact), devices=("cpu", "cpu"))
    found, expected = (render(stylizer, regions=regions) for stylizer in (two, make_stylizer(**exact)))
    assert two._run is not None
    assert two._run.kept is not None
    assert len(two._run.kept.content) == 2
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-7)  # Adam enlarges the rounding of the smallest
