"""The style loss of a layer with fewer positions than channels, in fewer products than from its moments.

Features X (n, C) have the covariance F^T F + eps I, with F (n, C) = (X - mean) / sqrt(n). Products of (C, C)
matrices with it become products with F, which cost n / C of that: of five to the loss and its gradient one remains.
So it is at the deep layers of small pictures, where the pyramid's first, long scales spend their time.
Value and gradient are those of `losses.wasserstein2_and_gradient`.
"""

from __future__ import annotations

from torch import Tensor

from styletransfer.losses import COVARIANCE_EPS, StyleTarget
from styletransfer.sqrtm import trace_by_factor

MOST_SHARE = 0.75
"""Positions per channel up to which this is faster: four products with F and one whole one, against five."""


def is_worth_it(feats: Tensor) -> bool:
    """Whether features (1, C, H, W) are few enough; never on CUDA, where iterations do without `eigh`."""
    _, channels, height, width = feats.shape
    return feats.device.type != "cuda" and height * width <= MOST_SHARE * channels


def wasserstein2_and_gradient(positions: Tensor, target: StyleTarget) -> tuple[Tensor, Tensor]:
    """`losses.wasserstein2` of the moments of X (n, C), and its gradient at X, same shape; float32 at least."""
    count, channels = positions.shape
    mean = positions.mean(dim=0)
    factor = (positions - mean) / count**0.5
    trace, slope_by_factor = trace_by_factor(factor, COVARIANCE_EPS, target.root, target.square)
    difference = mean - target.mean
    variances = target.covariance.trace() + factor.square().sum() + COVARIANCE_EPS * channels
    value = difference.square().mean() + (variances - 2 * trace) / channels
    pulled = (factor - 2 * slope_by_factor).mul_(count**0.5).add_(difference)
    return value, pulled.mul_(2 / (count * channels))
