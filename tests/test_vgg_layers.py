"""The layer table is that of torchvision's VGG-19, read off the real network."""

import pytest
import torch
import torchvision
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from styletransfer.vgg_layers import CONVOLUTIONS, LAYERS, POOLING_INDICES, last_layer, smallest_input


@pytest.fixture(scope="module")
def torchvision_layers() -> list[nn.Module]:
    with torch.device("meta"):  # shapes without memory
        return list(torchvision.models.vgg19(weights=None).features)


def test_every_name_is_a_relu_of_torchvision_and_every_relu_has_one(torchvision_layers):
    relus = [index for index, layer in enumerate(torchvision_layers) if isinstance(layer, nn.ReLU)]
    assert list(LAYERS.values()) == relus


def test_poolings_are_where_torchvision_has_them(torchvision_layers):
    poolings = [index for index, layer in enumerate(torchvision_layers) if isinstance(layer, nn.MaxPool2d)]
    assert list(POOLING_INDICES) == poolings


def test_convolutions_have_the_channels_of_torchvision(torchvision_layers):
    channels = {
        index: (layer.in_channels, layer.out_channels)
        for index, layer in enumerate(torchvision_layers)
        if isinstance(layer, nn.Conv2d)
    }
    assert channels == CONVOLUTIONS


@pytest.mark.parametrize(
    ("name", "index"),
    [("relu1_1", 1), ("relu2_1", 6), ("relu3_1", 11), ("relu4_1", 20), ("relu4_2", 22), ("relu5_1", 29)],
)
def test_the_default_layers_have_the_indices_of_the_original_program(name, index):
    assert LAYERS[name] == index


@given(st.permutations(list(LAYERS)), st.integers(1, len(LAYERS)))
def test_the_last_layer_is_the_deepest_in_any_order(names, count):
    chosen = names[:count]
    assert LAYERS[last_layer(chosen)] == max(LAYERS[name] for name in chosen)


@pytest.mark.parametrize("name", LAYERS)
def test_the_smallest_input_leaves_one_position_and_one_px_less_leaves_none(name, torchvision_layers):
    needed = smallest_input([name])

    def positions(side: int) -> int:
        for layer in torchvision_layers[: LAYERS[name] + 1]:
            side = side // 2 if isinstance(layer, nn.MaxPool2d) else side
        return side

    assert positions(needed) == 1
    assert positions(needed - 1) == 0


def test_the_smallest_input_is_that_of_the_deepest_layer():
    assert smallest_input(["relu5_1", "relu1_1"]) == 16
