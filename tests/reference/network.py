"""VGG-19 from torch's own modules, differentiable by autograd: what `styletransfer.network` must agree with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from styletransfer.network.poolings import POOLING_GAIN
from styletransfer.network.vgg import FIRST_POOLING, MEAN, STD, check_size
from styletransfer.settings import Pooling
from styletransfer.vgg_layers import CONVOLUTIONS, LAYERS, POOLING_INDICES, last_layer, smallest_input


class PlainVGG19(nn.Module):
    """Features of the named layers, after their ReLU. Frozen; cut after the deepest layer used.

    `tensors` holds `features.N.weight` and `features.N.bias`. With two devices the layers up to
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
        super().__init__()
        self.layers = tuple(layers)
        self.smallest_input = smallest_input(layers)
        self.last_on_first = last_on_first
        self.devices = (torch.device(devices[0]), torch.device(devices[-1]))
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(MEAN, dtype=dtype).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(STD, dtype=dtype).view(1, 3, 1, 1))
        self.features = nn.Sequential(
            *(_make_layer(index, tensors, pooling) for index in range(LAYERS[last_layer(layers)] + 1))
        )
        self.to(dtype).eval().requires_grad_(False)
        self.to(self.devices[0])
        for index, layer in enumerate(self.features):
            layer.to(self.device_of(index))

    def device_of(self, index: int) -> torch.device:
        """Where the layer with this index runs."""
        return self.devices[0] if index <= self.last_on_first else self.devices[1]

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """image (1, 3, H, W) in [0, 1] -> features (1, C, H', W') by name, each where its layer runs.

        Raises ImageError when a side is too short for the deepest layer.
        """
        check_size(image.shape[3], image.shape[2], self.smallest_input)
        wanted = {LAYERS[name]: name for name in self.layers}
        feats: dict[str, Tensor] = {}
        x = (image.to(self.devices[0]) - self.mean) / self.std
        for index, layer in enumerate(self.features):
            x = layer(x.to(self.device_of(index)))
            if index in wanted:
                feats[wanted[index]] = x
        return feats


class ScaledPool(nn.Module):
    """A pooling by two whose results are multiplied by a fixed gain."""

    def __init__(self, pool: nn.Module, gain: float) -> None:
        super().__init__()
        self.pool, self.gain = pool, gain

    def forward(self, x: Tensor) -> Tensor:
        pooled: Tensor = self.pool(x) * self.gain
        return pooled

    def extra_repr(self) -> str:
        return f"gain={self.gain}"


def _make_layer(index: int, tensors: Mapping[str, Tensor], pooling: Pooling) -> nn.Module:
    if index in CONVOLUTIONS:
        return _make_convolution(index, tensors)
    if index in POOLING_INDICES:
        return make_pooling(pooling)
    return nn.ReLU()


def _make_convolution(index: int, tensors: Mapping[str, Tensor]) -> nn.Conv2d:
    weight, bias = tensors[f"features.{index}.weight"], tensors[f"features.{index}.bias"]
    channels_out, channels_in = weight.shape[:2]
    padding_mode: Literal["replicate", "zeros"] = "replicate" if index == 0 else "zeros"
    convolution = nn.Conv2d(channels_in, channels_out, 3, padding=1, padding_mode=padding_mode, device="meta")
    convolution.weight = nn.Parameter(weight, requires_grad=False)
    convolution.bias = nn.Parameter(bias, requires_grad=False)
    return convolution


def make_pooling(pooling: Pooling) -> nn.Module:
    if pooling == "max":
        return nn.MaxPool2d(2)
    pool = nn.AvgPool2d(2) if pooling == "average" else nn.LPPool2d(2, 2)
    return ScaledPool(pool, POOLING_GAIN[pooling])
