"""Memory of devices: budgets, peaks, and errors that mean that there is none left."""

import os
from contextlib import contextmanager

import pytest
import torch

from styletransfer.machine.hardware import Hardware
from styletransfer.machine.memory import (
    is_out_of_memory,
    memory_budgets,
    peak_memory,
    release_memory,
    reset_peak_memory,
)


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
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("cusolver error: CUSOLVER_STATUS_ALLOC_FAILED, when calling `cusolverDnCreate`"), True),
        (RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be reported later"), True),
        (RuntimeError("CUDA driver error: out of memory"), True),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), False),
        (RuntimeError("shape mismatch"), False),
    ],
)
def test_out_of_memory_is_told_from_other_errors(error, is_so):
    assert is_out_of_memory(error) is is_so


def test_memory_is_given_back_by_each_gpu_and_no_other():
    class Holding(Hardware):
        def __init__(self) -> None:
            self.released: list[str] = []

        def release_memory(self, device):
            self.released.append(device)

    machine = Holding()
    release_memory("cuda:3", "cpu", "cuda:1", "cuda:3", hardware=machine)
    assert machine.released == ["cuda:1", "cuda:3"]


def test_what_gives_memory_back_stands_on_that_gpu(monkeypatch):
    """Else a context is opened on the first, which may be another process's."""
    entered: list[str] = []
    emptied: list[str] = []

    @contextmanager
    def device(name):
        entered.append(name)
        yield
        entered.pop()

    monkeypatch.setattr(torch.cuda, "device", device)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: emptied.extend(entered))
    Hardware().release_memory("cuda:1")
    assert emptied == ["cuda:1"]
