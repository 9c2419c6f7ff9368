"""Gradients of losses at one layer's features, and how the network's way back takes them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from styletransfer.network.strips import own_part
from styletransfer.network.tiles import EVERYWHERE, Region, Tile, part_of
from styletransfer.network.vgg import FeatureGradient

LayerGradient = Callable[[Tensor, Region, Tensor | None], Tensor]
"""Gradient of a loss at the part of a layer's features that lies in a region, from these features; added to
another, in place, if there is one."""


def sum_of(first: LayerGradient | None, second: LayerGradient) -> LayerGradient:
    """That of both losses of one layer."""
    if first is None:
        return second
    return lambda feats, region, grad: second(feats, region, first(feats, region, grad))


def of_the_whole(gradient: LayerGradient) -> FeatureGradient:
    """For features of the whole picture."""
    return lambda feats, grad: gradient(feats, EVERYWHERE, grad)


def of_a_tile(gradient: LayerGradient, tile: Tile, index: int) -> FeatureGradient:
    """For features of a tile with its halo: at those that are its own, since the halo's belong to others."""

    def at_own(feats: Tensor, grad: Tensor | None) -> Tensor:
        grad, own = torch.zeros_like(feats) if grad is None else grad, tile.owned_within(index)
        part_of(grad, own).add_(gradient(part_of(feats, own), tile.owned(index), None))
        return grad

    return at_own


def of_a_strip(gradient: LayerGradient, strip: Tile, index: int) -> LayerGradient:
    """For features of a strip with its halo, which are a picture of their own there."""

    def at_own(feats: Tensor, region: Region, grad: Tensor | None) -> Tensor:
        own = own_part(strip, index, region)
        if own is None:
            return torch.zeros_like(feats) if grad is None else grad
        within, of_the_picture = own
        if grad is not None:
            gradient(part_of(feats, within), of_the_picture, part_of(grad, within))
            return grad
        grad = torch.zeros_like(feats)
        part_of(grad, within).copy_(gradient(part_of(feats, within), of_the_picture, None))
        return grad

    return at_own
