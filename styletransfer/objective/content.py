"""The content loss of one layer: the mean squared difference to the content's features, and its gradient."""

from __future__ import annotations

import torch
from torch import Tensor

from styletransfer.network.tiles import Region, part_of
from styletransfer.objective.layer_gradients import LayerGradient


class ContentLoss:
    """The loss of features that are added whole or in parts."""

    def __init__(self, target: Tensor, weight: float) -> None:
        self.target, self.weight = target, weight
        self._total: Tensor | None = None

    def add(self, feats: Tensor, region: Region) -> None:
        """The squared differences to the target, summed in float32 at least."""
        difference = feats - self._target(feats, region)
        dtype = torch.promote_types(difference.dtype, torch.float32)
        total = difference.square_().sum(dtype=dtype)
        self._total = total if self._total is None else self._total + total

    def value_and_gradient(self) -> tuple[Tensor, LayerGradient]:
        """Weighted mean squared difference, and its gradient at the features."""
        assert self._total is not None
        return self.weight / self.target.numel() * self._total, self._gradient

    def _gradient(self, feats: Tensor, region: Region, grad: Tensor | None) -> Tensor:
        own = (feats - self._target(feats, region)).mul_(2 * self.weight / self.target.numel())
        return own if grad is None else grad.add_(own)

    def _target(self, feats: Tensor, region: Region) -> Tensor:
        return part_of(self.target, region).to(feats.device, non_blocking=True)
