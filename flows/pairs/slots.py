"""Which render gets which devices and memory, and when: where renders wait for each other."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from styletransfer.errors import Cancelled, DeviceError
from styletransfer.machine.devices import Slot, prove
from styletransfer.machine.hardware import HARDWARE, Hardware
from styletransfer.machine.locks import device_lock


class Slots:
    """Devices handed out to renders in the order of asking, one or two at a time.

    Who asks for two at the head of the queue gets the next two that are free, and nobody behind overtakes: a
    stream of small renders can't starve a large one. Devices are taken all at once or not at all, so that
    renders can't block each other. Asking for more devices than there are gets all of them.
    """

    def __init__(self, devices: Sequence[str]) -> None:
        self.devices = tuple(devices)
        self._free = list(range(len(devices)))  # by position: the CPU may be there twice
        self._queue: deque[object] = deque()
        self._changed = threading.Condition()
        self._closed = False

    @contextmanager
    def take(self, count: int) -> Iterator[Slot]:
        """Wait for `count` devices and hold them for the block. Raises Cancelled once slots are closed."""
        taken = self._take(min(count, len(self.devices)))
        try:
            yield Slot(tuple(self.devices[position] for position in taken))
        finally:
            with self._changed:
                self._free = sorted([*self._free, *taken])
                self._changed.notify_all()

    def _take(self, count: int) -> list[int]:
        ticket = object()
        with self._changed:
            self._queue.append(ticket)
            try:
                self._changed.wait_for(
                    lambda: self._closed or (self._queue[0] is ticket and len(self._free) >= count)
                )
                if self._closed:
                    raise Cancelled("stopped while waiting for a device")
                taken, self._free = self._free[:count], self._free[count:]
                return taken
            finally:
                self._queue.remove(ticket)
                self._changed.notify_all()

    def close(self) -> None:
        """Hand out nothing more: all who wait, now or later, are told Cancelled. What is held stays held."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class MemoryPlace:
    """A pair's place in memory: taken for the block, and given up while its fetch waits for another try."""

    def __init__(self, places: threading.Semaphore) -> None:
        self._places = places
        self._taken = False

    def take(self) -> None:
        """Wait for the place, unless it is taken already."""
        if not self._taken:
            self._places.acquire()
            self._taken = True

    def give_up(self) -> None:
        if self._taken:
            self._taken = False
            self._places.release()

    def __enter__(self) -> MemoryPlace:
        self.take()
        return self

    def __exit__(self, *exc: object) -> None:
        self.give_up()


@contextmanager
def lock_devices(
    devices: Sequence[str], *, all_of_them: bool, hardware: Hardware = HARDWARE
) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    """Hold devices against other processes for the block; yields those held, and why others are not.

    With `all_of_them` (they were asked for by name) one in use, or broken, raises DeviceError. Otherwise such
    are left out, and DeviceError is raised only if none remains.
    """
    held: list[str] = []
    refused: list[str] = []
    with ExitStack() as locks:
        for device in devices:
            try:
                with ExitStack() as lock:
                    lock.enter_context(device_lock(Slot((device,)), hardware=hardware))
                    prove(device, hardware)
                    locks.push(lock.pop_all())
                held.append(device)
            except DeviceError as error:
                if all_of_them:
                    raise
                refused.append(str(error))
        if not held:
            raise DeviceError("; ".join(refused))
        yield tuple(held), refused
