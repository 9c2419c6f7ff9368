"""Networks to test with: the one behind the golden numbers, and a shallow one that takes no time."""

from functools import cache
from math import sqrt

import torch
from torch import Tensor, nn

from styletransfer.network.vgg import VGG19
from styletransfer.vgg_layers import CONVOLUTIONS, LAYERS


def features(network: VGG19, image: Tensor) -> dict[str, Tensor]:
    """Features of each of the network's layers by name, shallow to deep; image (1, 3, H, W) in [0, 1]."""
    names = {LAYERS[name]: name for name in network.layers}
    outputs = network.run(network.normalise(image), 0, network.last)
    return {names[index]: output for index, output in outputs if index in names}


@cache
def golden_network() -> dict[str, Tensor]:
    """The float64 tensors that tests/golden/README.md describes, built once a session. Not to be changed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        built = _torchvision_convolutions()
    tensors: dict[str, Tensor] = {}
    for index, convolution in built.items():
        channels_out, channels_in = convolution.weight.shape[:2]
        assert convolution.bias is not None
        weight, bias = convolution.weight.detach(), convolution.bias.detach()
        weight = weight * sqrt(channels_out / channels_in)  # in float32, as the original run did
        tensors |= {f"features.{index}.weight": weight.double(), f"features.{index}.bias": bias.double()}
    return tensors


def _torchvision_convolutions() -> dict[int, nn.Conv2d]:
    """Those of `torchvision.models.vgg19(weights=None).features`, drawn as there, also where torchvision is not.

    All layers are made before the convolutions get their weights, the classifier's as well.
    """
    convolutions = {index: nn.Conv2d(*channels, 3, padding=1) for index, channels in CONVOLUTIONS.items()}
    for channels in ((512 * 7 * 7, 4096), (4096, 4096), (4096, 1000)):
        nn.Linear(*channels)
    for convolution in convolutions.values():
        assert convolution.bias is not None
        nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
        nn.init.zeros_(convolution.bias)
    return convolutions


@cache
def shallow_network(last_layer: str = "relu3_1", seed: int = 0) -> dict[str, Tensor]:
    """Random float64 filters of VGG-19's shapes up to `last_layer`, scaled to keep the size of features."""
    return _random_filters(last_layer, seed, 1)


@cache
def narrow_network(last_layer: str = "relu3_1", seed: int = 0) -> dict[str, Tensor]:
    """The same with an eighth of the channels, for what depends on the layers' order and on sizes alone."""
    return _random_filters(last_layer, seed, 8)


def _random_filters(last_layer: str, seed: int, narrower: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    tensors: dict[str, Tensor] = {}
    for index, channels in CONVOLUTIONS.items():
        if index < LAYERS[last_layer]:
            channels_in, channels_out = (count if count == 3 else count // narrower for count in channels)
            scale = sqrt(2 / (9 * channels_in))  # He et al. 2015, for a ReLU behind it
            shape = (channels_out, channels_in, 3, 3)
            weight = torch.randn(shape, generator=generator, dtype=torch.float64) * scale
            bias = torch.randn(channels_out, generator=generator, dtype=torch.float64) * 0.1
            tensors |= {f"features.{index}.weight": weight, f"features.{index}.bias": bias}
    return tensors
