"""A render run has its devices for itself: it waits for one that another process still holds."""

import re
import subprocess
import sys
import threading

import pytest

from flows.farm.names import SHARES_VARIABLE, SLOT_VARIABLE
from flows.farm.render import held_devices
from flows.farm.render.held_devices import hold_devices, slots_of
from styletransfer.errors import DeviceError, DeviceInUseError
from styletransfer.machine.devices import Slot
from styletransfer.machine.locks import device_lock
from tests.checkout import ROOT
from tests.waiting import until

GPU = "cuda:0"

HOLD = """
import sys
from styletransfer.machine.devices import Slot
from styletransfer.machine.locks import device_lock
with device_lock(Slot(("cuda:0",))):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def one_gpu(monkeypatch, tmp_path):
    """As on a host with a GPU; its lock is a real one."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(held_devices, "available_devices", lambda: (GPU,))
    monkeypatch.setattr(held_devices, "prove", lambda device: None)


def test_each_gpu_of_a_slot_is_cut_into_as_many_shares_as_its_worker_says(monkeypatch):
    monkeypatch.delenv(SHARES_VARIABLE, raising=False)
    assert slots_of(["cuda:0"]).at_once == 1
    monkeypatch.setenv(SHARES_VARIABLE, "3")
    assert slots_of(["cuda:0", "cuda:1"]).at_once == 6


def test_without_gpus_it_is_the_cpu_which_is_shared(monkeypatch):
    monkeypatch.setattr(held_devices, "available_devices", lambda: ("cpu",))
    with hold_devices() as devices, hold_devices() as again:
        assert devices == again == ("cpu",)


@pytest.mark.parametrize(
    ("slot", "devices", "message"),
    [
        ("gpu0", ("cpu",), "slot gpu0 has 1 GPU, of which torch finds 0"),
        ("gpu0+1", ("cuda:0",), "slot gpu0+1 has 2 GPUs, of which torch finds 1"),
    ],
)
def test_a_slot_of_gpus_never_renders_on_less(monkeypatch, slot, devices, message):
    monkeypatch.setenv(SLOT_VARIABLE, slot)
    monkeypatch.setattr(held_devices, "available_devices", lambda: devices)
    with pytest.raises(DeviceError, match=re.escape(message)), hold_devices():
        pass


def test_a_device_is_held_for_the_block(one_gpu):
    with hold_devices() as devices:
        assert devices == (GPU,)
        with pytest.raises(DeviceError, match="device 'cuda:0' is in use by process"), device_lock(Slot((GPU,))):
            pass
    with device_lock(Slot((GPU,))):
        pass


def test_a_device_in_use_is_waited_for_until_its_holder_ends(one_gpu, caplog):
    held = threading.Event()

    def hold():
        with hold_devices():
            held.set()

    with subprocess.Popen(
        [sys.executable, "-c", HOLD], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        waiting = threading.Thread(target=hold)
        waiting.start()
        until(lambda: f"in use by process {other.pid}" in caplog.text, "a line about who has it", 30)
        assert not held.wait(0.3)
        other.kill()
    assert held.wait(30)
    waiting.join()


def test_a_holder_that_hangs_is_not_waited_for_without_limit(one_gpu):
    with device_lock(Slot((GPU,))), pytest.raises(DeviceInUseError, match="in use by process"), hold_devices(0.2):
        pass


def test_a_broken_device_is_let_go(one_gpu, monkeypatch):
    def fail(device):
        raise DeviceError(f"device {device!r} is broken")

    monkeypatch.setattr(held_devices, "prove", fail)
    with pytest.raises(DeviceError, match="is broken"), hold_devices():
        pass
    with device_lock(Slot((GPU,))):
        pass
