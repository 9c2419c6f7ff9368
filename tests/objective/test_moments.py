"""Moments of features, summed in parts and blended, and the gradient that they bring to features."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck

from styletransfer.objective.moments import (
    CHUNK,
    COVARIANCE_EPS,
    LEAST_CHUNKS,
    LONGEST_SUM,
    CentredSums,
    FeaturesGradient,
    MomentsGradient,
    MomentSums,
    blend,
)
from tests.gaussians import gaussian, random_moments, random_tensor
from tests.reference.losses import moments

quick = settings(deadline=None, max_examples=30)
seeds = st.integers(0, 2**31)
EVERYWHERE = (slice(None), slice(None))


def features(channels: int, height: int, width: int, seed: int = 0, dtype=torch.float64) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    feats = torch.randn(1, channels, height, width, generator=generator, dtype=torch.float64).relu_()
    return feats.to(dtype).contiguous(memory_format=torch.channels_last)


@given(st.integers(1, 9), st.integers(1, 12), st.integers(1, 12), st.integers(0, 12))
def test_parts_add_up_to_the_whole(channels, height, width, cut):
    feats, cut = features(channels, height, width), min(cut, height)
    parts = [part for part in (feats[:, :, :cut], feats[:, :, cut:]) if part.numel()]
    whole = moments(feats)
    sums = sum((MomentSums.of(part) for part in parts[1:]), MomentSums.of(parts[0])).moments()
    torch.testing.assert_close(sums.mean, whole.mean)
    torch.testing.assert_close(sums.srm, whole.srm)


@given(st.integers(1, 9), st.integers(1, 12), st.integers(1, 12), st.integers(0, 12))
def test_parts_with_centres_of_their_own_add_up_to_the_whole(channels, height, width, cut):
    feats, cut = features(channels, height, width), min(cut, height)
    parts = [part for part in (feats[:, :, :cut], feats[:, :, cut:]) if part.numel()]
    sums, whole = sum((CentredSums.of(part) for part in parts[1:]), CentredSums.of(parts[0])), moments(feats)
    torch.testing.assert_close(sums.moments().mean, whole.mean)
    torch.testing.assert_close(sums.moments().srm, whole.srm)
    torch.testing.assert_close(sums.covariance(), whole.covariance())


@pytest.mark.parametrize("positions", [2 * LONGEST_SUM, 2 * LONGEST_SUM + 8])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_far_from_zero_nothing_is_left_of_the_rounding_of_moments(positions, dtype):
    """Features that are nearly the same everywhere: the covariance is a millionth of the second moment."""
    feats = (8 + features(16, positions // 8, 8) / 16).to(dtype)
    exact, found = moments(feats.double()).covariance(), CentredSums.of(feats).covariance()
    # float32's 6e-8 of the moments, 64, would be 4e-6, as large as some of the covariance
    assert (found.double() - exact).abs().max() < 1e-8


@pytest.mark.parametrize("positions", [CHUNK * LEAST_CHUNKS - 8, CHUNK * LEAST_CHUNKS, CHUNK * LEAST_CHUNKS + 8])
def test_moments_of_bf16_are_accumulated_in_float32(positions):
    """Within 1e-3 of the moments of the same bf16 values; a single bf16 product would be off by about 2e-3."""
    feats = features(32, positions // 8, 8, dtype=torch.bfloat16)
    exact, found = moments(feats.double()), MomentSums.of(feats).moments()
    assert found.srm.dtype == torch.float32
    assert torch.linalg.matrix_norm(found.srm.double() - exact.srm) < 1e-3 * torch.linalg.matrix_norm(exact.srm)
    assert (found.mean.double() - exact.mean).norm() < 1e-3 * exact.mean.norm()


def _gradient(channels: int) -> MomentsGradient:
    generator = torch.Generator().manual_seed(7)
    matrix = torch.randn(channels, channels, generator=generator, dtype=torch.float64)
    return MomentsGradient(torch.randn(channels, generator=generator, dtype=torch.float64), matrix + matrix.mT)


def test_the_gradient_at_features_is_the_one_that_autograd_finds():
    feats, gradient = features(5, 7, 6).requires_grad_(), _gradient(5)
    found = moments(feats)
    loss = 3 * ((found.mean * gradient.mean).sum() + (found.srm * gradient.srm).sum())
    (expected,) = torch.autograd.grad(loss, feats)
    at_features = FeaturesGradient.of(gradient, moments(feats.detach()).mean, 42, 3.0, torch.float64)
    torch.testing.assert_close(at_features(feats.detach(), EVERYWHERE, None), expected)
    grad = features(5, 7, 6, seed=3)
    torch.testing.assert_close(at_features(feats.detach(), EVERYWHERE, grad.clone()), grad + expected)


def test_rounding_pushes_no_channel_in_one_direction():
    """In bf16 the mean over all positions stays the exact one, though every single value is rounded."""
    feats = features(64, 32, 32, dtype=torch.bfloat16)
    found, gradient = MomentSums.of(feats).moments(), _gradient(64)
    balanced = MomentsGradient(-2 * gradient.srm @ found.mean.double(), gradient.srm)  # so the mean is zero
    at_features = FeaturesGradient.of(
        MomentsGradient(balanced.mean.float(), balanced.srm.float()), found.mean, 1024, 1.0, torch.bfloat16
    )
    found_at = at_features(feats, EVERYWHERE, None).float()
    assert (found_at.mean(dim=(0, 2, 3)).abs() < 0.01 * found_at.std(dim=(0, 2, 3))).all()


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
