"""The end of a slot's worker: how it is asked for, how its runs save their state, how the server forgets it."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import httpx
import psutil
from prefect.client.orchestration import get_client

from flows.farm.names import DRAIN_LIMIT_S
from flows.pairs.signals import ending_signals

_POLL_S: Final = 0.2
_KILLED_AFTER_S: Final = 20
"""What it takes to report that a run was killed."""


class Drain:
    """What is asked of a worker: nothing yet, to drain, or, by a second signal, to stop at once."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.at_once = self._signalled = False

    def ask(self) -> None:
        """A signal does, perhaps the first after others have asked: a restart, the end of standard input."""
        self.at_once, self._signalled = self._signalled, True
        self.asked.set()

    def listen(self) -> None:
        """To signals, and to the end of standard input."""
        loop = asyncio.get_running_loop()
        for number in (*ending_signals(), signal.SIGINT):
            loop.add_signal_handler(number, self.ask)

        def wait_for_end() -> None:
            os.read(0, 1)  # not sys.stdin: its lock would be held when Python ends
            with suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(self.asked.set)

        threading.Thread(target=wait_for_end, daemon=True).start()


async def empty(is_busy: Callable[[], bool], drain: Drain) -> None:
    """Let a worker's runs save and report as long as it is busy; kill them when asked to, or after the limit."""
    told: set[int] = set()
    loop = asyncio.get_running_loop()
    end = loop.time() + DRAIN_LIMIT_S
    while is_busy() and loop.time() < end:
        if drain.at_once:
            tell_runs(signal.SIGKILL, set())
            end = min(end, loop.time() + _KILLED_AFTER_S)
            drain.at_once = False
        tell_runs(signal.SIGTERM, told)
        await asyncio.sleep(_POLL_S)
    tell_runs(signal.SIGKILL, set())


def tell_runs(number: int, told: set[int]) -> None:
    """Send a signal to each process of a run, once."""
    for process in psutil.Process().children():
        if process.pid not in told:
            told.add(process.pid)
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)


async def forget(pool: str, name: str) -> None:
    """Take the worker off the server's list, where it would count as alive for another minute."""
    with suppress(httpx.HTTPError):
        async with get_client() as client:
            where = {"work_pool_name": pool, "name": name}
            await client.request("DELETE", "/work_pools/{work_pool_name}/workers/{name}", path_params=where)
