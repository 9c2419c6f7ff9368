"""The network's convolutions, each with its ReLU, and their input gradients: all that frozen weights need.

On a CPU, oneDNN wants weights in a layout of its own and rearranges them at every call: for 512 channels of a small
picture that takes as long as the convolution. So they are rearranged once (at 128 px in bf16 the deep layers become
1.4 to 2 times as fast), and the ReLU is applied to what is still in the cache. The results are the same to the bit.
That interface of torch is private, its compiler uses it: where it is gone, `torch.conv2d` takes over. In float32
layers with many channels go Winograd's way, which rounds a little differently.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from styletransfer.network import winograd
from styletransfer.network.winograd import WinogradKernel

ONE_DNN_DTYPES = (torch.bfloat16, torch.float32)
TYPICAL_SIZE = (64, 64)
"""Of the features for which a layout is chosen; it does not depend on the size, as far as was seen."""


class Kernel(Protocol):
    """A 3 x 3 convolution of channels_last tensors (1, C_in, H, W) with zeros or nothing around them."""

    def __call__(self, x: Tensor, *, relu: bool = False) -> Tensor:
        """(1, C_out, H', W'), channels_last."""


class PlainKernel:
    """A convolution by torch, or by oneDNN with a weight in its own layout."""

    def __init__(self, weight: Tensor, bias: Tensor | None, padding: int = 1) -> None:
        """weight (C_out, C_in, 3, 3), bias (C_out) on one device, in one dtype."""
        self.bias, self.padding = bias, padding
        self.packed = can_pack(weight)
        self.weight = weight.contiguous(memory_format=torch.channels_last)
        if self.packed:
            self.weight = torch.ops.mkldnn._reorder_convolution_weight(
                self.weight, [padding] * 2, [1, 1], [1, 1], 1, [1, weight.shape[1], *TYPICAL_SIZE]
            )

    def __call__(self, x: Tensor, *, relu: bool = False) -> Tensor:
        if self.packed:
            return self._packed(x, "relu" if relu else "none")
        y = F.conv2d(x, self.weight, self.bias, padding=self.padding)
        return y.relu_() if relu else y

    def _packed(self, x: Tensor, then: str) -> Tensor:
        x = x.contiguous(memory_format=torch.channels_last)
        y: Tensor = torch.ops.mkldnn._convolution_pointwise(
            x, self.weight, self.bias, [self.padding] * 2, [1, 1], [1, 1], 1, then, [], ""
        )
        return y


def can_pack(weight: Tensor) -> bool:
    """Whether this torch has oneDNN's layouts for a weight of this kind, on this processor."""
    if weight.device.type != "cpu" or weight.dtype not in ONE_DNN_DTYPES:
        return False
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    if weight.dtype == torch.bfloat16 and not _has_bf16():
        return False
    names = ("_reorder_convolution_weight", "_convolution_pointwise")
    return all(hasattr(torch.ops.mkldnn, name) for name in names)


def _has_bf16() -> bool:
    """oneDNN refuses to rearrange bf16 where the processor has no AVX-512; torch's own convolution takes it."""
    supported = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return supported is not None and bool(supported())


@dataclass(frozen=True)
class Convolution:
    """A convolution and its ReLU. The gradient at its input is a convolution with the weight turned round."""

    kernel: Kernel
    kernel_back: Kernel

    @classmethod
    def of(cls, weight: Tensor, bias: Tensor) -> Convolution:
        """The fastest with this weight (C_out, C_in, 3, 3) and bias (C_out)."""
        if winograd.suits(weight):
            kernel = WinogradKernel.of(weight, bias)
            return cls(kernel, kernel.turned_round())
        return cls(PlainKernel(weight, bias), PlainKernel(turned_round(weight), None))

    def forward(self, x: Tensor) -> Tensor:
        return self.kernel(x, relu=True)

    def backward(self, grad: Tensor) -> Tensor:
        """Gradient at the input, from that before the ReLU."""
        return self.kernel_back(grad)


@dataclass(frozen=True)
class FirstConvolution(Convolution):
    """Pads with 'replicate'. Forward it computes in float32 at least: it works on the image, where rounding to
    bf16 would be coarser than 8 bits are, and costs next to nothing.
    """

    feats_dtype: torch.dtype = torch.float32

    @classmethod
    def first(cls, weight: Tensor, bias: Tensor, dtype: torch.dtype) -> FirstConvolution:
        """weight, bias in float32 at least; features and gradients are `dtype`."""
        back = PlainKernel(turned_round(weight).to(dtype), None, padding=2)
        return cls(PlainKernel(weight, bias, padding=0), back, dtype)

    def forward(self, x: Tensor) -> Tensor:
        padded = F.pad(x, (1, 1, 1, 1), "replicate")
        return self.kernel(padded, relu=True).to(self.feats_dtype)

    def backward(self, grad: Tensor) -> Tensor:
        return fold_replicate_padding(self.kernel_back(grad))


def turned_round(weight: Tensor) -> Tensor:
    """(C_out, C_in, 3, 3) -> (C_in, C_out, 3, 3): flipped in both directions."""
    return weight.flip(2, 3).transpose(0, 1)


def fold_replicate_padding(grad: Tensor, above: int = 1, below: int = 1) -> Tensor:
    """Gradient of `F.pad(x, (1, 1, above, below), 'replicate')`: grad (..., above + H + below, W + 2) ->
    (..., H, W), in place.
    """
    if above:
        grad[..., 1, :].add_(grad[..., 0, :])
    if below:
        grad[..., -2, :].add_(grad[..., -1, :])
    grad[..., :, 1].add_(grad[..., :, 0])
    grad[..., :, -2].add_(grad[..., :, -1])
    return grad[..., above : grad.shape[-2] - below, 1:-1]
