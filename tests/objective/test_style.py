"""The style loss of a layer is the same whichever way its positions are taken in."""

import pytest
import torch
from torch import Tensor

from styletransfer.network.tiles import EVERYWHERE
from styletransfer.objective import low_rank
from styletransfer.objective.style import StyleLoss
from styletransfer.objective.wasserstein import StyleTarget, style_target
from tests.reference.losses import moments


def features(channels: int, height: int, width: int, seed: int, dtype=torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    feats = torch.randn(1, channels, height, width, generator=generator, dtype=torch.float64).relu_()
    return feats.to(dtype).contiguous(memory_format=torch.channels_last)


def target(channels: int, seed: int, dtype=torch.float64) -> StyleTarget:
    return style_target(moments(features(channels, 7, channels, seed, dtype)))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("before", [True, False])
def test_few_positions_give_the_same_loss_by_either_way(dtype, before, monkeypatch):
    feats, goal = features(64, 5, 6, 1, dtype), target(64, 2, torch.promote_types(dtype, torch.float32))
    found = {}
    for few in (True, False):
        monkeypatch.setattr(low_rank, "is_worth_it", lambda _, few=few: few)
        loss = StyleLoss(goal, 3.0, dtype)
        loss.add(feats, EVERYWHERE)
        value, gradient = loss.value_and_gradient()
        grad = features(64, 5, 6, 5, dtype).mul_(1e-3) if before else None
        found[few] = value, gradient(feats, EVERYWHERE, grad)
    tolerance = {torch.float64: 1e-8, torch.float32: 1e-3, torch.bfloat16: 0.08}[dtype]
    torch.testing.assert_close(found[True][0], found[False][0], rtol=1e-4, atol=0)
    scale = found[False][1].abs().max().item()
    torch.testing.assert_close(found[True][1], found[False][1], rtol=0, atol=tolerance * scale)


def test_parts_of_a_picture_are_summed_however_small_they_are():
    """A tile's own features say nothing of the whole picture's covariance."""
    feats, goal = features(64, 4, 6, 1), target(64, 2)
    whole, parts = StyleLoss(goal, 1.0, torch.float64), StyleLoss(goal, 1.0, torch.float64)
    whole.add(feats, EVERYWHERE)
    for rows in (slice(0, 2), slice(2, 4)):
        parts.add(feats[:, :, rows], (rows, slice(0, 6)))
    torch.testing.assert_close(parts.value_and_gradient()[0], whole.value_and_gradient()[0], rtol=1e-9, atol=0)
