"""How pairs fit on devices of known memory."""

from dataclasses import replace

import pytest

from styletransfer.errors import OutOfMemoryError
from styletransfer.machine.hardware import Hardware
from styletransfer.renders.device_fit import device_fit
from tests.renders.test_gpu_share import GIB, planned


class Machine(Hardware):
    def __init__(self, gib: float) -> None:
        self.bytes = int(gib * GIB)

    def has_bf16(self, device: str) -> bool:
        return True

    def free_memory(self, device: str) -> int:
        return self.bytes if device != "cpu" else 100 * GIB


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
