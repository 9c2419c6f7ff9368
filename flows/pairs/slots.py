"""Which render gets which devices and memory, and when: where renders wait for each other."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from styletransfer.errors import Cancelled, DeviceError
from styletransfer.machine.devices import Slot, prove
from styletransfer.machine.hardware import CPU, HARDWARE, Hardware
from styletransfer.machine.locks import device_lock


class Slots:
    """Devices handed out to renders in the order of asking: a share of one GPU, or one or more devices.

    Who asks for two at the head of the queue gets the next two that are free, and nobody behind overtakes: a
    stream of small renders can't starve a large one. Devices are taken all at once or not at all, so that
    renders can't block each other. Asking for more devices than there are gets all of them. Each GPU is cut
    into `renders_per_gpu` shares.
    """

    def __init__(self, devices: Sequence[str], renders_per_gpu: int = 1) -> None:
        self.devices = tuple(devices)
        self._shares = [1 if device == CPU else renders_per_gpu for device in devices]
        self._free = list(self._shares)  # by position: the CPU may be there twice
        self._queue: deque[object] = deque()
        self._changed = threading.Condition()
        self._closed = False

    @property
    def at_once(self) -> int:
        """Most renders side by side."""
        return sum(self._shares)

    @property
    def shared(self) -> bool:
        """Whether several renders may be on one GPU."""
        return self.at_once > len(self.devices)

    @contextmanager
    def take(self, count: int, share: float = 1.0) -> Iterator[Slot]:
        """Wait for `count` devices, or for so large a share of one, and hold them for the block.

        Raises Cancelled once slots are closed.
        """
        taken = self._take(min(count, len(self.devices)), share if count == 1 else 1.0)
        try:
            had = min(shares / self._shares[position] for position, shares in taken.items())
            yield Slot(tuple(self.devices[position] for position in taken), had)
        finally:
            with self._changed:
                for position, shares in taken.items():
                    self._free[position] += shares
                self._changed.notify_all()

    def _take(self, count: int, share: float) -> dict[int, int]:
        """Shares that were taken, by the device's position."""
        ticket = object()
        with self._changed:
            self._queue.append(ticket)
            try:
                self._changed.wait_for(
                    lambda: self._closed or (self._queue[0] is ticket and len(self._having(share)) >= count)
                )
                if self._closed:
                    raise Cancelled("stopped while waiting for a device")
                taken = {position: self._wanted(position, share) for position in self._having(share)[:count]}
                for position, shares in taken.items():
                    self._free[position] -= shares
                return dict(sorted(taken.items()))
            finally:
                self._queue.remove(ticket)
                self._changed.notify_all()

    def _having(self, share: float) -> list[int]:
        """Positions of devices of which so large a share is free, those with the most first."""
        fitting = [at for at, free in enumerate(self._free) if free >= self._wanted(at, share)]
        return sorted(fitting, key=lambda at: -self._free[at])

    def whole_shares(self, share: float) -> int:
        """How many shares of the first device that is."""
        return self._wanted(0, share)

    def _wanted(self, position: int, share: float) -> int:
        """Whole shares of a device, at least one."""
        return max(1, min(self._shares[position], math.ceil(share * self._shares[position])))

    def check_open(self) -> None:
        """Raises Cancelled once slots are closed."""
        if self._closed:
            raise Cancelled("stopped before it asked for a device")

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
