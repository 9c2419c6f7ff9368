"""What an image's features are compared with, layer by layer: the loss, and how it pulls on the features.

A comparison takes a layer's features, whole or in parts, and is then asked for its verdict.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from styletransfer.network.tiles import EVERYWHERE, Region, part_of
from styletransfer.objective import low_rank, style
from styletransfer.objective.feature_moments import MomentSums, StylePull, as_features, as_matrix
from styletransfer.objective.style import StyleTarget

LayerPull = Callable[[Tensor, Region, Tensor | None], Tensor]
"""`frozen.Pull` for the part of a layer's features in a region."""


class ContentComparison:
    """The content loss of one layer: the squared differences to the target's features."""

    def __init__(self, target: Tensor, weight: float) -> None:
        self.target, self.weight = target, weight
        self._total: Tensor | None = None

    def take(self, feats: Tensor, region: Region) -> None:
        """The squared differences to the target, summed in float32 at least."""
        difference = feats - self._target(feats, region)
        dtype = torch.promote_types(difference.dtype, torch.float32)
        total = difference.square_().sum(dtype=dtype)
        self._total = total if self._total is None else self._total + total

    def verdict(self) -> tuple[Tensor, LayerPull]:
        """Weighted mean squared difference, and its pull."""
        assert self._total is not None
        return self.weight / self.target.numel() * self._total, self._pull

    def _pull(self, feats: Tensor, region: Region, grad: Tensor | None) -> Tensor:
        pulled = (feats - self._target(feats, region)).mul_(2 * self.weight / self.target.numel())
        return pulled if grad is None else grad.add_(pulled)

    def _target(self, feats: Tensor, region: Region) -> Tensor:
        return part_of(self.target, region).to(feats.device, non_blocking=True)


class StyleSums:
    """A style layer's moment sums, added up over parts of the picture."""

    def __init__(self) -> None:
        self._total: MomentSums | None = None

    def take(self, feats: Tensor, _region: Region) -> None:
        sums = MomentSums.of(feats)
        self._total = sums if self._total is None else self._total + sums

    def total(self) -> MomentSums:
        assert self._total is not None
        return self._total


class StyleComparison:
    """The style loss of one layer: the distance of its moments to the target's. Pulls in `dtype`."""

    def __init__(self, target: StyleTarget, weight: float, dtype: torch.dtype) -> None:
        self._target, self._weight, self._dtype = target, weight, dtype
        self._sums = StyleSums()
        self._few: Tensor | None = None

    def take(self, feats: Tensor, region: Region) -> None:
        """Their moments' sums, or where they are few and whole, themselves."""
        if region == EVERYWHERE and low_rank.is_worth_it(feats):
            self._few = feats
        else:
            self._sums.take(feats, region)

    def verdict(self) -> tuple[Tensor, LayerPull]:
        """Weighted distance, and its pull."""
        if self._few is not None:
            return self._verdict_on(self._few)
        found = self._sums.total()
        value, gradient = style.wasserstein2_and_gradient(found.moments(), self._target)
        pull = StylePull.of(gradient, found.moments(), found.count, self._weight, self._dtype)
        return self._weight * value, pull

    def _verdict_on(self, feats: Tensor) -> tuple[Tensor, LayerPull]:
        positions = as_matrix(feats).to(self._target.mean.dtype)
        value, gradient = low_rank.wasserstein2_and_gradient(positions, self._target)
        pulled = as_features(gradient.mul_(self._weight).to(self._dtype), feats.shape)
        return self._weight * value, lambda _, __, grad: pulled if grad is None else grad.add_(pulled)


def both(first: LayerPull | None, second: LayerPull) -> LayerPull:
    """The sum of two pulls at one layer."""
    if first is None:
        return second
    return lambda feats, region, grad: second(feats, region, first(feats, region, grad))
