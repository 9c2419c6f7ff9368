"""Total variation of the image: its value and its gradient."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from styletransfer.network.convolutions import fold_replicate_padding
from styletransfer.network.tiles import Span

STRIP_ELEMENTS = {"cpu": 2**20, "cuda": 2**24}
"""Values of the image in a strip of `add_total_variation`, by type of device: its five temporaries take 20 MB, or
340 MB where each strip costs some forty launches and the network has just set free more than that."""


def add_total_variation(image: Tensor, gradient: Tensor, weight: float, of: Span | None = None) -> Tensor:
    """L2 total variation of image (1, 3, H, W); adds its slope times `weight` to `gradient`.

    If the image is what a strip reads `of` a picture: the strip's share of the picture's, and of its slope.

    On a nine-point stencil. Departure from Mahendran & Vedaldi 2014 (https://arxiv.org/abs/1412.0035): diagonals
    count too. To spare memory, by strips: each takes the differences that begin in its rows of the padded image.
    """
    _, channels, height, width = image.shape
    of = of or Span(0, height, 0, height, height)
    first, end = of.start - of.first, of.stop - of.first + int(of.stop == of.length)
    rows = max(1, STRIP_ELEMENTS[image.device.type] // (channels * width))
    value = image.new_zeros(())
    for top in range(first, end, rows):
        value += _add_strip(image, gradient, weight, slice(top, min(top + rows, end)), of.length)
    return value


def _add_strip(image: Tensor, gradient: Tensor, weight: float, strip: slice, whole: int) -> Tensor:
    """What the differences that begin in rows `strip` of the padded image add to both; `whole` is the picture's
    height.
    """
    _, channels, height, width = image.shape
    above, below = int(strip.start == 0), int(strip.stop == height + 1)  # rows of padding
    rows = slice(strip.start - 1 + above, strip.stop)
    padded = F.pad(image[..., rows, :], (1, 1, above, below), "replicate")
    slope, value = torch.zeros_like(padded), image.new_zeros(())
    pixels, squares = channels * whole * width, channels * (whole + 1) * (width + 1)
    for count, (share, a, b), (_, slope_a, slope_b) in zip(
        (pixels, pixels, squares, squares), _stencil(padded, above), _stencil(slope, above), strict=True
    ):
        difference = b - a
        value += share / count * difference.square().sum()
        difference *= 2 * weight * share / count
        slope_b.add_(difference)
        slope_a.sub_(difference)
    gradient[..., rows, :].add_(fold_replicate_padding(slope, above, below))
    return value


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
