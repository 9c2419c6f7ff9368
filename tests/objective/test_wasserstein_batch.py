"""The style loss by a chain of products, as on CUDA, is that by eigenvalues of exact moments, for any picture."""

from functools import cache

import pytest
import torch
from torch import Tensor

from styletransfer.network.random_weights import build_weights, calibration_pictures
from styletransfer.network.vgg import VGG19
from styletransfer.objective.moments import Moments
from styletransfer.objective.wasserstein import StyleTarget, style_target
from styletransfer.objective.wasserstein_batch import batches_of
from tests.gpu.roots import example_pictures, layer_errors
from tests.networks import features, shallow_network
from tests.reference.losses import moments

NARROW = ("relu1_1", "relu2_1", "relu3_1")
ALL = (*NARROW, "relu4_1", "relu5_1")
PICTURES = example_pictures()
STYLES = {"painted": calibration_pictures()[1:2].float(), "of one colour": PICTURES["of one colour"]}


@cache
def network(name: str, dtype: torch.dtype, layers: tuple[str, ...]) -> VGG19:
    tensors = build_weights(0, last_layer=layers[-1]) if name == "calibrated" else shallow_network(layers[-1])
    return VGG19(tensors, layers, dtype=dtype)


@cache
def targets(name: str, style: str, layers: tuple[str, ...]) -> dict[str, StyleTarget]:
    feats = features(network(name, torch.float32, layers), STYLES[style])
    return {layer: style_target(moments(feats[layer].double())) for layer in layers}


def check(name: str, picture: Tensor, style: str, dtype: torch.dtype, layers: tuple[str, ...]) -> None:
    feats = features(network(name, dtype, layers), picture)
    for layer, errors in layer_errors(feats, targets(name, style, layers)):
        assert max(errors) <= 1e-3, layer  # measured: at most 1e-4 each


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("picture", PICTURES)
@pytest.mark.parametrize(
    ("name", "dtype"),
    [("calibrated", torch.float32), ("calibrated", torch.bfloat16), ("random", torch.bfloat16)],
)
def test_value_and_gradient_are_those_of_exact_moments_by_eigenvalues(name, picture, style, dtype):
    check(name, PICTURES[picture], style, dtype, NARROW)


@pytest.mark.parametrize("picture", ["of one colour", "of two colours", "of few positions"])
def test_so_they_are_with_512_channels(picture):
    check("random", PICTURES[picture], "painted", torch.bfloat16, ALL)


def random_target(channels: int, seed: int) -> StyleTarget:
    return style_target(random_moments(channels, seed))


def random_moments(channels: int, seed: int) -> Moments:
    generator = torch.Generator().manual_seed(seed)
    return moments(torch.rand(1, channels, 3, channels, generator=generator, dtype=torch.float64))


def test_layers_of_like_width_share_a_batch():
    goals = {str(channels): random_target(channels, channels) for channels in (64, 512, 256)}
    goals["512 again"] = goals["512"]
    assert [batch.layers for batch in batches_of(goals)] == [("64", "256"), ("512", "512 again")]


def test_without_layers_there_is_no_batch():
    assert batches_of({}) == ()
