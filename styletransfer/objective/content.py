"""The content loss of one layer: the mean squared difference to the content's features, and its gradient."""

from __future__ import annotations

import torch
from torch import Tensor

from styletransfer.network.tiles import Region, part_of
from styletransfer.objective.layer_gradients import LayerGradient
from styletransfer.objective.strip_features import StripFeatures


class ContentLoss:
    """The loss of features that are added whole or in parts."""

    def __init__(self, target: Tensor | StripFeatures, weight: float) -> None:
        self.target, self.weight = target, weight
        self._totals: dict[torch.device, Tensor] = {}

    def add(self, feats: Tensor, region: Region) -> None:
        """The squared differences to the target, summed in float32 at least."""
        difference = feats - self._target(feats, region)
        dtype = torch.promote_types(difference.dtype, torch.float32)
        total = difference.square_().sum(dtype=dtype)
        so_far = self._totals.get(total.device)
        self._totals[total.device] = total if so_far is None else so_far + total

    def value_and_gradient(self) -> tuple[Tensor, LayerGradient]:
        """Weighted mean squared difference, and its gradient at the features."""
        first, *others = self._totals.values()
        total = sum((other.to(first.device) for other in others), first)
        return self.weight / self.target.numel() * total, self._gradient

    def _gradient(self, feats: Tensor, region: Region, grad: Tensor | None) -> Tensor:
        own = (feats - self._target(feats, region)).mul_(2 * self.weight / self.target.numel())
        return own if grad is None else grad.add_(own)

    def _target(self, feats: Tensor, region: Region) -> Tensor:
        target = self.target
        part = target.part(region) if isinstance(target, StripFeatures) else part_of(target, region)
        return part.to(feats.device, non_blocking=True)
