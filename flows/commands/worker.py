"""`styletransfer worker`: the workers of this host, until a signal drains them."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from flows.commands.options import DONE, Parser, add_slots
from styletransfer.errors import UsageError

if TYPE_CHECKING:
    from flows.farm.workers.host_slots import WorkerSpec

USAGE: Final = "[options]"

HELP: Final = """\
One worker for each slot: for each GPU, for each N (--gpus-per-render N, which
serves pairs with `gpus: 2` and more), or for a share of the CPU. Without --gpus
and --cpu all GPUs, or the CPU of a machine without any. Each serves the Prefect
server that PREFECT_API_URL names, and is started again should it die. A farm
needs one host with --driver, too; with --driver alone it renders nothing.

Ctrl-C or SIGTERM drains: no run is taken any more, renders save their state
after the iteration in hand and are handed back, to go on elsewhere. A second
signal stops at once; what was rendered since the last checkpoint is lost.

--tag a100 gives the slots a tag: pairs with `requires: [a100]` are rendered by
such slots alone, which render others, too. It may be given several times.

--sleep 09:00-18:00 leaves the GPUs to others for these hours, each day: renders
are saved and go on elsewhere. Drivers stay.

exit status: 0 drained or stopped, 1 the server is not known, 2 an option is
wrong, the server refuses the password, or its clock differs by over 30 s

examples:
  styletransfer worker --gpus 0,1,2,3
  styletransfer worker --gpus all --gpus-per-render 2
  styletransfer worker --gpus 0 --tag a100 --tag 80gb
  styletransfer worker --cpu 2 --driver
  styletransfer worker --gpus all --sleep 09:00-18:00
"""


def add_options(parser: Parser) -> None:
    add_slots(parser)
    parser.add_argument("--driver", action="store_true", help="run drivers here, too")
    parser.add_argument("--sleep", metavar="HOURS", help="09:00-18:00: hours in which nothing is rendered here")
    parser.add_argument("--state", metavar="DIR", help="state folder of the `up` to serve")


def run(options: argparse.Namespace) -> int:
    """Returns the exit status, when all have ended."""
    from flows.farm.workers.supervisor import Supervisor
    from flows.pairs.signals import Signals
    from flows.server.admission import check_admission
    from flows.server.connection import find_server

    server = find_server(options.state, quiet=False)
    check_admission(server)
    specs, asleep = _specs(options), _hours(options.sleep)
    signals = Signals()
    with signals.heard():
        tell(f"{len(specs)} worker{'s' * (len(specs) > 1)} for {server}")
        Supervisor(specs, os.environ, tell, asleep=asleep).run(signals)
    tell("stopped")
    return DONE


def _specs(options: argparse.Namespace) -> list[WorkerSpec]:
    from flows.farm.workers.host_slots import driver_worker, render_workers, tagged

    drivers = [driver_worker()] if options.driver else []
    if options.driver and options.gpus is None and options.cpu is None:
        return drivers
    slots = render_workers(options.gpus, options.cpu, options.gpus_per_render, options.renders_per_gpu)
    return [*tagged(slots, options.tag), *drivers]


def _hours(text: str | None) -> Callable[[], bool]:
    """Tells whether it is in these hours. Raises UsageError."""
    from flows.farm.times import TimeError
    from flows.farm.workers.sleep_hours import parse_hours

    try:
        return parse_hours(text).now if text else lambda: False
    except TimeError as error:
        raise UsageError(f"--sleep: {error}") from error


def tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
