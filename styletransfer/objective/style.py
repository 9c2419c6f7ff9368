"""Style (Wasserstein-2 between Gaussians) and total variation, each with its gradient in closed form.

Neither knows its weight or its layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from styletransfer.network.convolutions import fold_replicate_padding
from styletransfer.objective.sqrtm import LowRankRoot, spectral_root, trace_root_and_gradient

COVARIANCE_EPS = 1e-4
"""Added to the diagonal of both covariances: keeps their roots well conditioned."""


@dataclass(frozen=True)
class Moments:
    """First and second raw moment of features over all positions: mean (C), srm (C, C) = F F^T / (H W).

    Unlike covariances, raw moments of several pictures, or of parts of one, combine linearly.
    """

    mean: Tensor
    srm: Tensor

    def covariance(self) -> Tensor:
        """(C, C): srm - mean mean^T + eps I."""
        eps = COVARIANCE_EPS * torch.eye(len(self.mean), dtype=self.srm.dtype, device=self.srm.device)
        return self.srm - torch.outer(self.mean, self.mean) + eps


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


def blend(parts: Sequence[Moments], weights: Sequence[float]) -> Moments:
    """Weighted mean of moments; |weights| are normalised to sum 1."""
    total = sum(abs(weight) for weight in weights)
    shares = [abs(weight) / total for weight in weights]
    mean = torch.stack([part.mean * share for part, share in zip(parts, shares, strict=True)]).sum(0)
    srm = torch.stack([part.srm * share for part, share in zip(parts, shares, strict=True)]).sum(0)
    return Moments(mean, srm)


def style_target(blended: Moments) -> StyleTarget:
    """The target that `blended` moments of the styles make."""
    covariance = blended.covariance()
    root = spectral_root(covariance)
    return StyleTarget(blended.mean, covariance, root, root @ root)


@dataclass(frozen=True)
class MomentsGradient:
    """Gradient of a loss with respect to moments: mean (C), srm (C, C), symmetric."""

    mean: Tensor
    srm: Tensor


def wasserstein2_and_gradient(found: Moments, target: StyleTarget) -> tuple[Tensor, MomentsGradient]:
    """Squared 2-Wasserstein distance of two Gaussians, per channel, and its gradient at the moments found."""
    channels = len(found.mean)
    covariance = found.covariance()
    trace, slope = trace_root_and_gradient(covariance, target.root)
    difference = found.mean - target.mean
    variances = (target.covariance.diagonal() + covariance.diagonal()).sum()
    value = difference.square().mean() + (variances - 2 * trace) / channels

    grad_srm = -2 / channels * slope
    grad_srm.diagonal().add_(1 / channels)
    grad_mean = (
        2 / channels * difference - 2 * grad_srm @ found.mean
    )  # covariance = srm - mean mean^T + eps I
    return value, MomentsGradient(grad_mean, grad_srm)


def _stencil(padded: Tensor, first_row: int = 1) -> tuple[tuple[float, Tensor, Tensor], ...]:
    """Weight and the two views whose difference it weighs: columns, rows, the two diagonals.

    Straight differences have one for each pixel from `first_row` of `padded` on, the last of a line against the
    padding; diagonal ones have one for each 2 x 2 square of the padded image.
    """
    rows, rows_after = slice(first_row, -1), slice(first_row + 1, None)
    inside, after, first, second = slice(1, -1), slice(2, None), slice(None, -1), slice(1, None)
    straight, diagonal = 2 / 3, 2 / 12
    return (
        (straight, padded[..., rows, inside], padded[..., rows, after]),
        (straight, padded[..., rows, inside], padded[..., rows_after, inside]),
        (diagonal, padded[..., first, first], padded[..., second, second]),
        (diagonal, padded[..., first, second], padded[..., second, first]),
    )


STRIP_ELEMENTS = 2**20
"""Values of the image in a strip of `add_total_variation`, whose five temporaries then take 20 MB."""


def add_total_variation(image: Tensor, gradient: Tensor, weight: float) -> Tensor:
    """L2 total variation of image (1, 3, H, W); adds its slope times `weight` to `gradient`.

    On a nine-point stencil. Departure from Mahendran & Vedaldi 2014 (https://arxiv.org/abs/1412.0035): diagonals
    count too. To spare memory, by strips: each takes the differences that begin in its rows of the padded image.
    """
    _, channels, height, width = image.shape
    rows = max(1, STRIP_ELEMENTS // (channels * width))
    value = image.new_zeros(())
    for top in range(0, height + 1, rows):
        value += _add_strip(image, gradient, weight, slice(top, min(top + rows, height + 1)))
    return value


def _add_strip(image: Tensor, gradient: Tensor, weight: float, strip: slice) -> Tensor:
    """What the differences that begin in rows `strip` of the padded image add to both."""
    _, channels, height, width = image.shape
    above, below = int(strip.start == 0), int(strip.stop == height + 1)  # rows of padding
    rows = slice(strip.start - 1 + above, strip.stop)
    padded = F.pad(image[..., rows, :], (1, 1, above, below), "replicate")
    slope, value = torch.zeros_like(padded), image.new_zeros(())
    pixels, squares = channels * height * width, channels * (height + 1) * (width + 1)
    for count, (share, a, b), (_, slope_a, slope_b) in zip(
        (pixels, pixels, squares, squares), _stencil(padded, above), _stencil(slope, above), strict=True
    ):
        difference = b - a
        value += share / count * difference.square().sum()
        difference *= 2 * weight * share / count
        slope_b.add_(difference)
        slope_a.sub_(difference)
    gradient[..., rows, :] += fold_replicate_padding(slope, above, below)
    return value


