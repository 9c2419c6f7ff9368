"""The end of a slot's worker: who asks for it, and what becomes of its runs."""

import asyncio
import subprocess
import sys

from flows.farm.workers.draining import Drain, empty

OBEYS = "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(7)); print(); signal.pause()"
"""A run that saves its state."""

DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(); signal.pause()"
"""One that would have to be killed."""


def test_only_a_second_signal_stops_a_worker_at_once():
    """Who restarts it, or closes its standard input, sends none."""
    drain = Drain()
    drain.asked.set()
    drain.ask()
    assert not drain.at_once
    drain.ask()
    assert drain.at_once


def emptied(code: str, signals: int) -> int:
    """The exit status of a run of this code, whose worker was drained by so many signals."""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as run:
        assert run.stdout is not None
        run.stdout.readline()
        drain = Drain()
        for _ in range(signals):
            drain.ask()
        asyncio.run(empty(lambda: run.poll() is None, drain))
        return run.wait()


def test_a_run_ends_by_itself_when_its_worker_is_drained():
    assert emptied(OBEYS, 1) == 7


def test_a_second_signal_kills_it():
    assert emptied(DEAF, 2) == -9
