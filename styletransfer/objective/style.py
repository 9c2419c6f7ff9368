"""The style loss of one layer: the distance of its moments to the style's, and its gradient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor

from styletransfer.network.tiles import EVERYWHERE, Region
from styletransfer.objective import low_rank, wasserstein
from styletransfer.objective.layer_gradients import LayerGradient
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


class LayerMoments:
    """The moments of features that are added whole or in parts."""

    def __init__(self) -> None:
        self._sums: LayerSums | None = None

    def add(self, feats: Tensor, _region: Region) -> None:
        kind = CentredSums if is_by_chain(feats.device) else MomentSums
        sums: LayerSums = kind.of(feats)
        self._sums = sums if self._sums is None else self._sums + sums

    def sums(self) -> LayerSums:
        assert self._sums is not None
        return self._sums


class StyleLoss:
    """The loss of features that are added whole or in parts; its gradient is `dtype`."""

    def __init__(self, target: StyleTarget, weight: float, dtype: torch.dtype) -> None:
        self._target, self._weight, self._dtype = target, weight, dtype
        self._moments = LayerMoments()
        self._few: Tensor | None = None

    def add(self, feats: Tensor, region: Region) -> None:
        """Their moments, or where their positions are few and all here, themselves."""
        if region == EVERYWHERE and low_rank.is_worth_it(feats):
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
        """What was added."""
        return self._moments.sums()

    def weighted(self, mean: Tensor, value: Tensor, gradient: MomentsGradient) -> tuple[Tensor, LayerGradient]:
        """`value_and_gradient` from the distance and its gradient at the moments, whose mean is this."""
        at_features = FeaturesGradient.of(gradient, mean, self.sums().count, self._weight, self._dtype)
        return self._weight * value, at_features

    def _by_positions(self, feats: Tensor) -> tuple[Tensor, LayerGradient]:
        positions = as_matrix(feats).to(self._target.mean.dtype)
        value, gradient = low_rank.distance_and_gradient(positions, self._target)
        own = as_features(gradient.mul_(self._weight).to(self._dtype), feats.shape)
        return self._weight * value, lambda _, __, grad: own if grad is None else grad.add_(own)


def values_and_gradients(
    losses: Mapping[str, StyleLoss], batches: Sequence[TargetBatch]
) -> dict[str, tuple[Tensor, LayerGradient]]:
    """Those of each layer, of several in one batch where there are `batches` of their targets."""
    found: dict[str, tuple[Tensor, LayerGradient]] = {}
    for batch in batches:
        sums = [cast("CentredSums", losses[layer].sums()) for layer in batch.layers]
        for layer, part, (value, gradient) in zip(
            batch.layers, sums, batch.distances_and_gradients(sums), strict=True
        ):
            found[layer] = losses[layer].weighted(part.mean, value, gradient)
    return {
        layer: found[layer] if layer in found else loss.value_and_gradient() for layer, loss in losses.items()
    }
