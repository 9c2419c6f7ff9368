"""Locks that keep a GPU to one process of this user at a time."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from styletransfer.errors import DeviceError, DeviceInUseError
from styletransfer.machine.devices import Slot
from styletransfer.machine.hardware import CPU, HARDWARE, Hardware


@contextmanager
def device_lock(
    slot: Slot, *, wait_s: float = 0.0, folder: Path | None = None, hardware: Hardware = HARDWARE
) -> Iterator[None]:
    """Hold the slot's GPUs against other processes of this user; the CPU is shared freely.

    The process that renders must hold it itself: then it lasts as long as that process, however that ends.
    Waits at most `wait_s` seconds for each GPU, then raises DeviceInUseError naming the process that has it. Lock
    files stay in `folder` (default: the user's state folder) and mean nothing once released.
    """
    from filelock import FileLock, Timeout

    folder = folder or _lock_folder()
    with ExitStack() as held:
        # Sorted, so that two processes that want the same two GPUs can't each get one and wait for the other.
        for device, name in sorted(_lock_names(slot.devices, hardware).items(), key=lambda item: item[1]):
            path = folder / f"{name}.lock"
            folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(path, thread_local=False)
            try:
                held.enter_context(lock.acquire(timeout=wait_s))
            except Timeout as error:
                raise DeviceInUseError(f"device {device!r} is in use by {_holder(path)}") from error
            except OSError as error:
                raise DeviceError(f"device {device!r} can't be locked: {error}") from error
            _sign(path)
        yield


def _lock_folder() -> Path:
    # Not the runtime folder: a login shell and a service of the same user may see different ones.
    from platformdirs import user_state_path

    return user_state_path("styletransfer", appauthor=False) / "locks"


def _lock_names(devices: Iterable[str], hardware: Hardware) -> dict[str, str]:
    """Name of each GPU's lock: by its UUID, since the index depends on CUDA_VISIBLE_DEVICES."""
    wanted = {device for device in devices if device != CPU}
    known = {gpu.device: gpu for gpu in hardware.gpus()} if wanted else {}
    names = {}
    for device in wanted:
        gpu = known.get(device)
        own = gpu.uuid if gpu and gpu.uuid else f"{socket.gethostname()}-{device.replace(':', '-')}"
        names[device] = f"gpu-{own}"
    return names


def _sign(path: Path) -> None:
    """Leave word of who holds the lock. In a file of its own: opening a lock file may empty it."""
    holder = f"process {os.getpid()} on {socket.gethostname()}\n"
    path.with_suffix(".holder").write_text(holder, encoding="utf-8")


def _holder(path: Path) -> str:
    try:
        return path.with_suffix(".holder").read_text(encoding="utf-8").strip() or "another process"
    except OSError:
        return "another process"
