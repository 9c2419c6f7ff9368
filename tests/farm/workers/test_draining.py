"""The end of a slot's worker: who asks for it, and what becomes of its runs."""

import subprocess
import sys

from flows.farm.workers.draining import Drain
from tests.checkout import ROOT

WORKER = """
import asyncio, subprocess, sys
from flows.farm.workers.draining import Drain, empty

code, signals = sys.argv[1:]
run = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
run.stdout.readline()
drain = Drain()
for _ in range(int(signals)):
    drain.ask()
asyncio.run(empty(lambda: run.poll() is None, drain))
print(run.wait())
"""
"""In a process of its own: to a worker all children of its process are runs."""

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
    worker = [sys.executable, "-c", WORKER, code, str(signals)]
    return int(subprocess.run(worker, cwd=ROOT, capture_output=True, text=True, check=True).stdout)


def test_a_run_ends_by_itself_when_its_worker_is_drained():
    assert emptied(OBEYS, 1) == 7


def test_a_second_signal_kills_it():
    assert emptied(DEAF, 2) == -9
