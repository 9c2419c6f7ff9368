"""What a render needs is known beforehand, and a render that does not fit whole is made to fit in tiles."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from styletransfer.errors import OutOfMemoryError
from styletransfer.network.steps import finished
from styletransfer.network.tiles import ALL_BLOCKS, Tiling
from styletransfer.objective.objective import Objective
from styletransfer.objective.passes import Pass
from styletransfer.objective.style import LayerMoments
from styletransfer.settings import Settings
from styletransfer.transfer.arrangements import Arrangement
from styletransfer.transfer.memory_plan import (
    FIXED_BYTES,
    PICTURES,
    REGION_BYTES,
    TILE_EDGES,
    Budget,
    memory_bytes,
    memory_plans,
    plan_memory,
    strip_bytes,
)
from styletransfer.vgg_layers import LAYERS, POOLING_INDICES
from tests.networks import shallow_network

GIB = 2**30
SIZE = (4096, 3072)
PLENTY = 10**13


def budget(*gib: float, host: float = 0) -> Budget:
    """GPUs with so many GiB each, and a host."""
    names = tuple(f"cuda:{index}" for index in range(len(gib)))
    return Budget(names, {name: int(size * GIB) for name, size in (*zip(names, gib, strict=True), ("cpu", host))})


def bytes_of(tiling, size=SIZE, element_size=2, **changes):
    return memory_bytes(size, Settings(**changes), element_size, tiling)["cpu"]


def growth(tiling, element_size, small, large, **changes):
    """Planned bytes per px between two squares."""
    least, most = (bytes_of(tiling, (side, side), element_size, **changes) for side in (small, large))
    return (most - least) / (large**2 - small**2)


# One device


def test_memory_that_is_known_to_suffice_takes_no_tiles():
    assert plan_memory(SIZE, Settings(), 2, budget(PLENTY)).tiling is None


def test_as_few_blocks_are_tiled_as_fit():
    """Tiling more blocks takes more time."""
    for blocks in (2, 3, ALL_BLOCKS):
        tiling = Tiling(256, blocks)
        chosen = plan_memory(SIZE, Settings(), 2, budget(bytes_of(tiling) / GIB)).tiling
        assert chosen is not None
        assert chosen.blocks == blocks


def test_tiles_are_as_large_as_fit():
    """Larger ones waste less on halos."""
    for edge in TILE_EDGES:
        tiling = Tiling(edge, ALL_BLOCKS)
        chosen = plan_memory(SIZE, Settings(), 4, budget(bytes_of(tiling, element_size=4) / GIB)).tiling
        assert chosen is not None
        assert chosen.blocks < ALL_BLOCKS or chosen.edge == edge


def test_a_picture_of_100_megapixels_fits_in_24_gb():
    size, tiling = (10_000, 10_000), Tiling(1024, ALL_BLOCKS)
    assert plan_memory(size, Settings(), 2, budget(24e9 / GIB)).tiling is not None
    assert bytes_of(tiling, size) <= 220 * 10**8


def test_lbfgs_keeps_many_pictures():
    """Ten pairs of steps, in float32: 240 bytes per px."""
    more = growth(Tiling(256, 5), 2, 512, 1024, optimizer="lbfgs") - growth(Tiling(256, 5), 2, 512, 1024)
    assert more >= 240


def test_what_fits_in_no_way_is_an_error_that_says_what_would():
    message = r"4096x3072 px need about .* GiB on cuda:0 .*, there are 0\.9 GiB and 1\.5 GiB; .* fits is \d+ px"
    with pytest.raises(OutOfMemoryError, match=message):
        plan_memory(SIZE, Settings(), 4, budget(0.9, host=1.5))


def test_the_largest_scale_that_fits_does_fit():
    little = budget(1.5)
    with pytest.raises(OutOfMemoryError) as caught:
        plan_memory((20_000, 10_000), Settings(), 2, little)
    scale = int(str(caught.value).split()[-2])
    plan_memory((scale, scale // 2), Settings(), 2, little)
    with pytest.raises(OutOfMemoryError):
        plan_memory((scale + 2, scale // 2 + 1), Settings(), 2, little)


def test_tiles_can_be_turned_off_or_fixed():
    tilings = [plan.tiling for plan in memory_plans(SIZE, Settings(tiles="off"), 2, budget(1))]
    assert tilings == [None]
    fixed = {plan.tiling for plan in memory_plans(SIZE, Settings(tiles=300), 2, budget(1))}
    assert {tiling.edge for tiling in fixed if tiling} == {300}
    with pytest.raises(OutOfMemoryError, match="tiles are off"):
        plan_memory(SIZE, Settings(tiles="off"), 2, budget(2, host=PLENTY))


@given(st.integers(16, 20_000), st.integers(16, 20_000), st.sampled_from([2, 4]))
def test_a_larger_picture_never_needs_less(width, height, element_size):
    for tiling in (None, *(Tiling(edge, blocks) for edge in TILE_EDGES for blocks in (2, 3, ALL_BLOCKS))):
        smaller = bytes_of(tiling, (width, height), element_size)
        assert smaller <= bytes_of(tiling, (width + 1, height), element_size)


def kept(tiling, px):
    """Bytes of the content's target, and of what is kept for the way back, of a square picture in float32."""
    objective = Objective(shallow_network("relu4_2"), DEEP, tiling=tiling)
    image = torch.rand(1, 3, px, px)
    target = objective.targets(image, {}).content["relu4_2"]
    collectors = [(LAYERS[layer], LayerMoments()) for layer in DEEP.layers()]
    outputs = finished(Pass(objective.network, tiling).forward(image, collectors, keep=True))
    return target.nbytes + sum(output.nbytes for output in outputs.values())


DEEP = Settings(content_layers=("relu4_2",), style_layers={"relu1_1": 1.0, "relu3_1": 1.0})


@pytest.mark.parametrize("blocks", [None, 1, 2, 3, ALL_BLOCKS])
def test_the_plan_counts_what_is_really_kept(blocks):
    """Beside Adam's two moments, image, average and gradient."""
    tiling = Tiling(32, blocks) if blocks else None
    sizes = [(1024, 1024), (2048, 2048)]
    least, most = (memory_bytes(size, DEEP, 4, tiling)["cpu"] for size in sizes)
    per_px = (most - least) / (2048**2 - 1024**2)
    assert per_px - 5 * 12 == pytest.approx(kept(tiling, 64) / 64**2, rel=1e-6)


# Host memory


def test_the_picture_lives_in_host_memory_only_when_it_would_fill_the_device():
    size = (20_000, 20_000)
    assert plan_memory(size, Settings(), 2, budget(80, host=PLENTY)).home == "cuda:0"
    plan = plan_memory(size, Settings(), 2, budget(12, host=PLENTY))
    assert (plan.home, plan.devices) == ("cpu", ("cuda:0",))
    assert plan.bytes["cpu"] >= 60 * size[0] * size[1]
    assert "the picture in cpu memory" in str(plan)
    with pytest.raises(OutOfMemoryError):
        plan_memory(size, Settings(), 2, budget(12, host=12))


def test_on_a_cpu_the_picture_has_no_other_place_to_be():
    plans = memory_plans(SIZE, Settings(), 2, Budget(("cpu",), {"cpu": GIB}))
    assert {plan.home for plan in plans} == {"cpu"}
    assert all(set(plan.bytes) == {"cpu"} for plan in plans)


# Two devices that share layers

LAYERS_SPLIT = Settings(split="layers")


def test_one_device_is_used_alone_while_the_picture_fits_whole():
    """Two give room, not speed."""
    assert plan_memory(SIZE, LAYERS_SPLIT, 2, budget(80, 80)).devices == ("cuda:0",)
    assert plan_memory(SIZE, LAYERS_SPLIT, 2, budget(2, 80)).devices == ("cuda:1",)


def test_two_devices_are_tried_before_tiles():
    alone = bytes_of(None) / GIB
    plan = plan_memory(SIZE, LAYERS_SPLIT, 2, budget(0.7 * alone, 0.7 * alone))
    assert (plan.tiling, plan.devices) == (None, ("cuda:0", "cuda:1"))


@pytest.mark.parametrize("ratio", [0.25, 0.5, 0.8, 1, 1.5, 4])
def test_two_devices_are_filled_evenly(ratio):
    """As evenly as layers can be shared, whichever of the two is the larger."""
    both = budget(8, 8 * ratio)
    plans = memory_plans(SIZE, Settings(tiles="off", split="layers"), 2, both)
    plan = next(plan for plan in plans if len(plan.devices) == 2)
    fills = [plan.bytes[device] / both.bytes[device] for device in plan.devices]
    assert max(fills) <= 1.25 * sum(plan.bytes.values()) / sum(both.bytes[device] for device in plan.devices)


def test_a_pooling_runs_where_what_it_pools_is():
    for size in [(side, side) for side in range(512, 4097, 256)]:
        for plan in memory_plans(size, Settings(tiles="off", split="layers"), 2, budget(4, 8)):
            assert plan.last_on_first + 1 not in POOLING_INDICES or len(plan.devices) == 1


def test_where_devices_are_split_nothing_is_lost_or_counted_twice():
    whole = memory_bytes(SIZE, Settings(), 2, None)["cpu"]
    for last_on_first in (1, 4, 9, 20):
        shared = memory_bytes(SIZE, Settings(), 2, None, ("cuda:0", "cuda:1"), last_on_first)
        assert sum(shared.values()) - FIXED_BYTES == pytest.approx(whole, abs=10)


def test_a_device_named_twice_is_used_as_two():
    plan = plan_memory(SIZE, Settings(), 2, Budget(("cpu", "cpu"), {"cpu": PLENTY}))
    assert plan.devices == ("cpu", "cpu")


# Regions and what is kept


def planned_with(**masks) -> int:
    """Planned bytes on one GPU."""
    plan = plan_memory(SIZE, Settings(), 2, replace(budget(PLENTY / GIB), **masks))
    return plan.bytes["cuda:0"]


def test_masks_and_what_is_kept_grow_with_the_picture_and_roots_with_the_regions():
    px, plain = SIZE[0] * SIZE[1], planned_with()
    of_one, of_three = planned_with(regions=1) - plain, planned_with(regions=3) - plain
    assert of_one == pytest.approx(px * 4 * 4 / 3, abs=1)  # at relu1_1 the picture's size, then a quarter each time
    assert of_three - 3 * of_one == pytest.approx(2 * REGION_BYTES, abs=3)
    kept = planned_with(regions=1, keeps=True) - planned_with(regions=1)
    assert kept >= px * 4 * (3 + 3 + 1)  # the content, the picture with it, and the mask


def test_what_is_kept_is_where_the_picture_is():
    """Which may be in host memory."""
    host, there = replace(budget(2, host=1000), keeps=True), budget(2, host=1000)
    kept, plain = (plan_memory((16384, 16384), Settings(), 2, each) for each in (host, there))
    assert (kept.home, plain.home) == ("cpu", "cpu")
    assert kept.bytes["cuda:0"] == plain.bytes["cuda:0"]
    assert kept.bytes["cpu"] > plain.bytes["cpu"]


def test_of_a_picture_in_strips_each_device_keeps_its_part():
    there, names = budget(80, 80), ("cuda:0", "cuda:1")
    kept, plain = (plan_memory(SIZE, Settings(), 2, each) for each in (replace(there, keeps=True), there))
    assert kept.picture_in_strips
    assert {kept.bytes[name] - plain.bytes[name] for name in names} == {3 * 12 * SIZE[0] * SIZE[1] // 2}


# Devices that share the picture


def test_strips_share_the_memory():
    """Halos are worked on twice, and each device has a network."""
    whole = memory_bytes(SIZE, Settings(), 2, None)["cpu"] - FIXED_BYTES
    names = ("cuda:0", "cuda:1", "cuda:2", "cuda:3")
    shared = strip_bytes(SIZE, Settings(), 2, None, names)
    own = [needed - FIXED_BYTES for needed in shared.values()]
    assert whole < sum(own) < 1.4 * whole
    assert max(own[1:]) < whole / 3


def test_what_one_device_cannot_hold_several_do_without_tiles():
    alone = bytes_of(None) / GIB
    plan = plan_memory(SIZE, Settings(), 2, budget(0.7 * alone, 0.7 * alone))
    assert (plan.tiling, plan.devices, plan.in_strips) == (None, ("cuda:0", "cuda:1"), True)
    assert str(plan) == "whole, in strips on cuda:0 and cuda:1"


def test_a_picture_too_large_for_whole_features_is_cut_into_strips_that_are_not():
    size = (8192, 6144)
    assert plan_memory(size, Settings(), 2, budget(400)).tiling is not None
    assert plan_memory(size, Settings(), 2, budget(*[400] * 4)).tiling is None


def test_the_device_with_more_room_has_the_picture():
    plans = memory_plans(SIZE, Settings(optimizer="lbfgs"), 2, budget(4, 40))
    assert {plan.home for plan in plans if plan.in_strips} == {"cuda:1", "cpu"}


def test_with_adam_the_first_device_has_no_more_of_the_picture_than_others_but_at_first():
    """With L-BFGS it has all of it."""
    names = ("cuda:0", "cuda:1")
    for optimizer, more in (("adam", 0), ("lbfgs", PICTURES["lbfgs"] * 12 * SIZE[0] * SIZE[1])):
        chosen = Settings.model_validate({"optimizer": optimizer})
        first, second = strip_bytes(SIZE, chosen, 2, None, names).values()
        assert first - second == pytest.approx(more, rel=0.01, abs=2**20)
    size = (32768, 24576)  # in tiles of all blocks little else is kept
    first, second = strip_bytes(size, DEEP, 2, Tiling(256, ALL_BLOCKS), names).values()
    assert first == max(second, FIXED_BYTES + PICTURES["adam"] * 12 * size[0] * size[1])


@pytest.mark.parametrize("tiling", [None, Tiling(32, 2)])
def test_the_plan_counts_what_a_device_keeps_of_its_strip(tiling):
    """Beside the picture, the optimizer's state and the average: content's target, and what goes back."""
    names, sizes = ("cuda:0", "cuda:1"), [(640, 960), (1280, 1920)]
    least, most = (strip_bytes(size, DEEP, 4, tiling, names)["cuda:1"] for size in sizes)
    rows = [dict(Arrangement(names, in_strips=True).parts(size, DEEP))["cuda:1"] for size in sizes]
    per_px = (most - least) / (rows[1] * sizes[1][0] - rows[0] * sizes[0][0])
    assert per_px - (2 + PICTURES["adam"]) * 12 == pytest.approx(kept(tiling, 64) / 64**2, rel=1e-6)
