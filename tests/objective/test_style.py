"""The three losses by answers known on paper, and their closed-form gradients by autograd."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd import gradcheck

from styletransfer.network.convolutions import fold_replicate_padding
from styletransfer.objective import style
from styletransfer.objective.style import (
    COVARIANCE_EPS,
    Moments,
    add_total_variation,
    blend,
    style_target,
    wasserstein2_and_gradient,
)
from tests.reference import losses as reference
from tests.reference.losses import moments, total_variation, wasserstein2

quick = settings(deadline=None, max_examples=30)
seeds = st.integers(0, 2**31)
sides = st.integers(1, 9)


def random_tensor(*shape: int, seed: int = 0) -> Tensor:
    """Uniform in [0, 1), float64."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def random_moments(channels: int, seed: int) -> Moments:
    """Of features at more positions than channels, so that the covariance is well conditioned."""
    return moments(random_tensor(1, channels, 5, 2 * channels, seed=seed))


def gaussian(mean: list[float], variances: list[float]) -> Moments:
    """Moments of independent channels; the variances are those that remain after eps is added."""
    means = torch.tensor(mean, dtype=torch.float64)
    covariance = torch.diag(torch.tensor(variances, dtype=torch.float64) - COVARIANCE_EPS)
    return Moments(means, covariance + torch.outer(means, means))


# Moments


def test_moments_of_two_positions_by_hand():
    found = moments(torch.tensor([[[[1.0, 3.0]], [[2.0, -2.0]]]]))  # two channels, one row
    torch.testing.assert_close(found.mean, torch.tensor([2.0, 0.0]))
    torch.testing.assert_close(found.srm, torch.tensor([[5.0, -2.0], [-2.0, 4.0]]))


@quick
@given(seeds, st.integers(1, 6), st.integers(2, 6), st.integers(1, 6))
def test_covariance_is_that_of_statistics_plus_eps(seed, channels, height, width):
    feats = random_tensor(1, channels, height, width, seed=seed)
    exact = torch.cov(feats.flatten(2)[0], correction=0).view(channels, channels)
    expected = exact + COVARIANCE_EPS * torch.eye(channels, dtype=torch.float64)
    torch.testing.assert_close(moments(feats).covariance(), expected, rtol=0, atol=1e-13)


def test_moments_can_be_differentiated():
    feats = random_tensor(1, 3, 4, 5).requires_grad_()
    assert gradcheck(lambda x: (moments(x).mean, moments(x).srm), feats)


@quick
@given(seeds, st.integers(1, 5), st.integers(1, 5))
def test_the_blend_of_two_parts_by_their_areas_is_the_whole(seed, above, below):
    whole = random_tensor(1, 3, above + below, 4, seed=seed)
    parts = [moments(whole[..., :above, :]), moments(whole[..., above:, :])]
    found, expected = blend(parts, [above, below]), moments(whole)
    torch.testing.assert_close(found.mean, expected.mean, rtol=1e-12, atol=0)
    torch.testing.assert_close(found.srm, expected.srm, rtol=1e-12, atol=0)


@quick
@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=4), st.floats(0.01, 100), seeds)
def test_only_the_proportions_of_style_weights_count_and_not_their_sign(weights, factor, seed):
    parts = [random_moments(2, seed + number) for number in range(len(weights))]
    found, expected = blend(parts, [-factor * weight for weight in weights]), blend(parts, weights)
    torch.testing.assert_close(found.mean, expected.mean, rtol=1e-12, atol=0)
    torch.testing.assert_close(found.srm, expected.srm, rtol=1e-12, atol=0)


def test_a_blend_of_one_is_that_one():
    part = random_moments(3, 0)
    found = blend([part], [7.0])
    assert torch.equal(found.mean, part.mean)
    assert torch.equal(found.srm, part.srm)


def test_the_covariance_is_formed_after_the_blend():
    """Two styles of one colour each make a target that has both, with a variance of its own."""
    black, white = gaussian([0.0], [COVARIANCE_EPS]), gaussian([1.0], [COVARIANCE_EPS])
    found = blend([black, white], [1, 1]).covariance()
    torch.testing.assert_close(found, torch.tensor([[0.25 + COVARIANCE_EPS]], dtype=torch.float64))


# Style: Wasserstein-2


@quick
@given(seeds, st.integers(1, 6))
def test_the_distance_of_a_style_to_itself_is_zero(seed, channels):
    found = random_moments(channels, seed)
    # The covariances here are well conditioned: twelve steps converge to rounding.
    assert wasserstein2(found, style_target(found)).item() == pytest.approx(0, abs=1e-9)
    assert wasserstein2_and_gradient(found, style_target(found))[0].item() == pytest.approx(0, abs=1e-9)


variances = st.lists(st.floats(0.3, 3), min_size=3, max_size=3)
means = st.lists(st.floats(-2, 2), min_size=3, max_size=3)


@quick
@given(means, variances, means, variances)
def test_the_distance_of_independent_channels_is_that_of_means_and_standard_deviations(m1, v1, m2, v2):
    found, target = gaussian(m1, v1), style_target(gaussian(m2, v2))
    by_mean = [(a - b) ** 2 for a, b in zip(m1, m2, strict=True)]
    by_deviation = [(a**0.5 - b**0.5) ** 2 for a, b in zip(v1, v2, strict=True)]
    expected = (sum(by_mean) + sum(by_deviation)) / 3
    assert wasserstein2(found, target).item() == pytest.approx(expected, abs=1e-9)
    assert wasserstein2_and_gradient(found, target)[0].item() == pytest.approx(expected, abs=1e-9)


@quick
@given(seeds, st.lists(st.floats(-3, 3), min_size=4, max_size=4))
def test_moving_all_features_by_an_offset_costs_its_mean_square(seed, offset):
    shift = torch.tensor(offset, dtype=torch.float64)
    feats = random_tensor(1, 4, 5, 6, seed=seed)
    target = style_target(moments(feats))
    found = wasserstein2(moments(feats + shift.view(1, 4, 1, 1)), target)
    assert found.item() == pytest.approx(shift.square().mean().item(), abs=1e-9)


@quick
@given(seeds, seeds)
def test_the_distance_is_the_same_both_ways(one, other):
    a, b = random_moments(4, one), random_moments(4, other)
    # Symmetric where the roots converge, as they do for these.
    there, back = wasserstein2(a, style_target(b)), wasserstein2(b, style_target(a))
    assert there.item() == pytest.approx(back.item(), abs=1e-9)


@quick
@given(seeds, st.integers(1, 8))
def test_both_ways_to_the_distance_agree_in_value_and_gradient(seed, channels):
    """Also where the root is truncated: here there are fewer positions than channels."""
    target = style_target(random_moments(channels, seed))
    part = moments(random_tensor(1, channels, 2, 2, seed=seed + 1))
    value, gradient = wasserstein2_and_gradient(part, target)
    mean, srm = part.mean.requires_grad_(), part.srm.requires_grad_()
    expected = wasserstein2(Moments(mean, srm), target)
    by_mean, by_srm = torch.autograd.grad(expected, (mean, srm))
    # 1e-10: rounding, raised by at most 1.5**12 = 130 at each of the two truncated iterations
    torch.testing.assert_close(value, expected.detach(), rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(gradient.mean, by_mean, rtol=1e-8, atol=1e-9)
    torch.testing.assert_close(gradient.srm, by_srm, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("make", [style_target, reference.style_target])
def test_both_ways_to_a_target_agree(make):
    source = random_moments(8, 0)
    target = make(source)
    torch.testing.assert_close(target.root, style_target(source).root, rtol=0, atol=1e-12)
    assert torch.equal(target.mean, source.mean)
    assert torch.equal(target.covariance, source.covariance())


def test_the_gradient_of_the_distance_is_that_of_finite_differences():
    target = style_target(random_moments(3, 1))
    feats = random_tensor(1, 3, 3, 4, seed=2).requires_grad_()
    assert gradcheck(lambda x: wasserstein2(moments(x), target), feats)


# Total variation


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
        patch.setattr(style, "STRIP_ELEMENTS", rows * 3 * width)
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


@quick
@given(seeds, sides, sides, st.integers(1, 3))
def test_folding_is_the_gradient_of_replicate_padding(seed, height, width, channels):
    image = random_tensor(1, channels, height, width).requires_grad_()
    grad = random_tensor(1, channels, height + 2, width + 2, seed=seed)
    (expected,) = torch.autograd.grad(F.pad(image, (1, 1, 1, 1), "replicate"), image, grad)
    torch.testing.assert_close(fold_replicate_padding(grad.clone()), expected, rtol=0, atol=1e-14)
