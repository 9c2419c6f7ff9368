"""The options of the commands that set a farm up. Imports nothing heavy, for a fast --help."""

from __future__ import annotations

import argparse
from typing import Final

DEFAULT_PORT: Final = 4200
"""Where Prefect's own `server start` listens."""

DEPLOY_HELP: Final = """\
Work pools and their queues, automations that find lost runs and revive
drivers, and deployments, on the Prefect server that PREFECT_API_URL names.
Changes only what is not as it should be, and prints a line for each change;
schedules and the job templates of pools there are stay as they are. Run it
again after every upgrade.

New pools are of type process: `styletransfer worker` serves them. Pools of
type docker or kubernetes get the job template that comes with styletransfer,
to be completed in the dashboard, and are served by Prefect's own workers.

exit status: 0 all is right now (with --check: was right), 1 with --check:
something is not, or the server can't be reached, 2 an option is wrong

examples:
  styletransfer deploy
  styletransfer deploy --check
  styletransfer deploy --type kubernetes
"""

WORKER_HELP: Final = """\
One worker for each slot: for each GPU, for each two (--gpus-per-render 2, which
serves pairs with `gpus: 2`), or for a share of the CPU. Without --gpus and
--cpu all GPUs, or the CPU of a machine without any. Each serves the Prefect
server that PREFECT_API_URL names, and is started again should it die. A farm
needs one host with --driver, too; with --driver alone it renders nothing.

Ctrl-C or SIGTERM drains: no run is taken any more, renders save their state
after the iteration in hand and are handed back, to go on elsewhere. A second
signal stops at once; what was rendered since the last checkpoint is lost.

exit status: 0 drained or stopped, 1 the server is not known, 2 an option is
wrong

examples:
  styletransfer worker --gpus 0,1,2,3
  styletransfer worker --gpus all --gpus-per-render 2
  styletransfer worker --cpu 2 --driver
"""

UP_HELP: Final = """\
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


def add_deploy_options(parser: argparse.ArgumentParser) -> None:
    describe(parser, "deploy [options]", "Set a Prefect server up for the farm.", DEPLOY_HELP)
    parser.add_argument(
        "--type",
        choices=["process", "docker", "kubernetes"],
        help="of work pools that are not there yet (default: process)",
    )
    parser.add_argument("--check", action="store_true", help="change nothing, show what would be changed")
    parser.add_argument("--state", metavar="DIR", help="state folder of the `up` whose server is meant")


def add_worker_options(parser: argparse.ArgumentParser) -> None:
    describe(parser, "worker [options]", "Have this machine render for a farm.", WORKER_HELP)
    _add_slots(parser)
    parser.add_argument("--driver", action="store_true", help="run drivers here, too")
    parser.add_argument("--state", metavar="DIR", help="state folder of the `up` to serve")


def add_up_options(parser: argparse.ArgumentParser) -> None:
    describe(parser, "up [options]", "A whole farm on this machine.", UP_HELP)
    _add_slots(parser)
    parser.add_argument(
        "--port",
        type=_port,
        default=DEFAULT_PORT,
        metavar="P",
        help=f"where the server listens (default: {DEFAULT_PORT})",
    )
    parser.add_argument("--state", metavar="DIR", help="folder for all that is kept (default: in one's own state)")


def describe(parser: argparse.ArgumentParser, usage: str, description: str, text: str) -> None:
    """Give a command its help: usage without the program's name, a sentence, and all there is to say below."""
    parser.usage = f"styletransfer {usage}".replace("%", "%%")
    parser.description = description
    parser.epilog = text.replace("%", "%%")


def _add_slots(parser: argparse.ArgumentParser) -> None:
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--gpus", metavar="LIST", help="GPUs to render on: 0,1,2 or all")
    which.add_argument("--cpu", type=_count, metavar="N", help="render N pairs side by side on the CPU")
    parser.add_argument(
        "--gpus-per-render", type=int, choices=[1, 2], default=1, help="2 serves pairs with `gpus: 2` (default: 1)"
    )


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError(f"is {count}; must be at least 1")
    return count


def _port(text: str) -> int:
    port = int(text)
    if not 0 < port < 65536:
        raise argparse.ArgumentTypeError(f"is {port}; must be from 1 to 65535")
    return port
