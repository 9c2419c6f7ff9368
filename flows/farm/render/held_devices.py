"""The devices of a render run, held against every other process of this host."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Final

from flows.farm.names import SHARES_VARIABLE, SLOT_VARIABLE
from flows.pairs.slots import Slots
from styletransfer.errors import DeviceError, DeviceInUseError
from styletransfer.machine.devices import Slot, available_devices, prove
from styletransfer.machine.hardware import CPU
from styletransfer.machine.locks import device_lock

log = logging.getLogger(__name__)

WAIT_S: Final = 300.0
"""For a device in use: its holder ends with its pair; or it hangs, and other slots are to have this run's pairs."""


@contextmanager
def hold_devices(wait_s: float = WAIT_S) -> Iterator[tuple[str, ...]]:
    """All devices that this process sees, held against others for the block.

    Waits so long for one that is in use: its holder has lost its worker, and ends when its pair does. Raises
    DeviceInUseError where it does not; DeviceError where a device is broken, and where a slot's GPUs are not
    there: the CPU is no stand-in for them.
    """
    devices = available_devices()
    _check_slot(os.environ.get(SLOT_VARIABLE, ""), devices)
    with ExitStack() as held:
        for device in devices:
            slot = Slot((device,))
            try:
                held.enter_context(device_lock(slot))
            except DeviceInUseError as error:
                log.warning("%s; waiting for it", error)
                held.enter_context(device_lock(slot, wait_s=wait_s))
            prove(device)
        yield devices


def slots_of(devices: Sequence[str]) -> Slots:
    """The devices, each GPU cut into as many shares as the slot's worker says."""
    return Slots(devices, int(os.environ.get(SHARES_VARIABLE, "1")))


def _check_slot(slot: str, devices: Sequence[str]) -> None:
    """Raises DeviceError where a slot named after GPUs (`gpu0`, `gpu0+1`) does not see as many."""
    wanted = len(slot.split("+")) if slot.startswith("gpu") else 0
    found = sum(device != CPU for device in devices)
    if found < wanted:
        raise DeviceError(f"slot {slot} has {wanted} GPU{'s' * (wanted > 1)}, of which torch finds {found}")
