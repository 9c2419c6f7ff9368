"""Memory of devices: how much a render may plan with, how much it took, and what to do when there is none left."""

from __future__ import annotations

import re

from styletransfer.machine.hardware import CPU, HARDWARE, Hardware, peak_rss
from styletransfer.machine.streams import EXCLUSIVE


def reset_peak_memory(*devices: str, hardware: Hardware = HARDWARE) -> None:
    """Start measuring GPU memory anew, as at the start of a scale. The CPU's figure can't be reset."""
    for device in set(devices) - {CPU}:
        hardware.reset_peak_memory(device)


def peak_memory(*devices: str, hardware: Hardware = HARDWARE) -> int | None:
    """Most bytes in use at once, on the fullest of the devices.

    On a GPU: allocated by this process since `reset_peak_memory`. On the CPU: the whole process's peak
    resident size since it started, whatever else it did (to reset it would spoil what others measure of this
    process). None where the system doesn't tell.
    """
    peaks = [peak_rss() if device == CPU else hardware.peak_memory(device) for device in devices]
    return max((peak for peak in peaks if peak is not None), default=None)


def memory_budgets(*devices: str, hardware: Hardware = HARDWARE) -> dict[str, int]:
    """Bytes that a render may plan with on each of `devices` and in host memory (`cpu`).

    A tenth is left for what others take meanwhile.
    """
    return {device: int(0.9 * hardware.free_memory(device)) for device in dict.fromkeys((*devices, CPU))}


_OUT_OF_MEMORY = re.compile(r"can't allocate memory|_STATUS_ALLOC_FAILED|CUDA (driver )?error: out of memory")
"""As the host's allocator, CUDA's libraries and CUDA itself say it."""


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether torch raised this because a device, or the host, has no memory left."""
    import torch

    return isinstance(error, torch.OutOfMemoryError) or _OUT_OF_MEMORY.search(str(error)) is not None


def release_memory(*devices: str, hardware: Hardware = HARDWARE) -> None:
    """Hand back to the devices what is cached but not in use."""
    for device in sorted(set(devices) - {CPU}):
        with EXCLUSIVE:
            hardware.release_memory(device)
