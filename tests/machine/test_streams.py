"""Threads that share a GPU: each has one stream on it, and none gives memory back while another records."""

import threading
from contextlib import contextmanager

import pytest

from styletransfer.machine.hardware import Hardware
from styletransfer.machine.memory import release_memory
from styletransfer.machine.streams import EXCLUSIVE, own_streams, wait_for


class Machine(Hardware):
    """Tells which streams were made, which are in use, and what was waited for."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.on: list[str] = []
        self.waited: list[str] = []

    def new_stream(self, device):
        self.made.append(device)
        return f"{device} number {len(self.made)}"

    @contextmanager
    def on_stream(self, stream):
        self.on.append(stream)
        try:
            yield
        finally:
            self.on.remove(stream)

    def wait(self, device):
        self.waited.append(device)


def in_thread(work) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()


def test_a_thread_has_one_stream_on_each_gpu_for_good_and_another_thread_has_others():
    machine = Machine()
    found: list[list[str]] = []

    def render() -> None:
        for _ in range(2):
            with own_streams("cuda:1", "cpu", "cuda:0", hardware=machine):
                found.append(list(machine.on))
            assert machine.on == []

    in_thread(render)
    in_thread(render)
    assert machine.made == ["cuda:0", "cuda:1"] * 2
    first, again, others, _ = found
    assert first == again != others
    assert [stream.partition(" ")[0] for stream in first] == ["cuda:0", "cuda:1"]


def test_a_stream_is_left_when_a_render_fails():
    machine = Machine()
    with pytest.raises(ValueError, match="no picture"), own_streams("cuda:0", hardware=machine):
        raise ValueError("no picture")
    assert machine.on == []


def test_the_cpu_has_none_and_is_not_waited_for():
    machine = Machine()
    with own_streams("cpu", hardware=machine):
        assert machine.made == []
    wait_for("cpu", "cuda:1", "cuda:0", "cuda:1", hardware=machine)
    assert machine.waited == ["cuda:0", "cuda:1"]


def test_memory_is_given_back_only_when_nothing_is_recorded():
    released = threading.Event()

    class Holding(Hardware):
        def release_memory(self, device):
            released.set()

    thread = threading.Thread(target=release_memory, args=("cuda:0",), kwargs={"hardware": Holding()})
    with EXCLUSIVE:  # as while a graph is recorded
        thread.start()
        assert not released.wait(0.2)
    thread.join(10)
    assert released.is_set()
