"""A GPU is one process's at a time."""

import os
import subprocess
import sys

import pytest

from styletransfer.errors import DeviceError
from styletransfer.machine.devices import Slot
from styletransfer.machine.hardware import Gpu, Hardware
from styletransfer.machine.locks import device_lock


class Machine(Hardware):
    """A machine with these cards."""

    def __init__(self, *uuids):
        self.uuids = uuids

    def gpus(self):
        return tuple(Gpu(index, "NVIDIA L4", 24_000_000_000, uuid) for index, uuid in enumerate(self.uuids))


TWO = Machine("uuid-0", "uuid-1")
ONLY_SECOND = Machine("uuid-1")

HOLD = """
import sys, pathlib
from styletransfer.machine.locks import device_lock
from styletransfer.machine.devices import Slot
from styletransfer.machine.hardware import Gpu, Hardware
class Machine(Hardware):
    def gpus(self):
        return (Gpu(0, "", 0, "uuid-0"), Gpu(1, "", 0, "uuid-1"))
with device_lock(Slot(("cuda:1",)), folder=pathlib.Path(sys.argv[1]), hardware=Machine()):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_gpu_in_use_by_another_process_is_refused_until_that_process_ends(tmp_path):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        two = Slot(("cuda:0", "cuda:1"))
        with (
            pytest.raises(DeviceError, match=rf"^device 'cuda:1' is in use by process {holder.pid} on "),
            device_lock(two, folder=tmp_path, hardware=TWO),
        ):
            pass
        with device_lock(Slot(("cuda:0",)), folder=tmp_path, hardware=TWO):
            pass  # not left locked by the attempt that got only this one
        holder.kill()
        holder.wait()
        with device_lock(two, wait_s=10, folder=tmp_path, hardware=TWO):
            pass


def test_a_lock_goes_by_the_card_whatever_its_index(tmp_path):
    """With CUDA_VISIBLE_DEVICES=1 the second card is cuda:0."""

    with (
        device_lock(Slot(("cuda:1",)), folder=tmp_path, hardware=TWO),
        pytest.raises(DeviceError, match=f"process {os.getpid()} "),
        device_lock(Slot(("cuda:0",)), folder=tmp_path, hardware=ONLY_SECOND),
    ):
        pass


def test_the_cpu_is_not_locked(tmp_path):
    with device_lock(Slot(("cpu",)), folder=tmp_path), device_lock(Slot(("cpu",)), folder=tmp_path):
        assert list(tmp_path.iterdir()) == []
