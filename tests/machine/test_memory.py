"""Memory of devices: budgets, peaks, and errors that mean that there is none left."""

import os

import pytest
import torch

from styletransfer.machine.hardware import Hardware
from styletransfer.machine.memory import is_out_of_memory, memory_budgets, peak_memory, reset_peak_memory


class Machine(Hardware):
    """A machine with GPUs that had these peaks."""

    def __init__(self, **peaks: int) -> None:
        self.peaks = {f"cuda:{name[-1]}": peak for name, peak in peaks.items()}

    def reset_peak_memory(self, device):
        self.peaks[device] = 0

    def peak_memory(self, device):
        return self.peaks[device]


def test_peak_memory_of_gpus_is_reset_and_that_of_the_fullest_counts():
    machine = Machine(cuda0=5, cuda1=7)
    assert peak_memory("cuda:0", "cuda:1", hardware=machine) == 7
    reset_peak_memory("cuda:0", "cuda:1", hardware=machine)
    assert peak_memory("cuda:0", "cuda:1", hardware=machine) == 0


def test_peak_memory_of_the_cpu_grows_with_what_is_held():
    before = peak_memory("cpu")
    assert before is not None
    held = bytearray(os.urandom(1)) * (before + 50_000_000)
    after = peak_memory("cpu")
    assert after is not None
    assert after >= before + len(held) // 4
    reset_peak_memory("cpu")


def test_each_device_and_the_host_have_a_budget_of_their_own():
    class Small(Hardware):
        def free_memory(self, device):
            return {"cuda:0": 1000, "cuda:1": 500, "cpu": 2000}[device]

    found = memory_budgets("cuda:0", "cuda:1", hardware=Small())
    assert found == {"cuda:0": 900, "cuda:1": 450, "cpu": 1800}


@pytest.mark.parametrize(
    ("error", "is_so"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 byte"), True),
        (RuntimeError("CUDNN_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("shape mismatch"), False),
    ],
)
def test_out_of_memory_is_told_from_other_errors(error, is_so):
    assert is_out_of_memory(error) is is_so
