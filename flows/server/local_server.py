"""A Prefect server on this host: started in the background, waited for, and ended with its user."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from functools import cached_property
from pathlib import Path
from typing import Final

from flows.server.environment import farm_environment, python_path
from flows.server.host_guard import own_origins
from flows.server.password import CLIENTS_VARIABLE, SERVERS_VARIABLE, keep_password, users_password
from styletransfer.errors import StyleTransferError

HOST: Final = "127.0.0.1"
"""Not to be seen from other hosts: its password goes over the wire as it is."""

STARTUP_TIMEOUT_S: Final = 300
"""A first start, where Prefect makes its database, takes 20 s; on a machine with other things to do, minutes."""

_STOP_TIMEOUT_S: Final = 10
_POLL_S: Final = 0.2


class LocalServer:
    """A Prefect server with its dashboard, services and automations; its database lies in a folder.

    The database is SQLite's, unless the environment's PREFECT_API_DATABASE_CONNECTION_URL names another. The
    password is one of its own, kept in the folder, unless the environment has one. The server ends with `stop`, or
    when the process that started it does, however that ends.
    """

    module = "flows.server.local_server_process"

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self._chosen = users_password()
        self.log = folder / "server.log"
        self._log_mode = "wb"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Of the dashboard."""
        return f"http://{HOST}:{self.port}"

    @property
    def api_url(self) -> str:
        return f"{self.address}/api"

    @property
    def password_file(self) -> Path | None:
        """Where the password is kept; None if the user has chosen one."""
        return None if self._chosen else self.folder / "password"

    @cached_property
    def password(self) -> str:
        """Raises StyleTransferError where one of its own can't be kept."""
        make_private(self.folder)
        return self._chosen or keep_password(self.folder / "password")

    @property
    def environment(self) -> dict[str, str]:
        """Environment of all processes that belong to this server."""
        return {**os.environ, **farm_environment(), **self.settings}

    @property
    def settings(self) -> dict[str, str]:
        """What of it is this server's own."""
        return {
            "PREFECT_API_URL": self.api_url,
            CLIENTS_VARIABLE: self.password,
            "PREFECT_HOME": str(self._home),
            "PYTHONPATH": python_path(),
            "NST_IDLE_QUERY_S": "0",  # one host's few workers may ask whenever they like
        }

    @property
    def _home(self) -> Path:
        return self.folder / "prefect"

    def start(self) -> None:
        """Start it in the background. Raises StyleTransferError where the port is in use."""
        check_port(self.port)
        make_private(self.folder)
        make_private(self._home)
        self._home.chmod(0o700)  # the database has secrets, and what decrypts them
        command = [sys.executable, "-m", self.module, "--port", str(self.port)]
        with self.log.open(self._log_mode) as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,  # not to be ended by the Ctrl-C that is meant for its user
                env={
                    "PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS": own_origins(self.port),
                    **self.environment,
                    SERVERS_VARIABLE: self.password,
                    "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
                    "PREFECT_SERVER_UI_V2_ENABLED": "false",  # its address opens the dashboard that links lead to
                },
            )
        self._log_mode = "ab"  # what ended the first one must not be lost when it is started again

    def wait(self) -> None:
        """Until it answers. Raises StyleTransferError when it ends or stays silent instead."""
        end = time.monotonic() + STARTUP_TIMEOUT_S
        while not answers(self.api_url):
            if not self.alive or time.monotonic() > end:
                reason = self.last_words()
                self.stop()
                raise StyleTransferError(f"Prefect's server did not start: {reason} (its log: {self.log})")
            time.sleep(_POLL_S)

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def last_words(self) -> str:
        """The last line of its log."""
        return last_words(self.log.read_text(encoding="utf-8", errors="replace"))

    def dump(self) -> None:
        """Have it write to its log where each of its threads is."""
        if self._process is not None and self.alive:
            self._process.send_signal(signal.SIGUSR1)
            time.sleep(_POLL_S)

    def stop(self) -> None:
        """End it, if it was started, and wait until it is gone."""
        if self._process is None:
            return
        with self._process as process:  # closes its standard input, which ends it
            patience = threading.Timer(_STOP_TIMEOUT_S, process.kill)
            patience.start()
            process.terminate()
        patience.cancel()
        self._process = None


def last_words(log: str) -> str:
    """Why a server does not answer, by its log."""
    lines = log.strip().splitlines()
    return lines[-1] if lines else f"no answer within {STARTUP_TIMEOUT_S} s"


def make_private(folder: Path) -> None:
    """Make it, if it is not there, for its user alone. Raises StyleTransferError where it can't be made."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StyleTransferError(f"the folder {folder} can't be made: {error.strerror}") from error


def answers(api_url: str) -> bool:
    """Whether a Prefect server is there and healthy."""
    with contextlib.suppress(OSError), urllib.request.urlopen(f"{api_url}/health", timeout=5) as answer:  # noqa: S310
        return bool(answer.status == 200)
    return False


def check_port(port: int) -> None:
    """Raises StyleTransferError if something on this host listens there already."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            reason = f"port {port} can't be used: {error.strerror}; --port names another"
            raise StyleTransferError(reason) from error
