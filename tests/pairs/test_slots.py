"""Slots: who gets devices, in which order, and what happens when renders are stopped."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.pairs.slots import Slots, lock_devices
from styletransfer.errors import Cancelled, DeviceError, NoSuchDeviceError
from styletransfer.machine.devices import Slot
from styletransfer.machine.hardware import Gpu, Hardware
from tests.waiting import until

GPUS = ["cuda:0", "cuda:1", "cuda:2"]


def test_devices_are_taken_in_order_and_given_back():
    slots = Slots(GPUS)
    with slots.take(1) as one, slots.take(2) as two:
        assert (one, two) == (Slot(("cuda:0",)), Slot(("cuda:1", "cuda:2")))
    with slots.take(2) as again:
        assert again == Slot(("cuda:0", "cuda:1"))


def test_more_devices_than_there_are_means_all():
    with Slots(["cpu"]).take(2) as slot:
        assert slot == Slot(("cpu",))


def test_a_device_is_given_back_by_a_render_that_fails():
    slots = Slots(["cpu"])
    with pytest.raises(ZeroDivisionError), slots.take(1):
        raise ZeroDivisionError
    with slots.take(1) as slot:
        assert slot.devices == ("cpu",)


def test_small_renders_do_not_overtake_a_large_one():
    slots, order = Slots(GPUS[:2]), []

    def render(name, count):
        with slots.take(count):
            order.append(name)

    def in_line(count):
        return len(slots._queue) == count

    with ThreadPoolExecutor(3) as threads, slots.take(1):
        for place, (name, count) in enumerate([("large", 2), ("small", 1), ("smaller", 1)], start=1):
            threads.submit(render, name, count)
            until(partial(in_line, place), f"{name} in line")
        assert order == []  # one device is free, but the large render is first in line
    assert order[0] == "large"
    assert sorted(order) == ["large", "small", "smaller"]


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 4), st.lists(st.integers(1, 2), min_size=1, max_size=30))
def test_whatever_the_mix_every_render_gets_its_devices_and_none_is_shared(devices, counts):
    slots = Slots([f"cuda:{i}" for i in range(devices)])
    held: list[str] = []
    lock, most = threading.Lock(), min(2, devices)

    def render(count):
        with slots.take(count) as slot:
            with lock:
                held.extend(slot.devices)
                assert len(held) == len(set(held))
            assert len(slot.devices) == min(count, most)
            with lock:
                for device in slot.devices:
                    held.remove(device)

    with ThreadPoolExecutor(8) as threads:
        for future in [threads.submit(render, count) for count in counts]:
            future.result(timeout=30)


def test_renders_share_a_gpu_until_it_is_full():
    slots = Slots(GPUS[:2], renders_per_gpu=4)
    assert (slots.at_once, slots.shared) == (8, True)
    with slots.take(1, 0.5) as half, slots.take(1, 0.01) as quarter, slots.take(1, 0.75) as rest:
        assert (half, quarter) == (Slot(("cuda:0",), 0.5), Slot(("cuda:1",), 0.25))  # where most is free
        assert rest == Slot(("cuda:1",), 0.75)
        with slots.take(1, 0.26) as last:
            assert last == Slot(("cuda:0",), 0.5)
    with slots.take(1) as whole, slots.take(1, 7.0) as too_much:
        assert (whole, too_much) == (Slot(("cuda:0",)), Slot(("cuda:1",)))
    with slots.take(2, 0.1) as both:  # who asks for two GPUs has them to itself
        assert both == Slot(("cuda:0", "cuda:1"))


def test_the_cpu_is_not_cut_into_shares():
    slots = Slots(["cpu", "cpu"], renders_per_gpu=4)
    assert (slots.at_once, slots.shared) == (2, False)


def test_small_renders_wait_for_one_that_needs_the_whole_gpu():
    slots, order = Slots(["cuda:0"], renders_per_gpu=2), []

    def render(name, share):
        with slots.take(1, share):
            order.append(name)

    def in_line(count):
        return len(slots._queue) == count

    with ThreadPoolExecutor(2) as threads, slots.take(1, 0.5):
        for place, (name, share) in enumerate([("whole", 1.0), ("small", 0.5)], start=1):
            threads.submit(render, name, share)
            until(partial(in_line, place), f"{name} in line")
        assert order == []
    assert order == ["whole", "small"]


@settings(max_examples=20, deadline=None)
@given(
    st.integers(1, 3),
    st.integers(1, 5),
    st.lists(st.tuples(st.integers(1, 2), st.floats(0.01, 1.0)), min_size=1, max_size=30),
)
def test_whatever_the_mix_no_gpu_is_shared_out_beyond_itself(devices, renders, asked):
    slots = Slots([f"cuda:{i}" for i in range(devices)], renders)
    held = dict.fromkeys(slots.devices, 0.0)
    lock = threading.Lock()

    def render(count, share):
        with slots.take(count, share) as slot:
            with lock:
                for device in slot.devices:
                    held[device] += slot.share
                assert max(held.values()) <= 1 + 1e-9
            assert slot.share >= (share if count == 1 else 1.0)
            with lock:
                for device in slot.devices:
                    held[device] -= slot.share

    with ThreadPoolExecutor(8) as threads:
        for future in [threads.submit(render, *one) for one in asked]:
            future.result(timeout=30)
    assert slots._free == [renders] * devices


def test_closing_cancels_who_waits_and_who_comes_later():
    slots = Slots(["cpu"])

    def wait():
        with pytest.raises(Cancelled), slots.take(1):
            pass

    with ThreadPoolExecutor(2) as threads, slots.take(1):
        waiting = [threads.submit(wait), threads.submit(wait)]
        time.sleep(0.1)
        slots.close()
        for future in waiting:
            future.result(timeout=10)  # while the device is still held
    wait()


class Machine(Hardware):
    """Three GPUs; tells which were allocated on, and refuses it of a broken one."""

    def __init__(self, broken=None):
        self.broken, self.allocated = broken, []

    def gpus(self):
        return tuple(Gpu(i, "NVIDIA L4", 24_000_000_000, f"uuid-{i}") for i in range(3))

    def allocate(self, device):
        if device == self.broken:
            raise RuntimeError("CUDA error: uncorrectable ECC error encountered")
        self.allocated.append(device)


def test_devices_in_use_are_left_out_unless_asked_for_by_name(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with lock_devices(["cuda:1"], all_of_them=True, hardware=Machine()):
        machine = Machine()
        with lock_devices(GPUS, all_of_them=False, hardware=machine) as (held, refused):
            assert held == ("cuda:0", "cuda:2")
            assert len(refused) == 1
            assert "'cuda:1' is in use by process" in refused[0]
        assert machine.allocated == ["cuda:0", "cuda:2"]  # nothing on the one that another renders on
        for devices, by_name in ((GPUS, True), (["cuda:1"], False)):
            with (
                pytest.raises(DeviceError, match="'cuda:1' is in use") as caught,
                lock_devices(devices, all_of_them=by_name, hardware=Machine()),
            ):
                pass
            assert not isinstance(caught.value, NoSuchDeviceError)


def test_a_broken_device_is_left_out_unless_asked_for_by_name_and_not_held(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    broken = Machine("cuda:1")
    with lock_devices(GPUS, all_of_them=False, hardware=broken) as (held, refused):
        assert held == ("cuda:0", "cuda:2")
        assert "'cuda:1' is there but can't be used: CUDA error" in refused[0]
        with lock_devices(["cuda:1"], all_of_them=True, hardware=Machine()):
            pass
    with (
        pytest.raises(DeviceError, match="can't be used"),
        lock_devices(GPUS, all_of_them=True, hardware=broken),
    ):
        pass
    with lock_devices(GPUS, all_of_them=True, hardware=Machine()) as (held, _):
        assert held == tuple(GPUS)
