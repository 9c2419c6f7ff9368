"""The style loss of one layer: the distance of its moments to the style's, and its gradient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar, cast

import torch
from torch import Tensor

from styletransfer.network.tiles import EVERYWHERE, Region
from styletransfer.objective import low_rank, wasserstein
from styletransfer.objective.layer_gradients import LayerGradient, sum_of
from styletransfer.objective.masks import LayerMask, WeightedGradient
from styletransfer.objective.moments import (
    CentredSums,
    FeaturesGradient,
    LayerSums,
    MomentsGradient,
    MomentSums,
    as_features,
    as_matrix,
)
from styletransfer.objective.sqrtm import is_by_chain
from styletransfer.objective.wasserstein import StyleTarget
from styletransfer.objective.wasserstein_batch import TargetBatch

Key = TypeVar("Key")
Part = tuple[str, int]
"""A layer, and the number of one of the parts of the picture that have styles of their own."""


class LayerMoments:
    """The moments of features that are added whole or in parts, on one device or several; with a mask, their
    positions weighted by it.
    """

    def __init__(self, mask: LayerMask | None = None) -> None:
        self._mask = mask
        self._sums: dict[torch.device, LayerSums] = {}

    def add(self, feats: Tensor, region: Region) -> None:
        sums, so_far = self._of(feats, region), self._sums.get(feats.device)
        if sums is not None:
            self._sums[feats.device] = sums if so_far is None else so_far + sums

    def _of(self, feats: Tensor, region: Region) -> LayerSums | None:
        """The sums of a part; None where the mask has nothing of it."""
        kind = CentredSums if is_by_chain(feats.device) else MomentSums
        if self._mask is None:
            return kind.of(feats)
        total = self._mask.total_within(region)
        return kind.weighted(feats, self._mask.within(region, feats.device), total) if total > 0 else None

    def sums(self, device: torch.device | None = None) -> LayerSums:
        """All together on this device, or on the first that any were added on."""
        device = device or next(iter(self._sums))
        if list(self._sums) != [device]:
            first, *others = (sums.to(device) for sums in self._sums.values())
            for other in others:
                first += other
            self._sums = {device: first}
        return self._sums[device]


class StyleLoss:
    """The loss of features that are added whole or in parts; its gradient is `dtype`.

    With a mask it is that of where the mask is, and counts by the mask's share of the picture.
    """

    def __init__(
        self, target: StyleTarget, weight: float, dtype: torch.dtype, mask: LayerMask | None = None
    ) -> None:
        self._target, self._dtype, self._mask = target, dtype, mask
        self._weight = weight if mask is None else weight * mask.share
        self._moments = LayerMoments(mask)
        self._few: Tensor | None = None

    def add(self, feats: Tensor, region: Region) -> None:
        """Their moments, or where their positions are few and all here, themselves."""
        if self._mask is None and region == EVERYWHERE and low_rank.is_worth_it(feats):
            self._few = feats
        else:
            self._moments.add(feats, region)

    def value_and_gradient(self) -> tuple[Tensor, LayerGradient]:
        """Weighted distance, and its gradient at the features."""
        if self._few is not None:
            return self._by_positions(self._few)
        found = self.sums().moments()
        return self.weighted(found.mean, *wasserstein.distance_and_gradient(found, self._target))

    def sums(self) -> LayerSums:
        """What was added, where the target is."""
        return self._moments.sums(self._target.mean.device)

    def weighted(self, mean: Tensor, value: Tensor, gradient: MomentsGradient) -> tuple[Tensor, LayerGradient]:
        """`value_and_gradient` from the distance and its gradient at the moments, whose mean is this."""
        at_features = FeaturesGradient.of(gradient, mean, self.sums().count, self._weight, self._dtype)
        gradient_at = at_features if self._mask is None else WeightedGradient(at_features, self._mask)
        return self._weight * value, gradient_at

    def _by_positions(self, feats: Tensor) -> tuple[Tensor, LayerGradient]:
        positions = as_matrix(feats).to(self._target.mean.dtype)
        value, gradient = low_rank.distance_and_gradient(positions, self._target)
        own = as_features(gradient.mul_(self._weight).to(self._dtype), feats.shape)
        return self._weight * value, lambda _, __, grad: own if grad is None else grad.add_(own)


def values_and_gradients(
    losses: Mapping[Key, StyleLoss], batches: Sequence[TargetBatch[Key]]
) -> dict[Key, tuple[Tensor, LayerGradient]]:
    """Those of each loss, of several in one batch where there are `batches` of their targets."""
    found: dict[Key, tuple[Tensor, LayerGradient]] = {}
    # All before the first root is begun: a copy between two GPUs waits for what both were given before.
    gathered = [[cast("CentredSums", losses[layer].sums()) for layer in batch.layers] for batch in batches]
    for batch, sums in zip(batches, gathered, strict=True):
        for layer, part, (value, gradient) in zip(
            batch.layers, sums, batch.distances_and_gradients(sums), strict=True
        ):
            found[layer] = losses[layer].weighted(part.mean, value, gradient)
    return {
        layer: found[layer] if layer in found else loss.value_and_gradient() for layer, loss in losses.items()
    }


def by_layer(found: Mapping[Part, tuple[Tensor, LayerGradient]]) -> dict[str, tuple[Tensor, LayerGradient]]:
    """The values and gradients of each layer's parts, added up."""
    sums: dict[str, tuple[Tensor, LayerGradient]] = {}
    for (layer, _), (value, gradient) in found.items():
        before = sums.get(layer)
        sums[layer] = (before[0] + value, sum_of(before[1], gradient)) if before else (value, gradient)
    return sums
