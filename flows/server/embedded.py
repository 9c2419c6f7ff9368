"""Prefect for one command: its chatter turned off, and a server of its own where none is configured.

Prefect can start a temporary server by itself, but that one dies of the Ctrl-C that was meant for the
renders, and outlives a program that is killed. The one here does neither: it runs in a session of its own and
ends when its standard input closes, which happens however the program that started it ends.

Everything here must happen before Prefect is first imported: it reads its settings then.
"""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
import tempfile
import threading
from typing import IO

from flows.server.environment import SETTINGS, SILENT, python_path
from flows.server.local_server import STARTUP_TIMEOUT_S, last_words
from flows.server.password import CLIENTS_VARIABLE, SERVERS_VARIABLE, new_password
from styletransfer.errors import StyleTransferError

_STOP_TIMEOUT_S = 5

OURS = "ours"
"""What the server's process says after its address, unless that is one of Prefect's profile."""


def configure(*, verbose: bool = False) -> None:
    """Set what Prefect is to be like in this process and its children; what the environment says stays."""
    for name, value in (SETTINGS if verbose else SETTINGS | SILENT).items():
        os.environ.setdefault(name, value)


class Server:
    """A Prefect server that starts in the background, unless PREFECT_API_URL or a profile names one."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._log: IO[str] | None = None
        self._password = new_password()
        if not os.environ.get("PREFECT_API_URL"):
            self._start()

    def _start(self) -> None:
        self._log = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115  (open as long as the server)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "flows.server.embedded_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            start_new_session=True,
            env={**_server_environment(), SERVERS_VARIABLE: self._password},
        )
        # Registered before Prefect is imported, so run after Prefect has sent its last words.
        atexit.register(self.stop)

    def wait(self) -> None:
        """Until the server answers; sets PREFECT_API_URL, and the password if it is ours.

        Raises StyleTransferError when it does not answer.
        """
        if self._process is None or os.environ.get("PREFECT_API_URL"):
            return
        assert self._process.stdout is not None
        patience = threading.Timer(STARTUP_TIMEOUT_S, self._process.kill)
        patience.start()
        try:
            url, _, whose = self._process.stdout.readline().strip().partition(" ")
        finally:
            patience.cancel()
        if not url:
            assert self._log is not None
            self._log.seek(0)
            reason = last_words(self._log.read())
            self.stop()
            raise StyleTransferError(f"Prefect's server did not start: {reason}")
        os.environ["PREFECT_API_URL"] = url
        if whose == OURS:
            os.environ[CLIENTS_VARIABLE] = self._password

    def stop(self) -> None:
        """End the server, if it is ours, and wait until it is gone."""
        if self._process is None or self._log is None:
            return
        with self._log, self._process as process:  # closes its standard input, which ends it
            patience = threading.Timer(_STOP_TIMEOUT_S, process.kill)
            patience.start()
        patience.cancel()
        self._process = self._log = None


def _server_environment() -> dict[str, str]:
    # An empty address would hide the one in Prefect's profile.
    known = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    return known | {"PYTHONPATH": python_path()}


