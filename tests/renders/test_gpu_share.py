"""What share of a GPU a render needs: of its memory by the plan, or all of it where it keeps the GPU busy."""

from dataclasses import replace

import pytest

from styletransfer.machine.hardware import Hardware
from styletransfer.manifest.pairs import Pair, PairStyle
from styletransfer.renders.gpu_share import gpu_share
from styletransfer.renders.output_places import OutputPlaces
from styletransfer.renders.plan import PlannedPair
from styletransfer.settings import Settings
from styletransfer.transfer.memory_plan import Budget, plan_memory

GIB = 2**30


class Machine(Hardware):
    def __init__(self, *, bf16: bool = True) -> None:
        self.bf16 = bf16

    def has_bf16(self, device):
        return self.bf16

    def free_memory(self, device):
        return 1000 * GIB


def planned(px=512, **values):
    pair = Pair("p", "a.png", (PairStyle("b.png"),), Settings(**values), "png", None, "normal", "pairs[0]")
    return PlannedPair(pair, OutputPlaces("/out", "demo"), size=(px, px * 3 // 4), scales=(128, px))


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
