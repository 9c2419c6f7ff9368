"""Tiles partition every layer, and what is computed by tiles is what is computed whole."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from styletransfer.frozen_objective import FrozenObjective
from styletransfer.layers import LAYERS, POOLING_INDICES
from styletransfer.settings import Settings
from styletransfer.tiles import ALL_BLOCKS, Tiling, halo_px, stride
from tests.networks import shallow_network

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


def _losses_and_gradient(settings: Settings, dtype: torch.dtype, tiling: Tiling | None, devices=("cpu",)):
    generator = torch.Generator().manual_seed(1)
    image, content, style = (
        torch.rand(1, 3, *size, generator=generator, dtype=torch.float64).to(dtype)
        for size in ((59, 83), (59, 83), (48, 40))
    )
    tensors = shallow_network(settings.layers()[-1])
    objective = FrozenObjective(tensors, settings, dtype=dtype, tiling=tiling, devices=devices)
    targets = objective.targets(content, objective.style_moments(style))
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
    settings = SHALLOW.model_copy(update={"pooling": pooling})
    whole, gradient = _losses_and_gradient(settings, torch.float64, None)
    tiled, tiled_gradient = _losses_and_gradient(settings, torch.float64, Tiling(edge, blocks))
    assert tiled == pytest.approx(whole, rel=1e-10)
    torch.testing.assert_close(tiled_gradient, gradient, rtol=1e-9, atol=1e-9 * gradient.abs().max().item())


@pytest.mark.parametrize("blocks", [3, 4, 5])
def test_tiles_of_deep_blocks_change_nothing(blocks) -> None:
    whole, gradient = _losses_and_gradient(Settings(), torch.float64, None)
    tiled, tiled_gradient = _losses_and_gradient(Settings(), torch.float64, Tiling(32, blocks))
    assert tiled == pytest.approx(whole, rel=1e-10)
    torch.testing.assert_close(tiled_gradient, gradient, rtol=1e-9, atol=1e-9 * gradient.abs().max().item())


def test_tiled_gradients_agree_in_float32() -> None:
    """Within 1e-5, which is float32's rounding in sums over thousands of positions."""
    _, gradient = _losses_and_gradient(SHALLOW, torch.float32, None)
    _, tiled = _losses_and_gradient(SHALLOW, torch.float32, Tiling(16, 2))
    assert torch.linalg.vector_norm(tiled - gradient) <= 1e-5 * torch.linalg.vector_norm(gradient)


def test_tiles_on_two_devices_change_nothing() -> None:
    _, one = _losses_and_gradient(SHALLOW, torch.float64, Tiling(32, 2))
    _, two = _losses_and_gradient(SHALLOW, torch.float64, Tiling(32, 2), devices=("cpu", "cpu"))
    assert torch.equal(one, two)
