"""Gradients of losses at one layer, put together for the way back."""

import torch
from torch import Tensor

from styletransfer.network.tiles import EVERYWHERE, Region, Tiling, part_of
from styletransfer.objective.layer_gradients import LayerGradient, of_a_tile, of_the_whole, sum_of


def times(factor: float) -> LayerGradient:
    def gradient(feats: Tensor, _region: Region, grad: Tensor | None) -> Tensor:
        return factor * feats if grad is None else grad.add_(feats, alpha=factor)

    return gradient


def test_two_losses_of_a_layer_add_up():
    feats = torch.arange(6.0).view(1, 1, 2, 3)
    assert torch.equal(sum_of(sum_of(None, times(2)), times(3))(feats, EVERYWHERE, None), 5 * feats)
    assert torch.equal(of_the_whole(times(2))(feats, torch.ones_like(feats)), 2 * feats + 1)


def test_a_tile_changes_the_gradient_at_its_own_features_alone():
    """Of the second tile in a row: 16 px of its own behind a halo of 2."""
    _, tile = Tiling(16, 1).tiles(16, 32, 4)
    feats = torch.ones(1, 1, 16, tile.columns.end - tile.columns.first)
    found = of_a_tile(times(2), tile, 1)(feats, torch.full_like(feats, 0.5))
    expected = torch.full_like(feats, 0.5)
    part_of(expected, tile.owned_within(1)).fill_(2.5)
    assert torch.equal(found, expected)
    assert torch.equal(of_a_tile(times(2), tile, 1)(feats, None), expected - 0.5)
