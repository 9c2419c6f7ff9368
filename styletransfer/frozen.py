"""VGG-19 forward and backward by hand, for a network whose weights never change.

Autograd keeps what it might need; here is kept what is needed: no weight gradients, ReLU in place, no indices of
poolings. Tensors are channels_last throughout, so that features read as an (H W, C) matrix without a copy.
Values and gradients are those of `vgg.VGG19`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from styletransfer.layers import CONVOLUTIONS, LAYERS, POOLING_INDICES, last_layer, smallest_input
from styletransfer.losses import fold_replicate_padding
from styletransfer.settings import Pooling
from styletransfer.vgg import FIRST_POOLING, MEAN, POOLING_GAIN, STD, check_size


@dataclass(frozen=True)
class Convolution:
    """A 3 x 3 convolution and its ReLU. `weight_back` is the weight of the convolution that its gradient is."""

    weight: Tensor  # (C_out, C_in, 3, 3)
    weight_back: Tensor  # (C_in, C_out, 3, 3): flipped in both directions
    bias: Tensor
    replicate: bool

    def forward(self, x: Tensor) -> Tensor:
        if self.replicate:
            return F.conv2d(F.pad(x, (1, 1, 1, 1), "replicate"), self.weight, self.bias).relu_()
        return F.conv2d(x, self.weight, self.bias, padding=1).relu_()

    def backward(self, grad: Tensor, output: Tensor) -> Tensor:
        """Gradient at the input, from that at the ReLU's output; overwrites `grad`."""
        grad = grad.mul_(output > 0)
        if self.replicate:
            return fold_replicate_padding(F.conv2d(grad, self.weight_back, padding=2))
        return F.conv2d(grad, self.weight_back, padding=1)


@dataclass(frozen=True)
class Pooling2x2:
    """A pooling by two; an odd last row or column is left out, as in torch."""

    kind: Pooling

    def forward(self, x: Tensor) -> Tensor:
        if self.kind == "max":
            return F.max_pool2d(x, 2)
        if self.kind == "average":
            return F.avg_pool2d(x, 2).mul_(POOLING_GAIN["average"])
        return F.lp_pool2d(x, 2.0, 2).mul_(POOLING_GAIN["l2"])

    def backward(self, grad: Tensor, x: Tensor, pooled: Tensor) -> Tensor:
        """Gradient at `x`, from that at `pooled`."""
        grad_x = torch.zeros_like(x)
        if self.kind == "max":
            _backward_max(grad, x, pooled, grad_x)
        elif self.kind == "average":
            share = grad * (POOLING_GAIN["average"] / 4)
            for corner in _corners(grad_x, pooled):
                corner.copy_(share)
        else:
            share = (grad * POOLING_GAIN["l2"] ** 2 / pooled).masked_fill_(pooled == 0, 0)
            for corner, corner_x in zip(_corners(grad_x, pooled), _corners(x, pooled), strict=True):
                torch.mul(share, corner_x, out=corner)
        return grad_x


def _backward_max(grad: Tensor, x: Tensor, pooled: Tensor, grad_x: Tensor) -> None:
    """Each gradient goes to the first of the four that is the maximum, as in torch: ties are common in bf16."""
    free = torch.ones_like(pooled, dtype=torch.bool)
    for corner, corner_x in zip(_corners(grad_x, pooled), _corners(x, pooled), strict=True):
        hit = (corner_x == pooled).logical_and_(free)
        torch.mul(grad, hit, out=corner)
        free.logical_and_(hit.logical_not_())


def _corners(x: Tensor, pooled: Tensor) -> list[Tensor]:
    """The four views of x that hold one corner of each pooled square, in scan order."""
    height, width = 2 * pooled.shape[-2], 2 * pooled.shape[-1]
    return [x[..., row:height:2, column:width:2] for row in (0, 1) for column in (0, 1)]


class FrozenVGG19:
    """VGG-19 with frozen weights; cut after the deepest of `layers`.

    `forward` returns the output of every layer, `backward` takes them back. With two devices the layers up to
    `last_on_first` run on the first, the rest on the second.
    """

    def __init__(
        self,
        tensors: Mapping[str, Tensor],
        layers: Sequence[str],
        *,
        pooling: Pooling = "max",
        devices: Sequence[torch.device | str] = ("cpu",),
        dtype: torch.dtype = torch.float32,
        last_on_first: int = FIRST_POOLING,
    ) -> None:
        self.layers = tuple(layers)
        self.dtype = dtype
        self.smallest_input = smallest_input(layers)
        self.last_on_first = last_on_first
        self.devices = (torch.device(devices[0]), torch.device(devices[-1]))
        self.steps: dict[int, Convolution | Pooling2x2] = {}
        for index in range(LAYERS[last_layer(layers)] + 1):
            if index in CONVOLUTIONS:  # its ReLU has the next index
                weight, bias = tensors[f"features.{index}.weight"], tensors[f"features.{index}.bias"]
                self.steps[index + 1] = self._convolution(index, weight, bias)
            elif index in POOLING_INDICES:
                self.steps[index] = Pooling2x2(pooling)

    def _convolution(self, index: int, weight: Tensor, bias: Tensor) -> Convolution:
        weight = weight.to(self.device_of(index), self.dtype)
        return Convolution(
            weight.contiguous(memory_format=torch.channels_last),
            weight.flip(2, 3).transpose(0, 1).contiguous(memory_format=torch.channels_last),
            bias.to(self.device_of(index), self.dtype),
            replicate=index == 0,
        )

    def device_of(self, index: int) -> torch.device:
        """Where the layer with this index runs."""
        return self.devices[0] if index <= self.last_on_first else self.devices[1]

    def normalise(self, image: Tensor) -> Tensor:
        """image (1, 3, H, W) in [0, 1] -> the network's input, in its dtype and on its first device."""
        mean = image.new_tensor(MEAN).view(1, 3, 1, 1)
        std = image.new_tensor(STD).view(1, 3, 1, 1)
        x = (image - mean) / std
        return x.to(self.devices[0], self.dtype, memory_format=torch.channels_last)

    def forward(self, image: Tensor) -> dict[int, Tensor]:
        """image (1, 3, H, W) in [0, 1] -> output (1, C, H', W') of each ReLU and pooling, by index.

        Raises ImageError when a side is too short for the deepest layer.
        """
        check_size(image, self.smallest_input)
        outputs: dict[int, Tensor] = {}
        x = self.normalise(image)
        for index, step in self.steps.items():
            x = step.forward(x.to(self.device_of(index), non_blocking=True))
            outputs[index] = x
        return outputs

    def features(self, image: Tensor) -> dict[str, Tensor]:
        """Features of the named layers, like `vgg.VGG19`."""
        outputs = self.forward(image)
        return {name: outputs[LAYERS[name]] for name in self.layers}

    def backward(self, outputs: dict[int, Tensor], grads: Mapping[int, Tensor]) -> Tensor:
        """Gradient at the image (1, 3, H, W), from gradients at the outputs of some layers, by index.

        Consumes `outputs`, to free memory as it goes, and overwrites `grads`.
        """
        grad: Tensor | None = None
        for index in reversed(self.steps):
            output = outputs.pop(index)
            grad = _add(grad, grads.get(index), output)
            step = self.steps[index]
            if isinstance(step, Convolution):
                grad = step.backward(grad, output)
            else:
                grad = step.backward(grad, next(reversed(outputs.values())), output)
            grad = grad.to(self.device_of(index - 2), non_blocking=True)
        assert grad is not None
        return grad / grad.new_tensor(STD).view(1, 3, 1, 1)


def _add(grad: Tensor | None, more: Tensor | None, like: Tensor) -> Tensor:
    if grad is None:
        return torch.zeros_like(like) if more is None else more
    return grad if more is None else grad.add_(more)
