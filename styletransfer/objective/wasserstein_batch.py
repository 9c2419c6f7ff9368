"""`wasserstein.distance_and_gradient` of several layers at once, by a chain of products: few launches for a GPU.

The chain is some eighty products of matrices, each smaller than a GPU is made for: to launch one takes longer than
to compute it, and a batch of them takes hardly longer than one. So layers of like width share a batch, the narrower
ones with zeros around them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from styletransfer.objective.moments import CentredSums, MomentsGradient
from styletransfer.objective.sqrtm import trace_by_chain
from styletransfer.objective.wasserstein import StyleTarget

NARROW = 256
"""Channels up to which layers share a batch. Three products of 256 x 256 matrices still leave a GPU half idle; of
512 x 512 they don't, and zeros would be worked through for nothing."""

Key = TypeVar("Key")
"""A layer, or one of its parts."""


@dataclass(frozen=True)
class TargetBatch(Generic[Key]):
    """The targets of some layers, with zeros up to the width C of the widest: mean (B, C), root (B, C, C), trace of
    the covariance (B) and one over the number of channels (B, 1, 1).
    """

    layers: tuple[Key, ...]
    channels: tuple[int, ...]
    mean: Tensor
    root: Tensor
    variance: Tensor
    share: Tensor

    @classmethod
    def of(cls, targets: Mapping[Key, StyleTarget]) -> TargetBatch[Key]:
        """Of targets by layer on one device."""
        channels = tuple(len(target.mean) for target in targets.values())
        mean = _stacked([target.mean for target in targets.values()])
        root = _stacked([target.root for target in targets.values()])
        variance = torch.stack([target.covariance.trace() for target in targets.values()])
        share = torch.tensor(channels, dtype=mean.dtype, device=mean.device).reciprocal()[:, None, None]
        return cls(tuple(targets), channels, mean, root, variance, share)

    def distances_and_gradients(self, found: Sequence[CentredSums]) -> list[tuple[Tensor, MomentsGradient]]:
        """For each layer its distance to the moments found, and the gradient at these."""
        mean = _stacked([sums.mean for sums in found])
        covariance = _stacked([sums.covariance() for sums in found])
        traces, slopes = trace_by_chain(covariance, self.root)
        difference = mean - self.mean
        variances = self.variance + covariance.diagonal(dim1=1, dim2=2).sum(dim=1)
        sums_of_channels = difference.square().sum(dim=1) + torch.sub(variances, traces, alpha=2)

        at_srm = slopes.mul_(-2)
        at_srm.diagonal(dim1=1, dim2=2).add_(1)
        at_mean = torch.baddbmm(difference[..., None], at_srm, mean[..., None], beta=2, alpha=-2)
        values = sums_of_channels * self.share.flatten()
        grad_mean, grad_srm = at_mean * self.share, at_srm.mul_(self.share)
        return [
            (values[index], MomentsGradient(grad_mean[index, :count, 0], grad_srm[index, :count, :count]))
            for index, count in enumerate(self.channels)
        ]


def batches_of(targets: Mapping[Key, StyleTarget]) -> tuple[TargetBatch[Key], ...]:
    """All layers' targets, those of like width on one device in one batch."""
    groups: defaultdict[tuple[torch.device, bool], dict[Key, StyleTarget]] = defaultdict(dict)
    for layer, target in targets.items():
        groups[target.mean.device, len(target.mean) <= NARROW][layer] = target
    return tuple(TargetBatch.of(group) for group in groups.values())


def _stacked(parts: Sequence[Tensor]) -> Tensor:
    """Vectors (C) or matrices (C, C), stacked, with zeros up to the largest C."""
    widest = max(len(part) for part in parts)
    return torch.stack(
        [F.pad(part, (0, widest - len(part)) * part.dim()) if len(part) < widest else part for part in parts]
    )
