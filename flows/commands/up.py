"""`styletransfer up`: server, driver and render workers on one host, until a signal ends them all."""

from __future__ import annotations

import argparse
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from filelock import FileLock, Timeout

from flows.commands.options import DONE, Parser, add_slots, whole_number
from flows.commands.worker import tell
from flows.server.environment import SILENT
from flows.server.local_server import LocalServer, make_private
from flows.server.password import CLIENTS_VARIABLE, SERVERS_VARIABLE
from flows.server.watchdog import ServerWatchdog
from styletransfer.errors import StyleTransferError

if TYPE_CHECKING:
    from flows.farm.workers.supervisor import Supervisor

USAGE: Final = "[options]"

HELP: Final = """\
Everything on this machine: a Prefect server with its dashboard, a driver, and
a worker for each GPU or share of the CPU (default: all GPUs, else the CPU).
Tells when it is ready; then, from another terminal, `styletransfer submit`.
Database, logs and what runs are kept in one folder, and found there the next
time. Ctrl-C drains as `worker` does and ends everything.

The server is for this machine: it listens on 127.0.0.1, and keeps its data in
SQLite, which many workers would overtax.

exit status: 0 ended, 1 a port or the state folder is in use, or the server
does not start, 2 an option is wrong

examples:
  styletransfer up
  styletransfer up --cpu 2
  styletransfer up --gpus 0,1 --port 4300 --state /data/farm
"""

DEFAULT_PORT: Final = 4200
"""Where Prefect's own `server start` listens."""


def add_options(parser: Parser) -> None:
    add_slots(parser)
    parser.add_argument(
        "--port",
        type=whole_number(1, 65535),
        default=DEFAULT_PORT,
        metavar="P",
        help=f"where the server listens (default: {DEFAULT_PORT})",
    )
    parser.add_argument(
        "--state",
        metavar="DIR",
        help="folder for all that is kept (default: STYLETRANSFER_STATE, else in one's own state)",
    )


def run(options: argparse.Namespace) -> int:
    """Returns the exit status, when all has ended."""
    from flows.farm.workers.host_slots import driver_worker, render_workers, tagged
    from flows.farm.workers.supervisor import Supervisor
    from flows.pairs.signals import Signals, ending_signals, handled, interrupt
    from flows.server.connection import Farm, default_state, record, withdraw

    state = Path(options.state).expanduser().resolve() if options.state else default_state()
    slots = render_workers(options.gpus, options.cpu, options.gpus_per_render, options.renders_per_gpu)
    specs = [driver_worker(), *tagged(slots, options.tag)]
    signals = Signals()
    with ExitStack() as stack:
        stack.enter_context(handled(interrupt, signal.SIGINT, *ending_signals()))
        stack.enter_context(_alone_in(state))
        server = LocalServer(state, options.port)
        stack.callback(server.stop)
        _start(server)
        output = None if options.verbose else stack.enter_context((state / "workers.log").open("wb"))
        _deploy(server, output)
        farm = Farm.mine(server.api_url, server.password_file)
        record(farm, state)
        stack.callback(withdraw, farm, state)
        supervisor = Supervisor(specs, server.environment, tell, output)
        stack.enter_context(signals.heard())
        watch = Watch(server, supervisor, _hint(options))
        stack.callback(watch.close)
        supervisor.run(signals, watch)
    tell("stopped")
    return DONE


@contextmanager
def _alone_in(state: Path) -> Iterator[None]:
    """Hold the state folder. Raises StyleTransferError if another `up` does."""
    from flows.server.connection import FARM_FILE, running

    make_private(state)
    lock = FileLock(state / "up.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        other = running(state / FARM_FILE)
        where = f"; its server: {other.api_url.removesuffix('/api')}" if other else ""
        raise StyleTransferError(f"another `up` uses the state folder {state}{where}") from error
    except OSError as error:
        raise StyleTransferError(f"the state folder {state} can't be used: {error}") from error
    try:
        yield
    finally:
        lock.release()


def _start(server: LocalServer) -> None:
    server.start()
    tell("starting Prefect's server")
    server.wait()


def _deploy(server: LocalServer, output: IO[bytes] | None) -> None:
    """In a process of its own, so that this one stays small. Raises StyleTransferError if it fails."""
    command = [sys.executable, "-m", "flows.commands.main", "deploy"]
    environment = server.environment | SILENT
    done = subprocess.run(command, check=False, env=environment, stdout=output, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        reason = done.stderr.strip().removeprefix("error: ") or f"status {done.returncode}"
        raise StyleTransferError(f"the server could not be set up: {reason}")


def _hint(options: argparse.Namespace) -> str:
    """How to submit, from another terminal."""
    state = f" --state {shlex.quote(options.state)}" if options.state else ""
    return f"styletransfer submit MANIFEST{state}"


def _what_to_type(server: LocalServer) -> str:
    """The password on a terminal, which forgets; what is written into a file or a journal says only where it is."""
    if server.password_file is None:
        return f"type what {SERVERS_VARIABLE} or {CLIENTS_VARIABLE} has"
    if sys.stdout.isatty():
        return f"type {server.password} (kept in {server.password_file})"
    return f"type what is in {server.password_file}"


class Watch:
    """Keeps the server, and tells once when all is ready."""

    def __init__(self, server: LocalServer, supervisor: Supervisor, hint: str) -> None:
        self._server = server
        self._supervisor = supervisor
        self._hint = hint
        self._told = False
        self._server_watch = ServerWatchdog(server, tell)
        self.close = self._server_watch.close

    def __call__(self) -> bool:
        """Goes on for ever. Raises StyleTransferError for a server that does not stay."""
        from flows.farm.names import NIGHT_KEY

        self._server_watch.keep()
        if not self._told and self._supervisor.ready:
            self._told = True
            tell(f"dashboard: {self._server.address}")
            tell(f"the night on one page: {self._server.address}/artifacts/key/{NIGHT_KEY}")
            tell(f"it asks once: {_what_to_type(self._server)}")
            tell(f"ready; in another terminal: {self._hint}")
        return True
