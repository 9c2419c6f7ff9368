"""Keeps the workers of this host running, each a process of its own, and drains them when told to end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import IO, Final

import psutil

from flows.farm.names import DRAIN_LIMIT_S, DRIVER_POOL
from flows.farm.workers.host_slots import WorkerSpec
from flows.pairs.signals import Signals

Tell = Callable[[str], None]

MARK: Final = "NST_SUPERVISOR"
"""Environment variable that marks whatever this supervisor's workers start, so that nothing of it is left."""

_POLL_S: Final = 0.3
_LONGEST_PAUSE_S: Final = 60.0
_STEADY_S: Final = 60
"""A worker that ran for so long has not failed to start."""

_MARGIN_S: Final = 15
"""What a worker may take to end once its run has."""

_AT_ONCE_S: Final = 30


class Child:
    """One worker's process, started again, later each time, when it ends by itself."""

    def __init__(self, spec: WorkerSpec, environment: Mapping[str, str], output: IO[bytes] | None) -> None:
        self.spec = spec
        self.ready = False
        self._environment = {**environment, **spec.environment}
        self._output = output
        self._process: subprocess.Popen[bytes] | None = None
        self._readiness = -1
        self._began = 0.0
        self._pause = 1.0
        self._next = 0.0
        self._resting = False

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def keep(self, tell: Tell) -> None:
        """Start it unless it runs; tell when it is ready, or why it is not there."""
        if self._process is not None and not self.alive:
            self._mourn(tell)
        if self._process is None and time.monotonic() >= self._next:
            self._start()
        if self._process is not None and not self.ready and self._says_ready():
            self.ready = True
            tell(f"{self.spec.name}: ready, serves {self.spec.pool}")

    def rest(self, tell: Tell) -> None:
        """Have it drain and end, and do not start it again."""
        if self._process is not None and not self.alive:
            self.close()
        elif self._process is not None and not self._resting:
            tell(f"{self.spec.name}: sleeps: what it renders is saved and goes on elsewhere")
            self.drain()

    def drain(self) -> None:
        """Have it hand back what it has, and end. Its second signal would stop it at once."""
        if not self._resting:
            self._resting = True
            self.send(signal.SIGTERM)

    def _start(self) -> None:
        self._resting = False
        spec = self.spec
        self._readiness, theirs = os.pipe()
        os.set_blocking(self._readiness, False)
        command = [sys.executable, "-m", "flows.farm.workers.slot_worker", "--pool", spec.pool, "--name", spec.name]
        command += [f"--tag={tag}" for tag in spec.tags]
        try:
            self._process = subprocess.Popen(
                [*command, "--limit", str(spec.limit), "--ready-fd", str(theirs)],
                stdin=subprocess.PIPE,  # ends with this process: then the worker drains itself
                stdout=self._output,
                stderr=self._output,
                pass_fds=[theirs],
                start_new_session=True,  # a terminal's Ctrl-C is for the supervisor alone
                env=self._environment,
            )
        finally:
            os.close(theirs)
        self._began = time.monotonic()

    def _says_ready(self) -> bool:
        with suppress(BlockingIOError):
            return bool(os.read(self._readiness, 1))
        return False

    def _mourn(self, tell: Tell) -> None:
        assert self._process is not None
        status = self._process.returncode
        if time.monotonic() - self._began > _STEADY_S:
            self._pause = 1.0
        tell(f"{self.spec.name}: its worker ended with status {status}; starting it again in {self._pause:.0f} s")
        self._next = time.monotonic() + self._pause
        self._pause = min(2 * self._pause, _LONGEST_PAUSE_S)
        self.close()

    def send(self, number: int) -> None:
        if self._process is not None:
            self._process.send_signal(number)  # does nothing to one that has ended

    def close(self) -> None:
        """Forget the process, which has ended."""
        if self._process is not None:
            with self._process:
                os.close(self._readiness)
        self._process, self.ready = None, False


class Supervisor:
    """The workers of this host, kept running until signals ask for their end."""

    def __init__(
        self,
        specs: Sequence[WorkerSpec],
        environment: Mapping[str, str],
        tell: Tell,
        output: IO[bytes] | None = None,
        asleep: Callable[[], bool] = lambda: False,
    ) -> None:
        """`asleep`: whether nothing is to be rendered here now."""
        self._asleep = asleep
        self._mark = uuid.uuid4().hex
        self._tell = tell
        self._children = [Child(spec, {**environment, MARK: self._mark}, output) for spec in specs]

    @property
    def ready(self) -> bool:
        return all(child.ready for child in self._children)

    def run(self, signals: Signals, watch: Callable[[], bool] = lambda: True) -> None:
        """Until a signal comes, or `watch`, asked again and again, says False. Then drains; leaves nothing."""
        try:
            while signals.count == 0 and watch():
                asleep = self._asleep()
                for child in self._children:
                    if asleep and child.spec.pool != DRIVER_POOL:
                        child.rest(self._tell)
                    else:
                        child.keep(self._tell)
                signals.wait(_POLL_S)
            self._drain(signals)
        finally:
            self._sweep()

    def _drain(self, signals: Signals) -> None:
        """Have renders save their state, and workers end. Orphans of workers that were killed are told, too."""
        if self._running():
            self._tell("draining: renders save their state; once more (Ctrl-C or SIGTERM) stops at once")
        for child in self._children:
            child.drain()
        for orphan in self._orphans():
            with suppress(psutil.NoSuchProcess):
                orphan.terminate()
        patient, end = True, time.monotonic() + DRAIN_LIMIT_S + _MARGIN_S
        while self._running() and time.monotonic() < end:
            if patient and signals.count > 1:
                patient, end = False, time.monotonic() + _AT_ONCE_S
                self._stop_at_once()
            signals.wait(_POLL_S)

    def _stop_at_once(self) -> None:
        self._tell("stopping at once")
        for child in self._children:
            child.send(signal.SIGTERM)  # its second: it kills its run, and reports that
        for orphan in self._orphans():
            with suppress(psutil.NoSuchProcess):
                orphan.kill()

    def _running(self) -> bool:
        return any(child.alive for child in self._children) or bool(self._marked())

    def _sweep(self) -> None:
        """Kill what is left."""
        for child in self._children:
            child.send(signal.SIGKILL)
        for process in self._marked():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        for child in self._children:
            child.close()

    def _orphans(self) -> list[psutil.Process]:
        """Runs whose worker is gone."""
        workers = {child.pid for child in self._children if child.alive}
        return [process for process in self._marked() if not workers & {process.pid, process.ppid()}]

    def _marked(self) -> list[psutil.Process]:
        """Every process that came from our workers, themselves included."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.environ().get(MARK) == self._mark and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found
