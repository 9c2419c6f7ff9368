"""What SIGTERM, SIGHUP and Ctrl-C do: heard while the main thread waits, counted, raised, or ignored."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Any, Final

WAKE_S: Final = 0.5


def wait_heeding_signals(futures: Collection[Future[Any]]) -> None:
    """Return when all are done; what a signal's handler raises is raised here.

    Python calls handlers between two bytecodes of the main thread. A signal that arrives after the last of them and
    before the thread sleeps wakes nobody: without an end to its sleep, Ctrl-C would be heard when all is done.
    """
    while wait(futures, WAKE_S).not_done:
        pass


def ending_signals() -> tuple[int, ...]:
    """Those that ask a program to end: SIGTERM, and a lost terminal's SIGHUP unless that is ignored (`nohup`)."""
    ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return (signal.SIGTERM,) if ignored else (signal.SIGTERM, signal.SIGHUP)


@contextmanager
def handled(handler: Callable[[int, FrameType | None], None], *numbers: int) -> Iterator[None]:
    """These signals go to the handler within the block. In the main thread only."""
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)


def interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001  (it is a handler)
    """Handler for SIGTERM: as Ctrl-C."""
    raise KeyboardInterrupt


def ignore_further_signals() -> None:
    """One SIGTERM is enough: a service manager's and a supervisor's come together. SIGKILL stops at once."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # until the flow's engine puts back what was before


class Signals:
    """SIGTERM and Ctrl-C counted: the first asks to drain, another to stop at once."""

    def __init__(self) -> None:
        self.count = 0
        self._came: SimpleQueue[None] = SimpleQueue()  # an Event would lock up when heard while it is cleared

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Signals are counted within the block, and raise nothing. In the main thread only."""

        def count(_: int, __: FrameType | None) -> None:
            self.count += 1
            self._came.put(None)

        with handled(count, signal.SIGINT, *ending_signals()):
            yield

    def wait(self, seconds: float) -> None:
        """Until one comes, or so long."""
        with suppress(Empty):
            self._came.get(timeout=seconds)
