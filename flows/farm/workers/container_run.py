"""One run in a container of a Docker or Kubernetes pool: `prefect flow-run execute`, that can be drained.

    python -m flows.farm.workers.container_run

When a container is told to end, Prefect's own reports the run as waiting for another try and only then ends it: it
might begin elsewhere while it is still saved here. This one sends SIGTERM to the run itself, which saves its state,
reports and ends; Prefect's process, which also hears of cancelling, ends after it.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from contextlib import suppress
from typing import Final

import psutil

from flows.pairs.signals import ending_signals

_POLL_S: Final = 0.2
_ENGINE: Final = "prefect.engine"
"""What stands in the command of the process that has the flow."""


def main() -> int:
    """Run it; returns its exit status."""
    asked = threading.Event()
    for number in (signal.SIGINT, *ending_signals()):
        signal.signal(number, lambda *_: asked.set())
    command = [sys.executable, "-m", "prefect", "flow-run", "execute"]
    with subprocess.Popen(command, start_new_session=True) as process:  # not to hear what the group hears
        told: set[int] = set()
        while process.poll() is None:
            if asked.wait(_POLL_S):
                tell(process.pid, told)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(_POLL_S)
        return process.returncode


def tell(pid: int, told: set[int]) -> None:
    """Send SIGTERM to the run below this process, once."""
    with suppress(psutil.NoSuchProcess):
        for child in psutil.Process(pid).children(recursive=True):
            if child.pid not in told and _ENGINE in child.cmdline():
                told.add(child.pid)
                child.terminate()


if __name__ == "__main__":
    sys.exit(main())
