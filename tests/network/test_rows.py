"""A picture in strips is the picture: cut and put together, read over their borders, gradients added up."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from styletransfer.network.rows import add_up, cut_as, height_of, read, whole
from styletransfer.network.strips import strips
from styletransfer.vgg_layers import LAYERS

heights = st.lists(st.integers(1, 9), min_size=1, max_size=5)


def picture(height: int) -> torch.Tensor:
    return torch.arange(3.0 * height * 2).reshape(1, 3, height, 2)


@given(heights)
def test_a_picture_is_cut_and_put_together(rows):
    image = picture(sum(rows))
    cut = cut_as(image, [torch.empty(1, 3, each, 2) for each in rows])
    assert [strip.shape[2] for strip in cut] == rows
    assert height_of(cut) == image.shape[2]
    assert torch.equal(whole(cut), image)


def test_one_strip_is_the_picture_itself():
    image = picture(4)
    assert whole([image]) is image


def test_strips_of_several_are_memory_of_their_own():
    image = picture(4)
    first, _ = cut_as(image, [image[..., :2, :], image[..., 2:, :]])
    first.zero_()
    assert torch.equal(image, picture(4))


@given(heights, st.data())
def test_rows_are_read_wherever_they_lie(rows, data):
    image = picture(sum(rows))
    first = data.draw(st.integers(0, sum(rows) - 1))
    stop = data.draw(st.integers(first + 1, sum(rows)))
    found = read(image.split(rows, dim=2), slice(first, stop), image.device)
    assert torch.equal(found, image[..., first:stop, :])


@pytest.mark.parametrize("count", [1, 2, 3, 5])
@pytest.mark.parametrize("in_strips", [False, True])
def test_gradients_of_overlapping_parts_are_added_up(count, in_strips):
    """Each row gets what all add that read it: with strips of 32 rows read with 80 more that is three and more."""
    cut = strips(416, 2, count, LAYERS["relu5_1"])
    expected = torch.zeros(1, 3, 416, 2, dtype=torch.float64)
    at_parts = []
    for tile in cut:
        part = torch.rand(1, 3, tile.rows.end - tile.rows.first, 2, dtype=torch.float64)
        expected[..., tile.rows.first : tile.rows.end, :] += part
        at_parts.append(part)
    rows = [tile.rows.stop - tile.rows.start for tile in cut] if in_strips else [416]
    found = add_up(cut, at_parts, torch.empty_like(expected).split(rows, dim=2))
    assert [strip.shape[2] for strip in found] == rows
    torch.testing.assert_close(whole(found), expected, rtol=1e-15, atol=0)
