"""Waiting in the main thread without missing a signal."""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import Future, wait
from typing import Any, Final

WAKE_S: Final = 0.5


def wait_heeding_signals(futures: Collection[Future[Any]]) -> None:
    """Return when all are done; what a signal's handler raises is raised here.

    Python calls handlers between two bytecodes of the main thread. A signal that arrives after the last of them and
    before the thread sleeps wakes nobody: without an end to its sleep, Ctrl-C would be heard when all is done.
    """
    while wait(futures, WAKE_S).not_done:
        pass
