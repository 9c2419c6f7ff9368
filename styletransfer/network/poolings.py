"""2 x 2 poolings (max, average, l2), forward and backward; the backward one needs no indices of the maxima.

The four pixels that are pooled to one lie in four views of the input, the corners: what flows back is written to
one corner after the other, in a few passes over a quarter of the input each. Indices (int64 in torch) would be
four times as large as the pooled bf16 features, and made and used one value at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from styletransfer.settings import Pooling

POOLING_GAIN: dict[Pooling, float] = {"max": 1.0, "average": 2.0, "l2": 0.78}
"""Factor of each pooling's result; measured by the original program on the trained network."""


@dataclass(frozen=True)
class Pooling2x2:
    """A pooling with window and stride 2, its result times `POOLING_GAIN` (but for max, whose gain is 1).

    (1, C, H, W) becomes (1, C, H // 2, W // 2): an odd last row or column is left out, as in torch.
    """

    kind: Pooling

    def forward(self, x: Tensor) -> Tensor:
        """x (1, C, H, W) pooled: (1, C, H // 2, W // 2)."""
        if self.kind == "max":
            return _max_forward(x)
        if self.kind == "average":
            return F.avg_pool2d(x, 2).mul_(POOLING_GAIN["average"])
        return F.lp_pool2d(x, 2.0, 2).mul_(POOLING_GAIN["l2"])

    def backward(self, grad: Tensor, x: Tensor, pooled: Tensor) -> Tensor:
        """Gradient at the input x (1, C, H, W), from `grad` at its pooled result; overwrites `grad`."""
        grad_x = torch.empty_like(x)
        for left_out in _left_out(grad_x, pooled):
            left_out.zero_()
        if self.kind == "max":
            _max_backward(grad, x, pooled, grad_x)
        elif self.kind == "average":
            grad.mul_(POOLING_GAIN["average"] / 4)
            for corner in _corners(grad_x, pooled):
                corner.copy_(grad)
        else:
            grad.mul_(POOLING_GAIN["l2"] ** 2).div_(pooled).masked_fill_(pooled == 0, 0)
            for corner, corner_x in zip(_corners(grad_x, pooled), _corners(x, pooled), strict=True):
                torch.mul(grad, corner_x, out=corner)
        return grad_x


def _max_forward(x: Tensor) -> Tensor:
    """Max pooling by maxima of views: a fifth to a half of the time in bf16 of torch's own, which makes indices."""
    height, width = (side // 2 * 2 for side in x.shape[2:])
    rows = torch.maximum(x[..., 0:height:2, :], x[..., 1:height:2, :])
    return torch.maximum(rows[..., 0:width:2], rows[..., 1:width:2])


def _max_backward(grad: Tensor, x: Tensor, pooled: Tensor, grad_x: Tensor) -> None:
    """Writes the gradient of max pooling to `grad_x`; overwrites `grad`.

    All of it goes to the first corner that holds the maximum: ties are common in bf16.
    """
    equal = -torch.finfo(x.dtype).tiny
    *corners, last = zip(_corners(grad_x, pooled), _corners(x, pooled), strict=True)
    for corner, corner_x in corners:
        torch.sub(corner_x, pooled, out=corner)  # zero at the maximum, else negative
        torch.ops.aten.threshold_backward.grad_input(grad, corner, equal, grad_input=corner)
        grad.sub_(corner)
    last[0].copy_(grad)  # what no other got: a gradient of infinity has become NaN there


def _left_out(x: Tensor, pooled: Tensor) -> Iterator[Tensor]:
    """The last row and the last column of x, where `pooled` knows nothing of them."""
    height, width = (2 * side for side in pooled.shape[2:])
    if x.shape[2] > height:
        yield x[..., height:, :]
    if x.shape[3] > width:
        yield x[..., width:]


def _corners(x: Tensor, pooled: Tensor) -> Iterator[Tensor]:
    """The four views of x (1, C, H, W) that `pooled` (1, C, H // 2, W // 2) is made from, row by row."""
    height, width = pooled.shape[2:]
    for row in (0, 1):
        for column in (0, 1):
            yield x[..., row : 2 * height : 2, column : 2 * width : 2]
