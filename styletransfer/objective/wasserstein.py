"""Squared 2-Wasserstein distance between the Gaussians that have the moments of features and of a style."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from styletransfer.objective.moments import COVARIANCE_EPS, Moments, MomentsGradient
from styletransfer.objective.sqrtm import LowRankRoot, spectral_root, trace_by_eigenvalues


@dataclass(frozen=True)
class StyleTarget:
    """What a layer's features are compared with: mean (C), covariance (C, C), its truncated root (C, C) and the
    square of that, which is not quite the covariance again.
    """

    mean: Tensor
    covariance: Tensor
    root: Tensor
    square: Tensor

    @cached_property
    def low_rank_root(self) -> LowRankRoot:
        """The root once more, of use where the style's features have few positions."""
        return LowRankRoot.of(self.covariance, COVARIANCE_EPS)


def style_target(blended: Moments) -> StyleTarget:
    """The target that `blended` moments of the styles make."""
    covariance = blended.covariance()
    root = spectral_root(covariance)
    return StyleTarget(blended.mean, covariance, root, root @ root)


def distance_and_gradient(found: Moments, target: StyleTarget) -> tuple[Tensor, MomentsGradient]:
    """Squared 2-Wasserstein distance of two Gaussians, per channel, and its gradient at the moments found."""
    channels = len(found.mean)
    covariance = found.covariance()
    trace, slope = trace_by_eigenvalues(covariance, target.root)
    difference = found.mean - target.mean
    variances = (target.covariance.diagonal() + covariance.diagonal()).sum()
    value = difference.square().mean() + (variances - 2 * trace) / channels

    grad_srm = -2 / channels * slope
    grad_srm.diagonal().add_(1 / channels)
    grad_mean = 2 / channels * difference - 2 * grad_srm @ found.mean  # covariance = srm - mean mean^T + eps I
    return value, MomentsGradient(grad_mean, grad_srm)
