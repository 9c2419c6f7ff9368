"""What a render needs is known beforehand, and a render that does not fit whole is made to fit in tiles."""

import weakref

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from styletransfer import devices
from styletransfer.errors import OutOfMemoryError
from styletransfer.memory import memory_plans, plan_memory
from styletransfer.picture import Picture
from styletransfer.settings import Settings
from styletransfer.stylizer import Stylizer
from styletransfer.tiles import ALL_BLOCKS, Tiling
from styletransfer.weights import Weights
from tests.networks import shallow_network

GIB = 2**30
SIZE = (4096, 3072)


def bytes_of(tiling, size=SIZE, element_size=2):
    plans = memory_plans(size, Settings(), element_size)
    return next(plan.bytes for plan in plans if plan.tiling == tiling)


def test_memory_that_is_known_to_suffice_takes_no_tiles():
    assert plan_memory(SIZE, Settings(), 2, 10**12).tiling is None


def test_as_few_blocks_are_tiled_as_fit():
    """Tiling more blocks takes more time."""
    for blocks in (2, 3, ALL_BLOCKS):
        tiling = Tiling(256, blocks)
        chosen = plan_memory(SIZE, Settings(), 2, bytes_of(tiling)).tiling
        assert chosen is not None
        assert chosen.blocks == blocks


def test_growth_per_pixel_is_as_measured():
    """Peak resident memory from 512 to 1024 px square grew by 767, 405, 255 and (float32) 1318 bytes per px."""
    for tiling, element_size, measured in [
        (None, 2, 767),
        (Tiling(256, 2), 2, 405),
        (Tiling(256, 3), 2, 255),
        (None, 4, 1318),
    ]:
        small, large = (bytes_of(tiling, (side, side), element_size) for side in (512, 1024))
        assert (large - small) / (1024**2 - 512**2) == pytest.approx(measured, rel=0.15)


def test_a_picture_of_100_megapixels_fits_in_24_gb():
    assert plan_memory((10_000, 10_000), Settings(), 2, 24 * 10**9).tiling is not None


def test_what_fits_in_no_way_is_an_error_that_says_what_would():
    with pytest.raises(OutOfMemoryError, match=r"4096x3072 px need about .* GiB, .* 1\.2 GiB; .* fits is \d+ px"):
        plan_memory(SIZE, Settings(), 4, int(1.2 * GIB))


def test_tiles_can_be_turned_off_or_fixed():
    assert [plan.tiling for plan in memory_plans(SIZE, Settings(tiles="off"), 2)] == [None]
    assert {plan.tiling.edge for plan in memory_plans(SIZE, Settings(tiles=300), 2) if plan.tiling} == {300}
    with pytest.raises(OutOfMemoryError, match="tiles are off"):
        plan_memory(SIZE, Settings(tiles="off"), 2, 2 * GIB)


@given(st.integers(16, 20_000), st.integers(16, 20_000), st.sampled_from([2, 4]))
def test_a_larger_picture_never_needs_less(width, height, element_size):
    for plan, larger in zip(
        memory_plans((width, height), Settings(), element_size),
        memory_plans((width + 1, height), Settings(), element_size),
        strict=True,
    ):
        assert plan.bytes <= larger.bytes


class Cramped:
    """An objective on a device whose memory holds no picture whole."""

    def __init__(self, objective):
        self.objective, self.tiling = objective, None
        self.held = []

    def __getattr__(self, name):
        return getattr(self.objective, name)

    def value_and_gradient(self, image, targets):
        assert all(features() is None for features in self.held), "a failed try still holds its memory"
        if self.tiling is None or self.tiling.blocks < 3:
            features = torch.zeros(3)
            self.held.append(weakref.ref(features))
            raise torch.OutOfMemoryError("CUDA out of memory")
        self.objective.tiling = self.tiling
        return self.objective.value_and_gradient(image, targets)


def _rendered(tiles="auto", wrap=None):
    settings = Settings(
        end_scale=64,
        min_scale=45,
        initial_iterations=2,
        iterations=2,
        tiles=tiles,
        precision="float64",
        content_layers=("relu2_2",),
        style_layers={"relu1_1": 1.0, "relu3_1": 1.0},
    )
    stylizer = Stylizer(Weights("random", "random", shallow_network()), settings)
    if wrap:
        stylizer.objective = wrap(stylizer.objective)
    noise = torch.randint(0, 256, (64, 48, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    picture = Picture(noise.numpy())
    return stylizer, stylizer.run(picture, [picture], [1.0])


def test_out_of_memory_goes_on_in_tiles_from_where_it_stood(caplog):
    _, whole = _rendered()
    stylizer, image = _rendered(wrap=Cramped)
    torch.testing.assert_close(image, whole, rtol=0, atol=1e-9)
    assert "out of memory at scale 45 (34x45 px) on cpu; going on with Tiling" in caplog.text
    assert [report.tiling["blocks"] for report in stylizer.scales_report] == [3, 3]


def test_out_of_memory_with_nothing_cheaper_left_says_where():
    with pytest.raises(OutOfMemoryError, match=r"out of memory at scale 45 \(34x45 px\) on cpu"):
        _rendered(tiles="off", wrap=Cramped)


def test_tiles_of_a_fixed_size_change_nothing():
    torch.testing.assert_close(_rendered(tiles=16)[1], _rendered(tiles="off")[1], rtol=0, atol=1e-9)


def test_a_render_that_can_not_fit_ends_before_it_begins(monkeypatch):
    monkeypatch.setattr(devices.Hardware, "free_memory", lambda self, device: 10 * 2**20)
    with pytest.raises(OutOfMemoryError, match="need about"):
        _rendered()
