"""How pairs fit on devices of known memory, and what share of a GPU they need."""

from dataclasses import replace

import pytest

from styletransfer.errors import OutOfMemoryError
from styletransfer.machine.hardware import Hardware
from styletransfer.manifest.pairs import Pair, PairStyle
from styletransfer.planning.device_fit import device_fit, gpu_share
from styletransfer.planning.plan import PlannedPair
from styletransfer.records.output_places import OutputPlaces
from styletransfer.settings import Settings
from styletransfer.transfer.memory_plan import Budget, plan_memory

GIB = 2**30


class Machine(Hardware):
    def __init__(self, gib: float = 80, *, bf16: bool = True) -> None:
        self.bytes, self.bf16 = int(gib * GIB), bf16

    def has_bf16(self, device):
        return self.bf16

    def free_memory(self, device):
        return self.bytes if device != "cpu" else 1000 * GIB


def planned(px=512, **values):
    pair = Pair("p", "a.png", (PairStyle("b.png"),), Settings(**values), "png", None, "normal", "pairs[0]")
    return PlannedPair(pair, OutputPlaces("/out", "demo"), size=(px, px * 3 // 4), scales=(128, px))


def fit(pair, gib, *devices):
    return str(device_fit(pair, devices or ("cuda:0",), Machine(gib)))


def test_a_picture_is_whole_where_there_is_room_and_in_tiles_where_not():
    assert fit(planned(2048), 80) == "whole on cuda:0"
    assert "tiles" in fit(planned(2048), 2.4)
    assert "in strips on cuda:0 and cuda:1" in fit(planned(4096, gpus=2), 80, "cuda:0", "cuda:1", "cuda:2")


def test_what_fits_nowhere_says_so():
    with pytest.raises(OutOfMemoryError, match=r"^4096x3072 px need .*\(tiles are off\), .* that fits is \d+ px$"):
        fit(planned(4096, tiles="off"), 2.4)


def test_without_a_size_nothing_is_known():
    assert device_fit(replace(planned(), size=None), ("cuda:0",), Machine(80)) is None


# Of one GPU


def share(of, gib=80.0, **machine):
    return gpu_share(of, "cuda:0", int(gib * GIB), Machine(**machine))


def test_a_small_render_needs_what_its_memory_plan_says():
    budget = Budget(("cuda:0",), {"cuda:0": 80 * GIB, "cpu": 1000 * GIB}, replays=True, regions=2, keeps=True)
    plan = plan_memory((512, 384), Settings(), 2, budget)
    assert share(planned()) == plan.bytes["cuda:0"] / (80 * GIB)
    assert share(planned()) < 0.02
    assert share(planned(), bf16=False) > share(planned())  # features of four bytes
    assert share(planned(), gib=2) == pytest.approx(40 * share(planned()))
    assert share(planned(128)) < share(planned()) < share(planned(1024))


@pytest.mark.parametrize(
    "busy",
    [
        planned(2048),  # not replayed: longer than its launches
        planned(optimizer="lbfgs"),
        planned(precision="float64"),
        planned(tiles=256),
        planned(gpus=2),
        replace(planned(), size=None),
    ],
    ids=["2048 px", "L-BFGS", "float64", "in tiles", "two GPUs", "size unknown"],
)
def test_one_that_keeps_a_gpu_busy_has_it_to_itself(busy):
    assert share(busy) == 1


def test_so_has_one_for_which_there_is_hardly_memory():
    assert share(planned(1024), gib=1.3) == 1  # only in tiles
    assert share(planned(), gib=0.1) == 1  # not at all: told when it is rendered


def test_without_graphs_no_gpu_is_shared(monkeypatch):
    monkeypatch.setenv("STYLETRANSFER_CUDA_GRAPHS", "0")
    assert share(planned()) == 1
