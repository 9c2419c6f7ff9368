"""Filters from a seed: the same every time, orthogonal, and as strong in each layer as trained ones."""

import pytest
import torch

from styletransfer.network.random_weights import (
    MAGNITUDES,
    PICTURE_PX,
    build_weights,
    calibration_pictures,
    first_filters,
    orthogonal_filters,
)
from styletransfer.network.vgg_weights import RANDOM_RECIPE
from styletransfer.vgg_layers import CONVOLUTIONS, LAYERS
from tests.reference.network import PlainVGG19


@pytest.fixture(scope="module")
def deep():
    return build_weights(0, last_layer="relu5_1")


def test_the_same_seed_gives_the_same_bytes():
    first, second = (build_weights(7, last_layer="relu2_1") for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_another_seed_gives_other_filters_in_every_layer():
    first, second = (build_weights(seed, last_layer="relu2_1") for seed in (0, 1))
    assert not any(torch.equal(first[name], second[name]) for name in first)


def test_the_global_generator_is_neither_used_nor_moved():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = build_weights(0, last_layer="relu1_2")
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    second = build_weights(0, last_layer="relu1_2")
    assert torch.equal(first["features.2.weight"], second["features.2.weight"])


def test_a_deeper_network_has_the_same_first_layers(deep):
    shallow = build_weights(0, last_layer="relu2_2")
    assert all(torch.equal(shallow[name], deep[name]) for name in shallow)


def test_there_is_a_weight_and_a_bias_for_each_convolution_up_to_the_last_layer(deep):
    shapes = {name: tuple(tensor.shape) for name, tensor in deep.items()}
    expected: dict[str, tuple[int, ...]] = {}
    for index, (channels_in, channels_out) in CONVOLUTIONS.items():
        if index <= 28:
            expected[f"features.{index}.weight"] = (channels_out, channels_in, 3, 3)
            expected[f"features.{index}.bias"] = (channels_out,)
    assert shapes == expected


def test_this_version_of_the_recipe_gives_these_filters(deep):
    """When this fails, what a seed gives has changed: raise RANDOM_RECIPE, since records name it."""
    assert RANDOM_RECIPE == 1
    found = [deep[f"features.{index}.weight"].double().norm().item() for index in (0, 5, 19, 28)]
    # 1e-3: other machines round otherwise, and the standardised responses carry that on.
    assert found == pytest.approx([36.14911, 15.82796, 16.64260, 12.95431], rel=1e-3)


def test_random_filters_are_orthogonal_and_of_length_one():
    filters = orthogonal_filters(128, 64, torch.Generator().manual_seed(0)).flatten(1)
    # 1e-5: a few hundred products of float32 numbers
    assert torch.allclose(filters @ filters.T, torch.eye(128), atol=1e-5)


def test_the_first_layer_loses_nothing_to_the_relu():
    """Each filter has its opposite."""
    filters = first_filters(torch.Generator().manual_seed(3)).flatten(1)
    assert filters.shape == (64, 27)
    assert (filters[:, None] + filters).norm(dim=2).min(dim=1).values.max() < 1e-5


def test_the_first_layer_sees_colours_edges_and_lines():
    """12 patterns: 3 colours, 2 directions of edges in each, 3 of lines in brightness."""
    filters = first_filters(torch.Generator().manual_seed(3)).flatten(1)
    assert torch.linalg.matrix_rank(filters, atol=1e-4) == 12


def test_magnitudes_are_those_of_the_table(deep):
    layers = [name for name in LAYERS if name <= "relu5_1"]
    feats = PlainVGG19(deep, layers)(calibration_pictures().float())
    found = {LAYERS[name] - 1: feats[name].mean().item() for name in layers}
    # 1e-3: float32 through 13 layers
    assert found == pytest.approx({index: MAGNITUDES[index] for index in found}, rel=1e-3)


def test_no_channel_is_always_off_or_always_on(deep):
    layers = [name for name in LAYERS if name <= "relu5_1"]
    feats = PlainVGG19(deep, layers)(calibration_pictures().float())
    for name in layers:
        share = (feats[name] > 0).float().mean((0, 2, 3))
        assert share.min() > 0.05, name
        assert share.max() < 0.95, name


def test_depth_still_tells_pictures_apart(deep):
    """Unrelated pictures look unrelated at relu5_1, while depth in plain random networks makes all alike."""
    feats = PlainVGG19(deep, ["relu5_1"])(calibration_pictures().float())["relu5_1"].flatten(1)
    alike = torch.corrcoef(feats) - torch.eye(len(feats))
    assert alike.max() < 0.5


def test_calibration_pictures_have_the_spectrum_of_photographs():
    pictures = calibration_pictures()
    assert pictures.dtype == torch.float64
    assert pictures.min() >= 0
    assert pictures.max() <= 1
    brightness = pictures.mean(1)
    amplitude = torch.fft.rfft2(brightness - brightness.mean((1, 2), keepdim=True)).abs().mean(0)
    along = amplitude[0, 1 : PICTURE_PX // 4]
    frequency = torch.arange(1, len(along) + 1, dtype=torch.float64)
    x, y = frequency.log(), along.log()
    slope = ((x - x.mean()) * (y - y.mean())).sum() / ((x - x.mean()) ** 2).sum()
    assert -1.6 < slope < -0.7  # Field 1987: about -1
