"""VGG-19 forward and backward by hand, for a network whose weights never change.

Simonyan & Zisserman 2014 (https://arxiv.org/abs/1409.1556), in torchvision's layout, with two departures: the first
convolution pads with 'replicate' (fewer artifacts at the picture's edge), and poolings other than 'max' are scaled
so that the mean magnitude of activations stays what the trained filters expect.

Autograd keeps what it might need; here is kept what is needed: no weight gradients, no indices of poolings. Tensors
are channels_last throughout, so that features read as an (H W, C) matrix without a copy; in bf16 that and the data
type together make a convolution several times faster, either alone does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache

import torch
from torch import Tensor

from styletransfer.errors import ImageError
from styletransfer.network.convolutions import Convolution, FirstConvolution
from styletransfer.network.poolings import Pooling2x2
from styletransfer.network.steps import Steps
from styletransfer.settings import Pooling
from styletransfer.vgg_layers import CONVOLUTIONS, LAYERS, POOLING_INDICES, last_layer, smallest_input

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)

FIRST_POOLING = POOLING_INDICES[0]
"""The original splits two devices after this layer: it and all before run on the first."""

Outputs = dict[int, Tensor]
"""Outputs (1, C, H', W') of ReLUs and poolings by index, deeper ones later; first comes the input."""

FeatureGradient = Callable[[Tensor, Tensor | None], Tensor]
"""Gradient of the loss at a layer's features, from these features; added to another, in place, if there is one."""


class VGG19:
    """VGG-19 with frozen weights; cut after the deepest of `layers`.

    With two devices the layers up to `last_on_first` run on the first, the rest on the second.
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
        self.last = LAYERS[last_layer(layers)]
        self.devices = (torch.device(devices[0]), torch.device(devices[-1]))
        self.steps: dict[int, Convolution | Pooling2x2] = {}
        for index in range(self.last + 1):
            if index in CONVOLUTIONS:  # its ReLU has the next index
                weight, bias = tensors[f"features.{index}.weight"], tensors[f"features.{index}.bias"]
                self.steps[index + 1] = self._convolution(index, weight, bias)
            elif index in POOLING_INDICES:
                self.steps[index] = Pooling2x2(pooling)

    def _convolution(self, index: int, weight: Tensor, bias: Tensor) -> Convolution:
        device = self.device_of(index)
        if index == 0:
            exact = torch.promote_types(self.dtype, torch.float32)
            return FirstConvolution.first(weight.to(device, exact), bias.to(device, exact), self.dtype)
        return Convolution.of(weight.to(device, self.dtype), bias.to(device, self.dtype))

    def device_of(self, index: int) -> torch.device:
        """Where the layer with this index runs."""
        return self.devices[0] if index <= self.last_on_first else self.devices[1]

    def normalise(self, image: Tensor) -> Tensor:
        """image (1, 3, H, W) in [0, 1], float32 or float64 -> the network's input, on its first device."""
        image = image.to(self.devices[0], non_blocking=True)
        mean = _per_channel(MEAN, image.dtype, image.device)
        std = _per_channel(STD, image.dtype, image.device)
        return ((image - mean) / std).contiguous(memory_format=torch.channels_last)

    def run(self, x: Tensor, first: int, last: int) -> Iterator[tuple[int, Tensor]]:
        """Index and output of each ReLU and pooling from `first` to `last`, for the output x before `first`."""
        for index, step in self.steps.items():
            if first <= index <= last:
                x = step.forward(x.to(self.device_of(index), non_blocking=True))
                yield index, x

    def backward(
        self, outputs: Outputs, gradients: Mapping[int, FeatureGradient], grad: Tensor | None = None
    ) -> Steps[Tensor]:
        """Gradient at the first of `outputs`, from those at some of them and `grad` at the last.

        Consumes `outputs` and `grad`, to free memory as it goes.
        """
        while len(outputs) > 1:
            index, output = outputs.popitem()
            step = self.steps[index]
            if index in gradients:
                grad = gradients[index](output, grad)
            if grad is None:
                grad = torch.zeros_like(output)
            if isinstance(step, Pooling2x2):
                pooled_from = next(reversed(outputs.values())).to(output.device, non_blocking=True)
                grad = step.backward(grad, pooled_from, output)
            else:
                grad = step.backward(mask_relu(grad, output))
            grad = grad.to(next(reversed(outputs.values())).device, non_blocking=True)
            yield
        assert grad is not None
        return grad

    def gradient_at_image(self, grad: Tensor, image: Tensor) -> Tensor:
        """Gradient at `image`, in its dtype and on its device, from that at the network's input."""
        return grad.to(image.device, image.dtype) / _per_channel(STD, image.dtype, image.device)


def check_size(width: int, height: int, smallest: int) -> None:
    """ImageError when a side of a picture is shorter than `smallest` px."""
    if min(height, width) < smallest:
        raise ImageError(f"picture is {width}x{height} px; must be at least {smallest}x{smallest} px")


@cache
def _per_channel(values: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """(1, 3, 1, 1). Made once: to copy it from the host at each iteration is to wait for a GPU each time."""
    return torch.tensor(values, dtype=dtype, device=device).view(1, 3, 1, 1)


def mask_relu(grad: Tensor, output: Tensor) -> Tensor:
    """Gradient before a ReLU, in place: zero where its output is. One pass; a product with a mask takes ten times
    as long on a CPU.
    """
    masked: Tensor = torch.ops.aten.threshold_backward.grad_input(grad, output, 0, grad_input=grad)
    return masked
