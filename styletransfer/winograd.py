"""3 x 3 convolutions in float32 with 16 products for every 2 x 2 outputs, where the plain way takes 36.

Winograd's minimal filtering F(2 x 2, 3 x 3) (Lavin & Gray 2015, https://arxiv.org/abs/1509.09308, section 4.1):
tiles of 4 x 4 inputs and the filter are transformed, multiplied, and transformed back. Exact but for rounding,
which is no coarser than the plain way's, as sums are shorter. In float32 on a CPU the network is nothing but such
products: with 256 channels and more this takes two thirds of the time (an iteration at 256 px becomes 1.2 times
as fast), with fewer the transforms eat up what is saved.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

FEWEST_CHANNELS = 256
STRIP_ELEMENTS = 2**21
"""Of transformed inputs at a time: 8 MB, which stay in the cache."""

_FILTER = torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.0, 0.0, 1.0]], dtype=torch.float64)


def suits(weight: Tensor, padding: int) -> bool:
    """Whether a convolution with this weight is faster so."""
    on_cpu = weight.device.type == "cpu" and weight.dtype == torch.float32
    return on_cpu and padding == 1 and min(weight.shape[:2]) >= FEWEST_CHANNELS


class WinogradKernel:
    """A 3 x 3 convolution with one row and column of zeros around."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        """weight (C_out, C_in, 3, 3), bias (C_out), float32 on the CPU."""
        self.bias = bias
        transformed = torch.einsum("ik,ockl,jl->ijco", _FILTER, weight.double(), _FILTER)
        self.weight = transformed.flatten(0, 1).float().contiguous()  # (16, C_in, C_out)

    def __call__(self, x: Tensor, *, relu: bool = False) -> Tensor:
        """x (1, C_in, H, W) -> (1, C_out, H, W), channels_last."""
        height, width = x.shape[2:]
        rows, columns = (height + 1) // 2, (width + 1) // 2  # of tiles
        padded = F.pad(x.permute(0, 2, 3, 1)[0], (0, 0, 1, 1 + width % 2, 1, 1 + height % 2))
        y = x.new_empty(2 * rows, 2 * columns, self.weight.shape[2])
        strip = max(1, STRIP_ELEMENTS // (16 * columns * x.shape[1]))
        for first in range(0, 2 * rows, 2 * strip):
            last = min(first + 2 * strip, 2 * rows)
            self._convolve(padded[first : last + 2], y[first:last], relu)
        return y[:height, :width].permute(2, 0, 1)[None].contiguous(memory_format=torch.channels_last)

    def _convolve(self, x: Tensor, y: Tensor, relu: bool) -> None:
        """x (2 R + 2, 2 S + 2, C_in) -> y (2 R, 2 S, C_out), in place."""
        products = torch.bmm(_transform_input(x).flatten(0, 1).flatten(1, 2), self.weight)
        rows, columns = len(y) // 2, y.shape[1] // 2
        _transform_output(products.view(4, 4, rows, columns, -1), y)
        if self.bias is not None:
            y.add_(self.bias)
        if relu:
            y.relu_()


def _transform_input(x: Tensor) -> Tensor:
    """x (2 R + 2, 2 S + 2, C) -> (4, 4, R, S, C)."""
    rows, columns = len(x) // 2 - 1, x.shape[1] // 2 - 1
    by_rows = x.new_empty(4, rows, *x.shape[1:])
    _combine([x[k : k + 2 * rows : 2] for k in range(4)], by_rows)
    transformed = x.new_empty(4, 4, rows, columns, x.shape[2])
    _combine([by_rows[:, :, k : k + 2 * columns : 2] for k in range(4)], transformed.transpose(0, 1))
    return transformed


def _combine(taps: Sequence[Tensor], out: Tensor) -> None:
    """The transform of four neighbours in one direction."""
    torch.sub(taps[0], taps[2], out=out[0])
    torch.add(taps[1], taps[2], out=out[1])
    torch.sub(taps[2], taps[1], out=out[2])
    torch.sub(taps[1], taps[3], out=out[3])


def _transform_output(products: Tensor, y: Tensor) -> None:
    """products (4, 4, R, S, C) -> y (2 R, 2 S, C), in place."""
    for column, by_columns in enumerate(_sums(products.unbind(1))):
        for row, outputs in enumerate(_sums(by_columns.unbind(0))):
            y[row::2, column::2] = outputs


def _sums(parts: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """The transform back in one direction: two outputs of four products."""
    return (parts[1] + parts[2]).add_(parts[0]), (parts[1] - parts[2]).sub_(parts[3])
