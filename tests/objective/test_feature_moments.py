"""Moments of channels_last features, summed in parts, and the gradient that they pull with."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from styletransfer.objective.feature_moments import CHUNK, LEAST_CHUNKS, MomentSums, StylePull
from styletransfer.objective.style import MomentsGradient
from tests.reference.losses import moments

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


def test_the_pull_is_the_gradient_that_autograd_finds():
    feats, gradient = features(5, 7, 6).requires_grad_(), _gradient(5)
    found = moments(feats)
    loss = 3 * ((found.mean * gradient.mean).sum() + (found.srm * gradient.srm).sum())
    (expected,) = torch.autograd.grad(loss, feats)
    pull = StylePull.of(gradient, moments(feats.detach()), 42, 3.0, torch.float64)
    torch.testing.assert_close(pull(feats.detach(), EVERYWHERE, None), expected)
    grad = features(5, 7, 6, seed=3)
    torch.testing.assert_close(pull(feats.detach(), EVERYWHERE, grad.clone()), grad + expected)


def test_rounding_pushes_no_channel_in_one_direction():
    """In bf16 the mean pull over all positions stays the exact one, though every single pull is rounded."""
    feats = features(64, 32, 32, dtype=torch.bfloat16)
    found, gradient = MomentSums.of(feats).moments(), _gradient(64)
    balanced = MomentsGradient(-2 * gradient.srm @ found.mean.double(), gradient.srm)  # so the mean pull is zero
    pull = StylePull.of(
        MomentsGradient(balanced.mean.float(), balanced.srm.float()), found, 1024, 1.0, torch.bfloat16
    )
    pulls = pull(feats, EVERYWHERE, None).float()
    assert (pulls.mean(dim=(0, 2, 3)).abs() < 0.01 * pulls.std(dim=(0, 2, 3))).all()
