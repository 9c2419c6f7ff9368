"""VGG-19's layers by name, without the network itself (so that names can be checked without loading torch).

Names follow the field: `relu4_2` is the output of the second rectified convolution of the fourth block.
Source: Simonyan & Zisserman 2014, configuration E (https://arxiv.org/abs/1409.1556); indices are those of
torchvision's `vgg19().features`.
"""

from __future__ import annotations

from collections.abc import Iterable

CONVOLUTIONS_PER_BLOCK = (2, 2, 4, 4, 4)
CHANNELS_PER_BLOCK = (64, 128, 256, 512, 512)


def _index_layers() -> tuple[dict[str, int], tuple[int, ...], dict[int, tuple[int, int]]]:
    """ReLU indices by name, the poolings' indices, and each convolution's (in, out) channels by index."""
    relus: dict[str, int] = {}
    poolings: list[int] = []
    convolutions: dict[int, tuple[int, int]] = {}
    index, channels_in = 0, 3
    for block, (count, channels) in enumerate(
        zip(CONVOLUTIONS_PER_BLOCK, CHANNELS_PER_BLOCK, strict=True), 1
    ):
        for number in range(1, count + 1):
            convolutions[index] = (channels_in, channels)
            relus[f"relu{block}_{number}"] = index + 1
            index, channels_in = index + 2, channels
        poolings.append(index)
        index += 1
    return relus, tuple(poolings), convolutions


LAYERS, POOLING_INDICES, CONVOLUTIONS = _index_layers()
"""`LAYERS`: index in torchvision's `features` of each layer that may be chosen, by name, shallow to deep."""


def last_layer(names: Iterable[str]) -> str:
    """The deepest of the named layers: the network is cut after it."""
    return max(names, key=lambda name: LAYERS[name])


def smallest_input(names: Iterable[str]) -> int:
    """Shortest side in px that still leaves every named layer at least one position."""
    deepest = LAYERS[last_layer(names)]
    return 1 << sum(index < deepest for index in POOLING_INDICES)
