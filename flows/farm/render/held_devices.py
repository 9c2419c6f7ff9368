"""The devices of a render run, held against every other process of this host."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

from styletransfer.errors import DeviceError
from styletransfer.machine.devices import Slot, available_devices, prove
from styletransfer.machine.locks import device_lock

log = logging.getLogger(__name__)

WAIT_FOREVER_S: Final = -1.0  # as filelock has it


@contextmanager
def hold_devices() -> Iterator[tuple[str, ...]]:
    """All devices that this process sees, held against others for the block.

    Waits for one that is in use: its holder has lost its worker, and ends when its pair does. Raises
    DeviceError where a device is broken.
    """
    devices = available_devices()
    with ExitStack() as held:
        for device in devices:
            slot = Slot((device,))
            try:
                held.enter_context(device_lock(slot))
            except DeviceError as error:
                log.warning("%s; waiting for it", error)
                held.enter_context(device_lock(slot, wait_s=WAIT_FOREVER_S))
            prove(device)
        yield devices
