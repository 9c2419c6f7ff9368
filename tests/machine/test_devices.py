"""Devices: names, slots, locks between processes. A `Hardware` of our own plays machines with GPUs."""


from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from styletransfer.errors import DeviceError, NoSuchDeviceError
from styletransfer.machine import hardware
from styletransfer.machine.devices import (
    Slot,
    available_devices,
    describe,
    parse_devices,
    prepare,
    prove,
    resolve_precision,
    slots,
)
from styletransfer.machine.hardware import Gpu, Hardware

GB = 1_000_000_000


class Machine(Hardware):
    """A machine with some GPUs, of which one may be broken."""

    def __init__(self, count, broken=None):
        self.count, self.broken, self.peaks = count, broken, {}
        self.loaded: list[str] = []

    def gpus(self):
        return tuple(Gpu(i, "NVIDIA L4", 24 * GB, f"uuid-{i}") for i in range(self.count))

    def allocate(self, device):
        if device == self.broken:
            raise RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be reported later")

    def load_linear_algebra(self, device):
        self.loaded.append(device)

    def reset_peak_memory(self, device):
        self.peaks[device] = 0

    def peak_memory(self, device):
        return self.peaks[device]


FOUR = Machine(4)
NONE = Machine(0)


@pytest.mark.parametrize(
    ("asked", "machine", "devices"),
    [
        ([], FOUR, ("cuda:0", "cuda:1", "cuda:2", "cuda:3")),
        ([], NONE, ("cpu",)),
        ("", NONE, ("cpu",)),
        ("cpu", FOUR, ("cpu",)),
        ("cpu,cpu", NONE, ("cpu", "cpu")),
        ("CUDA", Machine(2), ("cuda:0", "cuda:1")),
        ("cuda:1", FOUR, ("cuda:1",)),
        (" cuda:3 , cuda:0 ", FOUR, ("cuda:3", "cuda:0")),
        (["cuda:1", "cuda:2,cuda:3"], FOUR, ("cuda:1", "cuda:2", "cuda:3")),
        ("cuda:01", FOUR, ("cuda:1",)),
    ],
)
def test_names_of_devices(asked, machine, devices):
    assert parse_devices(asked, machine) == devices


@pytest.mark.parametrize(
    ("asked", "machine", "message"),
    [
        (
            "gpu",
            FOUR,
            "device 'gpu' is not known; allowed: 'cpu', 'cuda' (every GPU) or 'cuda:N'. This machine has"
            " cuda:0 (NVIDIA L4), cuda:1 (NVIDIA L4), cuda:2 (NVIDIA L4), cuda:3 (NVIDIA L4) and cpu.",
        ),
        ("cuda:-1", Machine(1), "device 'cuda:-1' is not known"),
        ("cuda:", Machine(1), "device 'cuda:' is not known"),
        ("cuda:1", Machine(1), "device 'cuda:1' is not there. This machine has cuda:0 (NVIDIA L4) and cpu."),
        (
            "cuda:0",
            NONE,
            "device 'cuda:0' is not there. This machine has no GPU that torch can use, so only 'cpu'.",
        ),
        ("cuda", NONE, "device 'cuda' is not there."),
        ("cuda:0,cuda:0", FOUR, "device 'cuda:0' is named twice"),
        ("cuda,cuda:2", FOUR, "device 'cuda:2' is named twice"),
        ("cpu,cuda:0", FOUR, "devices cpu, cuda:0 mix the CPU with GPUs; name one kind"),
    ],
)
def test_devices_that_cannot_be_had(asked, machine, message):
    with pytest.raises(NoSuchDeviceError) as caught:
        parse_devices(asked, machine)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_broken_device_is_found_by_proving_it_not_by_naming_it():
    machine = Machine(2, broken="cuda:1")
    assert parse_devices("cuda", machine) == ("cuda:0", "cuda:1")
    prove("cuda:0", machine)
    with pytest.raises(DeviceError) as caught:
        prove("cuda:1", machine)
    assert str(caught.value) == "device 'cuda:1' is there but can't be used: CUDA error: out of memory"
    assert not isinstance(caught.value, NoSuchDeviceError)


def test_this_machine_has_a_device_that_works():
    assert parse_devices(available_devices()) == available_devices()
    assert parse_devices("cpu") == ("cpu",)
    for device in ("cpu", *available_devices()):
        prove(device)


def test_slots_of_one_and_two():
    four = available_devices(FOUR)
    assert [str(slot) for slot in slots(four)] == ["cuda:0", "cuda:1", "cuda:2", "cuda:3"]
    assert [str(slot) for slot in slots(four, 2)] == ["cuda:0+cuda:1", "cuda:2+cuda:3"]
    assert [str(slot) for slot in slots(four[:3], 2)] == ["cuda:0+cuda:1"]
    assert slots(["cpu"], 2) == (Slot(("cpu",)),)


@given(st.integers(1, 9), st.integers(1, 2))
def test_no_device_is_in_two_slots(count, per_render):
    devices = [f"cuda:{i}" for i in range(count)]
    used = [device for slot in slots(devices, per_render) for device in slot.devices]
    assert len(used) == len(set(used))
    assert count - len(used) < per_render


class Bf16Here(Hardware):
    """Multiplies bf16 in hardware on these devices."""

    def __init__(self, *devices):
        self.devices = devices

    def has_bf16(self, device):
        return device in self.devices


@pytest.mark.parametrize(
    ("able", "precision"),
    [(["cuda:0", "cuda:1"], "bfloat16"), (["cuda:0"], "float32"), ([], "float32")],
)
def test_auto_is_bf16_where_all_devices_have_it_in_hardware(able, precision):
    assert resolve_precision("auto", "cuda:0", "cuda:1", hardware=Bf16Here(*able)) == precision


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_a_precision_asked_for_is_what_one_gets(precision):
    assert resolve_precision(precision, "cpu", hardware=Bf16Here("cpu")) == precision


@pytest.mark.parametrize(
    ("instructions", "able"),
    [({"amx_bf16", "avx2"}, True), ({"avx512_bf16"}, True), ({"avx512f", "avx2"}, False), (set(), False)],
)
def test_a_cpu_has_bf16_by_its_instructions(instructions, able, monkeypatch):
    monkeypatch.setattr(hardware, "cpu_instructions", lambda: frozenset(instructions))
    assert Hardware().has_bf16("cpu") is able


@pytest.fixture
def switches():
    """torch's, as they are in a new process, and again after the test."""
    cudnn: Any = torch.backends.cudnn
    matmul = torch.backends.cuda.matmul
    precisions = [cudnn.conv, cudnn.rnn, matmul]
    before = [part.fp32_precision for part in precisions], cudnn.deterministic
    for part in precisions:
        part.fp32_precision = "tf32"
    cudnn.deterministic = False
    yield cudnn
    for part, precision in zip(precisions, before[0], strict=True):
        part.fp32_precision = precision
    cudnn.deterministic = before[1]


def test_gpus_are_prepared_to_be_exact(switches):
    machine = Machine(2)
    prepare("cuda:0", "cuda:1", hardware=machine)
    assert switches.conv.fp32_precision == torch.backends.cuda.matmul.fp32_precision == "ieee"
    assert not torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction
    assert switches.deterministic is False
    assert machine.loaded == ["cuda:0", "cuda:1"]


def test_algorithms_are_deterministic_where_asked_for(switches, monkeypatch):
    monkeypatch.setenv("STYLETRANSFER_DETERMINISTIC", "1")
    prepare("cuda:0", hardware=Machine(1))
    assert switches.deterministic is True


def test_a_process_that_wants_deterministic_algorithms_keeps_them(switches):
    switches.deterministic = True
    prepare("cuda:0", hardware=Machine(1))
    assert switches.deterministic is True


def test_nothing_is_prepared_for_the_cpu(switches):
    machine = Machine(1)
    prepare("cpu", "cpu", hardware=machine)
    assert (switches.conv.fp32_precision, switches.benchmark, machine.loaded) == ("tf32", False, [])


def test_description_of_a_device():
    assert describe("cuda:1", FOUR) == "cuda:1 (NVIDIA L4, 24 GB)"
    assert describe("cpu").startswith("cpu (")
