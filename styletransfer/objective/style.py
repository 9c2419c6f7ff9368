"""The style loss of one layer: the distance of its moments to the style's, and its gradient."""

from __future__ import annotations

import torch
from torch import Tensor

from styletransfer.network.tiles import EVERYWHERE, Region
from styletransfer.objective import low_rank, wasserstein
from styletransfer.objective.layer_gradients import LayerGradient
from styletransfer.objective.moments import FeaturesGradient, MomentSums, as_features, as_matrix
from styletransfer.objective.wasserstein import StyleTarget


class LayerMoments:
    """The moments of features that are added whole or in parts."""

    def __init__(self) -> None:
        self._sums: MomentSums | None = None

    def add(self, feats: Tensor, _region: Region) -> None:
        sums = MomentSums.of(feats)
        self._sums = sums if self._sums is None else self._sums + sums

    def sums(self) -> MomentSums:
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
        sums = self._moments.sums()
        found = sums.moments()
        value, gradient = wasserstein.distance_and_gradient(found, self._target)
        return self._weight * value, FeaturesGradient.of(gradient, found, sums.count, self._weight, self._dtype)

    def _by_positions(self, feats: Tensor) -> tuple[Tensor, LayerGradient]:
        positions = as_matrix(feats).to(self._target.mean.dtype)
        value, gradient = low_rank.distance_and_gradient(positions, self._target)
        own = as_features(gradient.mul_(self._weight).to(self._dtype), feats.shape)
        return self._weight * value, lambda _, __, grad: own if grad is None else grad.add_(own)
