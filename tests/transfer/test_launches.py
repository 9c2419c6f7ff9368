"""How many kernels an iteration launches on a GPU: at some microseconds each, they are what small pictures take.

Counted on fake CUDA tensors, which have a device, a shape and a type but no values, so that no GPU is needed.
"""

import pytest
import torch

from styletransfer.objective.objective import Objective
from styletransfer.settings import Settings
from tests.bench.work import count_iteration, total
from tests.fake_cuda import fake_gpus, fake_network

LAUNCHES = {128: 438, 256: 439, 512: 440, 1024: 441, 2048: 442}
"""By the longest edge, 4 : 3, with default settings in bf16 on one GPU. Fewer are welcome: store them here."""
ON_TWO_GPUS = 536
"""At 512 px: one batch of roots more, and copies."""

IN_STRIPS = {2: 784, 4: 1278}
"""At 512 px, by the GPUs that share the picture."""


def launches(px: int, devices: int = 1, *, in_strips: bool = False) -> int:
    """Of the second iteration of a scale."""
    names = tuple(f"cuda:{index}" for index in range(devices))
    with fake_gpus(devices):
        objective = Objective(fake_network(), Settings(), devices=names, dtype=torch.bfloat16)
        if in_strips:
            objective.place(names, objective.network.last, in_strips=True)
        content, style = (torch.empty(1, 3, px * 3 // 4, px, device=names[0]) for _ in range(2))
        return total(count_iteration(objective, content, style)).launches


@pytest.mark.parametrize(("px", "expected"), LAUNCHES.items())
def test_an_iteration_launches_no_more_kernels_than_it_did(px, expected):
    assert launches(px) <= expected


def test_nor_does_one_on_two_gpus():
    assert launches(512, devices=2) <= ON_TWO_GPUS


@pytest.mark.parametrize(("devices", "expected"), IN_STRIPS.items())
def test_nor_does_one_in_strips(devices, expected):
    assert launches(512, devices, in_strips=True) <= expected
