"""What threads that use one GPU must know of each other: a stream for each, and what one must not do meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

from styletransfer.machine.hardware import CPU, HARDWARE, Hardware

EXCLUSIVE = threading.RLock()
"""Held while a CUDA graph is recorded, and while cached memory is handed back: torch can't do both at once, nor
wait for a device of which another thread records something."""

_own = threading.local()


@contextmanager
def own_streams(*devices: str, hardware: Hardware = HARDWARE) -> Iterator[None]:
    """What this thread has GPUs do within runs beside what other threads have them do, not after it.

    Each thread has one stream on each device for good, as libraries keep memory for each.
    """
    with ExitStack() as stack:
        for device in sorted(set(devices) - {CPU}):
            stack.enter_context(_own_stream(device, hardware))
        yield


def _own_stream(device: str, hardware: Hardware) -> AbstractContextManager[None]:
    streams: dict[str, object] = _own.__dict__.setdefault("streams", {})
    if device not in streams:
        streams[device] = hardware.new_stream(device)
    return hardware.on_stream(streams[device])


def wait_for(*devices: str, hardware: Hardware = HARDWARE) -> None:
    """Until GPUs have done all that this thread gave them, so that other threads may use what came of it."""
    for device in sorted(set(devices) - {CPU}):
        hardware.wait(device)
