"""The style loss by a chain of products, as on CUDA, is that by eigenvalues of exact moments, for any picture."""

from functools import cache

import pytest
import torch
from torch import Tensor

from styletransfer.network.random_weights import build_weights, calibration_pictures
from styletransfer.network.vgg import VGG19
from styletransfer.objective.moments import CentredSums, Moments
from styletransfer.objective.wasserstein import StyleTarget, distance_and_gradient, style_target
from styletransfer.objective.wasserstein_batch import batches_of
from tests.networks import features, shallow_network
from tests.reference.losses import moments

NARROW = ("relu1_1", "relu2_1", "relu3_1")
ALL = (*NARROW, "relu4_1", "relu5_1")


def _pictures() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    flat = torch.tensor([0.3, 0.5, 0.5]).view(1, 3, 1, 1).expand(1, 3, 64, 64)
    two = flat.clone()
    two[..., 32:] = torch.tensor([0.9, 0.1, 0.2]).view(3, 1, 1)
    noise = torch.rand(1, 3, 64, 64, generator=generator)
    return {
        "of one colour": flat,
        "black": torch.zeros(1, 3, 64, 64),
        "of two colours": two,
        "gray": noise / 255 + 0.5,
        "noise": noise,
        "one feature wide": torch.rand(1, 3, 320, 16, generator=generator),
        "of few positions": noise[..., :16, :16],
        "like a photograph": calibration_pictures()[:1].float(),
    }


PICTURES = _pictures()
STYLES = {"painted": calibration_pictures()[1:2].float(), "of one colour": PICTURES["of one colour"]}


@cache
def network(name: str, dtype: torch.dtype, layers: tuple[str, ...]) -> VGG19:
    tensors = build_weights(0, last_layer=layers[-1]) if name == "calibrated" else shallow_network(layers[-1])
    return VGG19(tensors, layers, dtype=dtype)


@cache
def targets(name: str, style: str, layers: tuple[str, ...]) -> dict[str, StyleTarget]:
    feats = features(network(name, torch.float32, layers), STYLES[style])
    return {layer: style_target(moments(feats[layer].double())) for layer in layers}


def in_float32(target: StyleTarget) -> StyleTarget:
    return StyleTarget(target.mean.float(), target.covariance.float(), target.root.float(), target.square.float())


def exact(feats: Tensor, target: StyleTarget) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Distance and gradient at mean and covariance by eigenvalues in float64, and the terms that nearly cancel."""
    found = moments(feats.double())
    value, gradient = distance_and_gradient(found, target)
    # srm's gradient is the covariance's; the mean's has it once more, as covariance = srm - mean mean^T
    at_mean = gradient.mean + 2 * gradient.srm @ found.mean
    scale = (found.mean - target.mean).square().mean() + (found.covariance() + target.covariance).diagonal().mean()
    return value, at_mean, gradient.srm, scale


def check(name: str, picture: Tensor, style: str, dtype: torch.dtype, layers: tuple[str, ...]) -> None:
    feats = features(network(name, dtype, layers), picture)
    goals = targets(name, style, layers)
    for batch in batches_of({layer: in_float32(goals[layer]) for layer in layers}):
        sums = [CentredSums.of(feats[layer]) for layer in batch.layers]
        for layer, part, (value, gradient) in zip(
            batch.layers, sums, batch.distances_and_gradients(sums), strict=True
        ):
            exact_value, at_mean, at_covariance, scale = exact(feats[layer], goals[layer])
            # Measured: at most 1e-4 each. Of a style against itself next to nothing is left but rounding.
            assert (value - exact_value).abs() <= 1e-3 * exact_value.abs() + 1e-5 * scale, layer
            identity = 1 / len(part.mean) * torch.eye(len(part.mean), dtype=torch.float64)
            error = torch.linalg.matrix_norm(gradient.srm - at_covariance)
            slope = torch.linalg.matrix_norm(at_covariance - identity)
            assert error <= 1e-3 * slope, layer
            found_at_mean = gradient.mean.double() + 2 * gradient.srm.double() @ part.mean.double()
            rounding = 1e-5 * part.mean.norm() / len(part.mean)
            assert (found_at_mean - at_mean).norm() <= 1e-3 * at_mean.norm() + rounding, layer


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
