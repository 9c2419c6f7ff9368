"""Keeps a server of this host running: started again when it ends, and when it answers but can't write any more."""

from __future__ import annotations

import http.client
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from flows.server.local_server import STARTUP_TIMEOUT_S, LocalServer
from flows.server.password import authorization
from styletransfer.errors import StyleTransferError

_NOT_THERE: Final = "nst-never-made"
"""Name of a variable of Prefect's that nobody makes."""


@dataclass(frozen=True)
class Limits:
    """In seconds. A server with much to do may take ten for a write; one that can't write any more stays so."""

    period: float = 15
    """Between two writes."""
    patience: float = 20
    """For the answer to one."""
    failing: float = 60
    """Since the first of the writes that failed: then the server is started again."""
    starting: float = STARTUP_TIMEOUT_S
    """Until a server that was started has its first write done."""
    short_life: float = 60
    """A server that ends so soon after its start would do so again."""


class ServerWatchdog:
    """Starts a server that was ready again, on its port: drivers, workers and renders ask until it is back."""

    def __init__(self, server: LocalServer, tell: Callable[[str], None], limits: Limits | None = None) -> None:
        self._server = server
        self._tell = tell
        self._limits = limits or Limits()
        self._began = time.monotonic()
        self._writes = _Writes(server, self._limits)

    def keep(self) -> None:
        """To be called again and again. Raises StyleTransferError for a server that does not stay."""
        if not self._server.alive:
            if time.monotonic() - self._began < self._limits.short_life:
                reason = f"Prefect's server ended: {self._server.last_words()} ({self._server.log})"
                raise StyleTransferError(reason)
            self._again("Prefect's server ended; starting it again")
        elif self._writes.fail():
            self._server.dump()
            self._again("Prefect's server can't write to its database any more; starting it again")

    def _again(self, line: str) -> None:
        self._tell(line)
        self._server.stop()
        self._began = time.monotonic()
        self._server.start()
        self._writes.begin()

    def close(self) -> None:
        """Watch no more."""
        self._writes.close()


class _Writes:
    """Writes now and then, in a thread of its own: a write may take long."""

    def __init__(self, server: LocalServer, limits: Limits) -> None:
        self._server = server
        self._limits = limits
        self._lock = threading.Lock()
        self._end = threading.Event()
        self._began, self._wrote = time.monotonic(), True
        self._failing_since: float | None = None
        threading.Thread(target=self._run, daemon=True).start()

    def begin(self) -> None:
        """The server was started: what was seen before is of another one."""
        with self._lock:
            self._began, self._wrote = time.monotonic(), False
            self._failing_since = None

    def fail(self) -> bool:
        """Whether the server could not write for too long."""
        now = time.monotonic()
        with self._lock:
            if not self._wrote:
                return now - self._began > self._limits.starting
            return self._failing_since is not None and now - self._failing_since > self._limits.failing

    def _run(self) -> None:
        while not self._end.wait(self._limits.period):
            asked = time.monotonic()
            self._note(asked, good=can_write(self._server, self._limits.patience))

    def _note(self, asked: float, *, good: bool) -> None:
        with self._lock:
            if asked < self._began:
                return
            if good:
                self._wrote, self._failing_since = True, None
            elif self._failing_since is None:
                self._failing_since = asked

    def close(self) -> None:
        self._end.set()  # not waited for: it may be waiting itself, for a server that does not answer


def can_write(server: LocalServer, timeout_s: float) -> bool:
    """Whether a server writes. Deletes what is not there: that waits for the database as others do, leaves nothing.

    `/api/health` says nothing of that: it is well as long as the process answers.
    """
    address = f"{server.api_url}/variables/name/{_NOT_THERE}"
    headers = authorization(server.password)
    request = urllib.request.Request(address, headers=headers, method="DELETE")  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=timeout_s):  # noqa: S310
            return True
    except urllib.error.HTTPError as error:
        return error.code < 500
    except (OSError, http.client.HTTPException):
        return False
