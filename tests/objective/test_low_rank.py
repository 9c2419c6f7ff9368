"""The style loss by factors: the same numbers as by moments, whatever the number of positions."""

from dataclasses import fields

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from styletransfer.objective import low_rank
from styletransfer.objective.low_rank import MOST_SHARE, distance_and_gradient
from styletransfer.objective.moments import COVARIANCE_EPS
from styletransfer.objective.sqrtm import LowRankRoot, spectral_root
from styletransfer.objective.wasserstein import StyleTarget, style_target
from tests.reference.losses import moments, wasserstein2

seeds = st.integers(0, 2**31)


def features(channels: int, height: int, width: int, seed: int, dtype=torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    feats = torch.randn(1, channels, height, width, generator=generator, dtype=torch.float64).relu_()
    return feats.to(dtype).contiguous(memory_format=torch.channels_last)


def target(channels: int, seed: int, dtype=torch.float64) -> StyleTarget:
    return style_target(moments(features(channels, 7, channels, seed, dtype)))


def in_double(goal: StyleTarget) -> StyleTarget:
    return StyleTarget(*(getattr(goal, field.name).double() for field in fields(goal)))


def as_positions(feats: Tensor) -> Tensor:
    return feats.flatten(2)[0].mT


@settings(deadline=None, max_examples=40)
@given(seeds, st.integers(1, 9), st.integers(1, 4), st.integers(1, 4))
def test_value_and_gradient_are_those_that_autograd_finds(seed, channels, height, width):
    feats, goal = features(channels, height, width, seed), target(channels, seed + 1)
    value, gradient = distance_and_gradient(as_positions(feats), goal)
    expected = wasserstein2(moments(feats.requires_grad_()), goal)
    (by_autograd,) = torch.autograd.grad(expected, feats)
    # Rounding, raised by at most 1.5**12 = 130 at each of the two truncated iterations
    torch.testing.assert_close(value, expected.detach(), rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(gradient, as_positions(by_autograd), rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("positions", [1, 20, 96])
def test_it_holds_in_float32_where_most_eigenvalues_are_tiny(positions):
    feats, goal = features(128, 1, positions, 3, torch.float32), target(128, 4, torch.float32)
    value, gradient = distance_and_gradient(as_positions(feats), goal)
    exact = in_double(goal)
    exact_value, exact_gradient = distance_and_gradient(as_positions(feats).double(), exact)
    assert value.item() == pytest.approx(exact_value.item(), rel=2e-5)
    error = torch.linalg.matrix_norm(gradient - exact_gradient) / torch.linalg.matrix_norm(exact_gradient)
    assert error < 1e-4


@settings(deadline=None, max_examples=30)
@given(seeds, st.integers(1, 8), st.integers(1, 8), st.booleans())
def test_few_positions_of_both_pictures_make_no_difference(seed, count, style_count, one_colour):
    """Nor does a picture of one colour, whose features are the same everywhere."""
    feats, style = features(32, 1, count, seed), features(32, 1, style_count, seed + 1)
    if one_colour:
        feats = feats[..., :1].expand_as(feats)
    goal = style_target(moments(style))
    assert goal.low_rank_root.rank == style_count - 1
    within = distance_and_gradient(as_positions(feats), goal)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(low_rank, "MOST_RANK", 0.0)
        whole = distance_and_gradient(as_positions(feats), goal)
    for found, expected in zip(within, whole, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-9)


def test_within_the_span_of_both_pictures_float32_is_as_exact_as_without():
    feats = features(256, 1, 40, 3, torch.float32)
    goal = style_target(moments(features(256, 1, 48, 4, torch.float32)))
    assert goal.low_rank_root.rank == 47
    value, gradient = distance_and_gradient(as_positions(feats), goal)
    exact_value, exact_gradient = distance_and_gradient(as_positions(feats).double(), in_double(goal))
    assert value.item() == pytest.approx(exact_value.item(), rel=2e-5)
    error = torch.linalg.matrix_norm(gradient - exact_gradient) / torch.linalg.matrix_norm(exact_gradient)
    assert error < 1e-4


def test_a_root_of_low_rank_is_the_root():
    covariance = moments(features(16, 1, 5, 1)).covariance()
    root = LowRankRoot.of(covariance, COVARIANCE_EPS)
    assert root.rank == 4
    whole = torch.eye(16, dtype=torch.float64)
    torch.testing.assert_close(root.within(whole), spectral_root(covariance), rtol=0, atol=1e-10)


def test_few_are_fewer_than_channels_and_never_on_a_gpu():
    assert low_rank.is_worth_it(torch.empty(1, 512, 6, 8))
    assert low_rank.is_worth_it(torch.empty(1, 512, 16, int(512 * MOST_SHARE / 16)))
    assert not low_rank.is_worth_it(torch.empty(1, 512, 16, 32))
    assert not low_rank.is_worth_it(torch.empty(1, 64, 96, 128))
