"""`styletransfer deploy`: set the server up, and say what was changed."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, Final

from flows.commands.farm_server import with_server
from flows.commands.options import DONE, FAILED, Parser
from flows.server.password import CLIENTS_VARIABLE, SERVERS_VARIABLE

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

    from flows.commands.terminal import Lines

USAGE: Final = "[options]"

HELP: Final = """\
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

_OPEN: Final = (
    "the server answers without a password: whoever reaches it, and any web page in a browser that does, can run "
    f"commands on the workers and read what the server keeps. Start it with {SERVERS_VARIABLE}=USER:PASSWORD, and "
    f"set {CLIENTS_VARIABLE} to the same for workers and commands (docs/security.md)"
)


def add_options(parser: Parser) -> None:
    parser.add_argument(
        "--type",
        choices=["process", "docker", "kubernetes"],
        help="of work pools that are not there yet (default: process)",
    )
    parser.add_argument("--check", action="store_true", help="change nothing, show what would be changed")
    parser.add_argument("--state", metavar="DIR", help="state folder of the `up` whose server is meant")


@with_server
def run(options: argparse.Namespace, client: SyncPrefectClient, lines: Lines) -> int:
    """Print the changes, and a warning if the server is open to anyone; returns the exit status."""
    from flows.farm.setup.deploy import deploy

    changes = deploy(client, options.type, check=options.check)
    for line in changes or ["all is as it should be"]:
        lines.say(line)
    if answers_anyone(os.environ["PREFECT_API_URL"]):
        sys.stderr.write(f"warning: {_OPEN}\n")
    return FAILED if options.check and changes else DONE


def answers_anyone(api_url: str) -> bool:
    """Whether a server that is there answers without a password."""
    import httpx

    try:
        return httpx.get(f"{api_url}/version", timeout=5).status_code == httpx.codes.OK
    except (httpx.HTTPError, httpx.InvalidURL):
        return False  # whoever can't be asked has not answered
