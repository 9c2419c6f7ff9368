"""Total variation by answers known on paper, and its closed-form gradient by autograd."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd import gradcheck

from styletransfer.objective import smoothness
from styletransfer.objective.smoothness import add_total_variation
from tests.gaussians import random_tensor
from tests.reference.losses import total_variation

quick = settings(deadline=None, max_examples=30)
seeds = st.integers(0, 2**31)
sides = st.integers(1, 9)


def step_edge(height: int, width: int) -> Tensor:
    """Left half 0, right half 1."""
    image = torch.zeros(1, 3, height, width, dtype=torch.float64)
    image[..., width // 2 :] = 1
    return image


@pytest.mark.parametrize("height", [1, 2, 7])
@pytest.mark.parametrize("width", [1, 3, 8])
def test_a_constant_picture_has_no_total_variation(height, width):
    image = torch.full((1, 3, height, width), 0.3, dtype=torch.float64)
    assert total_variation(image) == 0
    gradient = torch.zeros_like(image)
    assert add_total_variation(image, gradient, 1.0) == 0
    assert not gradient.any()


@pytest.mark.parametrize(("height", "width"), [(4, 6), (5, 2), (1, 4)])
def test_a_step_edge_counts_once_a_row_and_twice_by_diagonals(height, width):
    """One dx of 1 in each of H rows of W; both diagonals of each of the H + 1 squares that straddle the edge."""
    straight = height / (height * width) / 3
    diagonal = 2 * (height + 1) / ((height + 1) * (width + 1)) / 12
    found = total_variation(step_edge(height, width))
    assert found.item() == pytest.approx(2 * (straight + diagonal), rel=1e-14)


@pytest.mark.parametrize(("height", "width"), [(4, 6), (3, 5), (2, 2), (1, 1), (1, 3)])
def test_a_checkerboard_varies_between_neighbours_and_only_at_the_border_by_diagonals(height, width):
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    image = ((rows + columns) % 2).double().expand(1, 3, -1, -1)
    pixels, squares = height * width, (height + 1) * (width + 1)
    across, down = height * (width - 1), (height - 1) * width
    # Each square on the border, corners aside, has its outer pair copied from the inner one: a vertical or
    # horizontal step, across which both diagonals are 1.
    border = 2 * (height - 1) + 2 * (width - 1)
    expected = 2 * ((across + down) / pixels / 3 + 2 * border / squares / 12)
    assert total_variation(image).item() == pytest.approx(expected, rel=1e-14)


@quick
@given(seeds, sides, sides)
def test_total_variation_does_not_care_which_way_up_a_picture_is(seed, height, width):
    image = random_tensor(1, 3, height, width, seed=seed)
    expected = total_variation(image).item()
    for turned in (image.flip(2), image.flip(3), image.mT):
        assert total_variation(turned).item() == pytest.approx(expected, rel=1e-12)


@quick
@given(seeds, sides, sides)
def test_the_closed_form_of_total_variation_is_autograds(seed, height, width):
    image = random_tensor(1, 3, height, width, seed=seed)
    before = random_tensor(1, 3, height, width, seed=seed + 1)
    gradient = before.clone()
    value = add_total_variation(image, gradient, 0.25)
    image.requires_grad_()
    expected = total_variation(image)
    (by_autograd,) = torch.autograd.grad(expected, image)
    torch.testing.assert_close(value, expected.detach(), rtol=1e-13, atol=0)
    torch.testing.assert_close(gradient, before + 0.25 * by_autograd, rtol=0, atol=1e-15)


@quick
@given(seeds, sides, sides, st.integers(1, 9))
def test_strips_of_any_height_add_up_to_total_variation(seed, height, width, rows):
    image, gradient, whole = (random_tensor(1, 3, height, width, seed=s) for s in (seed, 1, 1))
    expected = add_total_variation(image, whole, 1.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(smoothness.STRIP_ELEMENTS, "cpu", rows * 3 * width)
        value = add_total_variation(image, gradient, 1.0)
    torch.testing.assert_close(value, expected, rtol=1e-13, atol=0)
    torch.testing.assert_close(gradient, whole, rtol=0, atol=1e-15)


def test_the_gradient_of_total_variation_is_that_of_finite_differences():
    assert gradcheck(total_variation, random_tensor(1, 3, 4, 5).requires_grad_())


def test_total_variation_leaves_the_image_alone():
    image = random_tensor(1, 3, 4, 5)
    before = image.clone()
    add_total_variation(image, torch.zeros_like(image), 1.0)
    assert torch.equal(image, before)
