"""The image that the first scale starts from.

Random starts draw from a generator of their own, in float32 on the CPU, so that one seed gives one start on any
device and in any precision.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import mul

import torch
from torch import Tensor, nn

from styletransfer.settings import NamedInit
from styletransfer.transfer.scaled_picture import ScaledPicture


def start_image(
    init: NamedInit, content: Tensor, styles: Sequence[ScaledPicture], style_weights: Sequence[float], seed: int
) -> Tensor:
    """The start for content (1, 3, H, W): same shape, dtype and device, values in [0, 1].

    styles are needed for 'style_stats' only.
    """
    if init == "content":
        return content.clone()
    generator = torch.Generator().manual_seed(seed)
    shape = content.shape
    if init == "gray":
        start = torch.rand(shape, generator=generator) / 255 + 0.5
    elif init == "uniform":
        start = torch.rand(shape, generator=generator)
    elif init == "normal":
        start = _truncated_normal(shape, 0.5, 0.25, generator)
    else:
        means, variances = _blended_statistics(styles, style_weights)
        height, width = shape[-2:]
        channels = [
            _truncated_normal((1, 1, height, width), mean, variance**0.5, generator)
            for mean, variance in zip(means, variances, strict=True)
        ]
        start = torch.cat(channels, dim=1)
    return start.to(content)


def _truncated_normal(shape: Sequence[int], mean: float, sd: float, generator: torch.Generator) -> Tensor:
    if sd == 0:  # a style of one colour
        return torch.full(tuple(shape), mean)
    return nn.init.trunc_normal_(torch.empty(tuple(shape)), mean, sd, 0.0, 1.0, generator)


def _blended_statistics(
    styles: Sequence[ScaledPicture], weights: Sequence[float]
) -> tuple[list[float], list[float]]:
    """Per channel, the weighted mean of the styles' means and that of their variances.

    As in the original program, of the styles at their own size: scaled down they vary less.
    """
    means, variances = zip(*(style.mean_and_variance() for style in styles), strict=True)
    return _weighted_mean(means, weights), _weighted_mean(variances, weights)


def _weighted_mean(values: Sequence[Sequence[float]], weights: Sequence[float]) -> list[float]:
    """values (styles, channels) -> (channels)."""
    shares = [abs(weight) / sum(map(abs, weights)) for weight in weights]
    return [sum(map(mul, shares, channel)) for channel in zip(*values, strict=True)]
