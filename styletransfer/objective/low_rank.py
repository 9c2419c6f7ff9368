"""The style loss of a layer with fewer positions than channels, in fewer products than from its moments.

Features X (n, C) have the covariance F^T F + eps I, with F (n, C) = (X - mean) / sqrt(n). Products of (C, C)
matrices with it become products with F, which cost n / C of that: of five to the loss and its gradient one remains.
So it is at the deep layers of small pictures, where the pyramid's first, long scales spend their time.

The style's features have few positions there as well. Outside of what both span all covariances are eps I, and the
product of roots is a multiple of the identity: `eigh` is needed of a matrix with no more rows than both have
positions (in the deepest layer at 128 px 87 for 512; 17.7 ms become 3.3 ms).

Value and gradient are those of `wasserstein.distance_and_gradient`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from styletransfer.objective.moments import COVARIANCE_EPS
from styletransfer.objective.sqrtm import LowRankRoot, is_by_chain, trace_by_factor
from styletransfer.objective.wasserstein import StyleTarget

MOST_SHARE = 0.75
"""Positions per channel up to which this is faster: four products with F and one whole one, against five."""
MOST_RANK = 0.5
"""Positions of both pictures per channel up to which it is faster to find what they span first."""


def is_worth_it(feats: Tensor) -> bool:
    """Whether features (1, C, H, W) are few enough; never where iterations do without `eigh`."""
    _, channels, height, width = feats.shape
    return not is_by_chain(feats.device) and height * width <= MOST_SHARE * channels


def distance_and_gradient(positions: Tensor, target: StyleTarget) -> tuple[Tensor, Tensor]:
    """The distance of the moments of X (n, C), and its gradient at X, same shape; float32 at least."""
    count, channels = positions.shape
    mean = positions.mean(dim=0)
    factor = (positions - mean) / count**0.5
    if count + target.low_rank_root.rank <= MOST_RANK * channels:
        trace, slope_by_factor = _trace_within_span(factor, target.low_rank_root)
    else:
        trace, slope_by_factor = trace_by_factor(factor, COVARIANCE_EPS, target.root, target.square)
    difference = mean - target.mean
    variances = target.covariance.trace() + factor.square().sum() + COVARIANCE_EPS * channels
    value = difference.square().mean() + (variances - 2 * trace) / channels
    gradient = (factor - 2 * slope_by_factor).mul_(count**0.5).add_(difference)
    return value, gradient.mul_(2 / (count * channels))


def _trace_within_span(factor: Tensor, root: LowRankRoot) -> tuple[Tensor, Tensor]:
    """`trace_by_factor` in a basis of what `factor` (n, C) and the root span together."""
    basis, _ = torch.linalg.qr(torch.cat([root.basis, factor.mT], dim=1))
    within = root.within(basis)
    elsewhere = (COVARIANCE_EPS * root.elsewhere**2).expand(len(basis) - basis.shape[1])
    trace, slope = trace_by_factor(factor @ basis, COVARIANCE_EPS, within, within @ within, elsewhere)
    return trace, slope @ basis.mT
