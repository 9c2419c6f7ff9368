"""Wasserstein distances by answers known on paper, and the closed-form gradient by autograd."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck

from styletransfer.objective.moments import Moments
from styletransfer.objective.wasserstein import distance_and_gradient, style_target
from tests.gaussians import gaussian, random_moments, random_tensor
from tests.reference import losses as reference
from tests.reference.losses import moments, wasserstein2

quick = settings(deadline=None, max_examples=30)
seeds = st.integers(0, 2**31)


@quick
@given(seeds, st.integers(1, 6))
def test_the_distance_of_a_style_to_itself_is_zero(seed, channels):
    found = random_moments(channels, seed)
    # The covariances here are well conditioned: twelve steps converge to rounding.
    assert wasserstein2(found, style_target(found)).item() == pytest.approx(0, abs=1e-9)
    assert distance_and_gradient(found, style_target(found))[0].item() == pytest.approx(0, abs=1e-9)


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
    assert distance_and_gradient(found, target)[0].item() == pytest.approx(expected, abs=1e-9)


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
    value, gradient = distance_and_gradient(part, target)
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
