"""What this machine has, and what torch says about it: the one place where either is asked.

Tests put other machines in its place. torch is loaded when it is needed, not before.
"""

from __future__ import annotations

import os
import platform
import sys
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

CPU = "cpu"
GPU = "cuda"

BF16_INSTRUCTIONS = frozenset({"amx_bf16", "avx512_bf16"})
BF16_CAPABILITY = (8, 0)
"""Of CUDA: Ampere and later."""


@dataclass(frozen=True)
class Gpu:
    """One CUDA device as this process sees it. `memory` in bytes; `uuid` is the card's own, if it tells."""

    index: int
    name: str
    memory: int
    uuid: str | None = None

    @property
    def device(self) -> str:
        return f"{GPU}:{self.index}"


class Hardware:
    """What torch says about this machine's devices. Tests put other machines in its place."""

    def gpus(self) -> tuple[Gpu, ...]:
        """The CUDA devices that this process may use, in CUDA's order; empty without any."""
        import torch

        if not torch.cuda.is_available():
            return ()
        return tuple(self._gpu(index) for index in range(torch.cuda.device_count()))

    def allocate(self, device: str) -> None:
        """Put a little memory on `device` and use it; whatever torch raises when that fails."""
        import torch

        torch.zeros(1, device=device).add_(1).cpu()

    def load_linear_algebra(self, device: str) -> None:
        """Have torch load the library of a CUDA `device`'s matrix decompositions."""
        import torch

        torch.linalg.eigh(torch.eye(2, device=device))

    def reset_peak_memory(self, device: str) -> None:
        import torch

        torch.cuda.reset_peak_memory_stats(device)

    def peak_memory(self, device: str) -> int:
        """Most bytes allocated on a CUDA `device` since the last reset."""
        import torch

        return int(torch.cuda.max_memory_allocated(device))

    def release_memory(self, device: str) -> None:
        """Hand back what torch has cached on a CUDA `device`."""
        import torch

        with torch.cuda.device(device):  # else a context is opened on the first GPU, which may be another's
            torch.cuda.empty_cache()

    def new_stream(self, device: str) -> object:
        """A stream of a CUDA `device`, beside the one that all threads share."""
        import torch

        return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def on_stream(self, stream: Any) -> AbstractContextManager[None]:
        """What this thread has the device do within is put on the stream."""
        import torch

        return torch.cuda.stream(stream)

    def wait(self, device: str) -> None:
        """Until a CUDA `device` has done what was put on this thread's stream."""
        import torch

        torch.cuda.current_stream(device).synchronize()

    def free_memory(self, device: str) -> int:
        """Bytes that this process can still allocate on `device`.

        Of the CPU all that the machine, or the container, has: what is free at the moment would make the memory
        plan, and with it a picture's last bits, a matter of chance.
        """
        if device == CPU:
            return host_memory()
        import torch

        free, _ = torch.cuda.mem_get_info(device)
        held = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(free + held)

    def has_bf16(self, device: str) -> bool:
        """Whether `device` multiplies bf16 in hardware: elsewhere it is emulated, and slow."""
        if device == CPU:
            return not BF16_INSTRUCTIONS.isdisjoint(cpu_instructions())
        import torch

        return torch.cuda.get_device_capability(device) >= BF16_CAPABILITY

    @staticmethod
    def _gpu(index: int) -> Gpu:
        import torch

        properties: Any = torch.cuda.get_device_properties(index)
        uuid = getattr(properties, "uuid", None)
        return Gpu(index, properties.name, properties.total_memory, None if uuid is None else str(uuid))


HARDWARE = Hardware()
"""The machine that this process runs on."""


def usable_cores() -> int:
    """CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_model() -> str:
    return _cpu_info("model name") or platform.processor() or platform.machine()


def cpu_instructions() -> frozenset[str]:
    """Extensions of the instruction set, by Linux's names; empty where the system doesn't tell."""
    return frozenset(_cpu_info("flags").split())


@cache
def _cpu_info(key: str) -> str:
    """What Linux says of the first processor under `key`; empty where it says nothing."""
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8") as lines:
            for line in lines:
                name, _, value = line.partition(":")
                if name.strip() == key:
                    return value.strip()
    except OSError:
        pass
    return ""


def host_memory() -> int:
    """Memory of this machine in bytes, or the control group's limit if that is lower."""
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for limit in (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes")):
        if limit.is_file() and (text := limit.read_text().strip()).isdigit():
            return min(total, int(text))
    return total


def peak_rss() -> int | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # KiB, but bytes on macOS
