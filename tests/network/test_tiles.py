"""Tiles partition every layer, and what is computed by tiles is what is computed whole."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from styletransfer.network.tiles import ALL_BLOCKS, Tiling, halo_px, stride
from styletransfer.objective.moments import blend
from styletransfer.objective.objective import Objective
from styletransfer.pictures.picture import resize, to_tensor
from styletransfer.settings import Settings
from styletransfer.sizes import size_to_fit
from styletransfer.vgg_layers import LAYERS, POOLING_INDICES
from tests import golden_numbers as golden
from tests.networks import golden_network, narrow_network, shallow_network
from tests.reference.objective import ReferenceObjective

LAST = LAYERS["relu5_1"]


def test_halos_are_as_wide_as_features_see() -> None:
    """Each 3 x 3 convolution sees one position further, of the px that its stride makes."""
    assert [halo_px(index) for index in POOLING_INDICES[:4]] == [2, 8, 24, 64]
    assert halo_px(LAST) == 80


@given(width=st.integers(16, 300), edge=st.integers(8, 200), blocks=st.integers(1, ALL_BLOCKS))
def test_each_feature_belongs_to_exactly_one_tile(width: int, edge: int, blocks: int) -> None:
    """In the picture and in the part that the tile reads it is the same feature."""
    tiling = Tiling(edge, blocks)
    tiles = [tile for tile in tiling.tiles(16, width, LAST) if tile.rows.start == 0]
    for index in range(tiling.last(LAST) + 1):
        owners = [0] * (width // stride(index))
        for tile in tiles:
            read, own = tile.read()[1], tile.owned(index)[1]
            for column in range(own.start, own.stop):
                owners[column] += 1
            part = tile.owned_within(index)[1]
            assert part.start + read.start // stride(index) == own.start
            assert part.stop + read.start // stride(index) == own.stop
        assert set(owners) == {1}


def _pair(settings, dtype, tiling, size=(59, 83), kind=Objective, filters=narrow_network):
    """An image, targets, and the objective that compares them."""
    generator = torch.Generator().manual_seed(1)
    image, content, style = (
        torch.rand(1, 3, *shape, generator=generator, dtype=torch.float64).to(dtype)
        for shape in (size, size, (48, 40))
    )
    objective = kind(filters(settings.layers()[-1]), settings, dtype=dtype)
    objective.tiling = tiling
    return image, objective.targets(content, objective.style_moments(style)), objective


def _losses_and_gradient(settings: Settings, dtype: torch.dtype, tiling: Tiling | None, filters=narrow_network):
    image, targets, objective = _pair(settings, dtype, tiling, filters=filters)
    losses, gradient = objective.value_and_gradient(image, targets)
    return losses.read(), gradient


SHALLOW = Settings(
    content_layers=("relu2_2", "relu3_1"), style_layers={"relu1_1": 4.0, "relu2_1": 2.0, "relu3_1": 1.0}
)


@pytest.mark.parametrize("pooling", ["max", "average", "l2"])
@pytest.mark.parametrize("edge", [16, 32])
@pytest.mark.parametrize("blocks", [1, 2, 5])
def test_tiles_change_nothing(pooling, edge, blocks) -> None:
    """Odd sizes, content and style layers inside and outside the tiled part; rounding alone differs."""
    chosen = SHALLOW.model_copy(update={"pooling": pooling})
    whole, gradient = _losses_and_gradient(chosen, torch.float64, None)
    tiled, tiled_gradient = _losses_and_gradient(chosen, torch.float64, Tiling(edge, blocks))
    assert tiled == pytest.approx(whole, rel=1e-10)
    torch.testing.assert_close(tiled_gradient, gradient, rtol=1e-9, atol=1e-9 * gradient.abs().max().item())


@pytest.mark.parametrize("blocks", [3, 4, 5])
def test_tiles_of_deep_blocks_change_nothing(blocks) -> None:
    whole, gradient = _losses_and_gradient(Settings(), torch.float64, None)
    tiled, tiled_gradient = _losses_and_gradient(Settings(), torch.float64, Tiling(32, blocks))
    assert tiled == pytest.approx(whole, rel=1e-10)
    torch.testing.assert_close(tiled_gradient, gradient, rtol=1e-9, atol=1e-9 * gradient.abs().max().item())


@pytest.mark.parametrize(("pooling", "rounding"), [("max", 3e-5), ("average", 1e-5), ("l2", 1e-5)])
@pytest.mark.parametrize(("edge", "blocks"), [(16, 2), (32, 5)])
def test_tiled_gradients_agree_in_float32(pooling, rounding, edge, blocks) -> None:
    """Within float32's rounding in sums over thousands of positions and all of VGG-19's channels.

    With maxima that is 7e-6 where the processor has AVX-512, and 1.6e-5 where it has AVX2 alone.
    """
    chosen = SHALLOW.model_copy(update={"pooling": pooling})
    _, gradient = _losses_and_gradient(chosen, torch.float32, None, shallow_network)
    _, tiled = _losses_and_gradient(chosen, torch.float32, Tiling(edge, blocks), shallow_network)
    assert torch.linalg.vector_norm(tiled - gradient) <= rounding * torch.linalg.vector_norm(gradient)


@pytest.mark.parametrize("last_on_first", [1, 4, 8, LAYERS["relu3_1"]])
@pytest.mark.parametrize("tiling", [None, Tiling(32, 1), Tiling(16, 2), Tiling(32, 5)])
def test_two_devices_split_anywhere_change_nothing(tiling, last_on_first) -> None:
    """Between the layers of a tile as well as between its last and the rest."""
    image, targets, objective = _pair(SHALLOW, torch.float64, tiling)
    _, one = objective.value_and_gradient(image, targets)
    objective.place(("cpu", "cpu"), last_on_first)
    assert objective.network.last_on_first == last_on_first
    _, two = objective.value_and_gradient(image, targets)
    assert torch.equal(one, two)


@settings(deadline=None, max_examples=8)
@given(
    height=st.integers(4, 40),
    width=st.integers(4, 40),
    edge=st.integers(4, 20),
    blocks=st.integers(1, ALL_BLOCKS),
    pooling=st.sampled_from(["max", "average", "l2"]),
)
def test_tiles_of_any_picture_have_the_references_gradient(height, width, edge, blocks, pooling) -> None:
    chosen = SHALLOW.model_copy(update={"pooling": pooling})
    image, targets, objective = _pair(chosen, torch.float64, Tiling(edge, blocks), (height, width))
    _, tiled = objective.value_and_gradient(image, targets)
    image, targets, objective = _pair(chosen, torch.float64, None, (height, width), ReferenceObjective)
    _, gradient = objective.value_and_gradient(image, targets)
    torch.testing.assert_close(tiled, gradient, rtol=0, atol=1e-9 * gradient.abs().max().item())


@pytest.mark.parametrize(
    ("tiling", "dtype", "tolerance"),
    [
        (Tiling(16, 2), torch.float64, 1e-9),
        (Tiling(32, 3), torch.float64, 1e-9),
        (Tiling(16, 2), torch.float32, 0.014),  # a cosine of 0.9999
        (Tiling(32, 5), torch.float32, 0.014),
    ],
)
def test_tiles_have_the_original_programs_gradient(tiling, dtype, tolerance) -> None:
    """Its golden one, as close as what works on the whole picture."""
    objective = Objective(golden_network(), Settings(), dtype=dtype, tiling=tiling)
    content = to_tensor(resize(golden.picture("content"), (80, 60)), dtype)
    styles = [golden.picture(name) for name in ("style_a", "style_b")]
    parts = [
        objective.style_moments(to_tensor(resize(style, size_to_fit(style.size, 80, enlarge=False)), dtype))
        for style in styles
    ]
    blended = {layer: blend([part[layer] for part in parts], [0.25, 0.75]) for layer in parts[0]}
    image = golden.tensor("image")[None].to(dtype)
    _, gradient = objective.value_and_gradient(image, objective.targets(content, blended))
    expected = golden.tensor("grad_max").view_as(gradient)
    distance = torch.linalg.vector_norm(gradient.double() - expected) / torch.linalg.vector_norm(expected)
    assert distance <= tolerance


@pytest.mark.parametrize("tiling", [None, Tiling(16, 2), Tiling(16, 5)])
def test_a_picture_is_left_alone(tiling) -> None:
    image, targets, objective = _pair(SHALLOW, torch.float64, tiling)
    before = image.clone()
    objective.value_and_gradient(image, targets)
    assert torch.equal(image, before)
