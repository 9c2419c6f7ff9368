"""`styletransfer deploy`: set the server up, and say what was changed."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
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
schedules, and job templates that were made by hand, stay as they are. Run it
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
    parser.add_argument(
        "--several-gpus", action="store_true", help="make nst-gpu2, too, for Prefect's own workers; ours make it"
    )
    parser.add_argument("--check", action="store_true", help="change nothing, show what would be changed")
    parser.add_argument("--state", metavar="DIR", help="state folder of the `up` whose server is meant")


@with_server
def run(options: argparse.Namespace, client: SyncPrefectClient, lines: Lines) -> int:
    """Print the changes, and warnings of what is open to others; returns the exit status."""
    from flows.farm.setup.deploy import deploy

    changes = deploy(client, options.type, check=options.check, several_gpus=options.several_gpus)
    warnings = [*_open_pools(client)]
    for line in changes or ["all is as it should be"]:
        lines.say(line)
    if answers_anyone(os.environ["PREFECT_API_URL"]):
        warnings.append(_OPEN)
    for warning in warnings:
        sys.stderr.write(f"warning: {warning}\n")
    return FAILED if options.check and changes else DONE


def _open_pools(client: SyncPrefectClient) -> Iterator[str]:
    from prefect.exceptions import ObjectNotFound

    from flows.farm import names
    from flows.farm.setup.job_templates import chosen_by_runs

    for name in names.POOLS:
        with suppress(ObjectNotFound):
            if chosen := chosen_by_runs(client.read_work_pool(name)):
                what = f"pool {name} takes {', '.join(chosen)} from runs; its job template has been changed"
                yield f"{what}: take them out of it, or remove the pool and deploy again (docs/security.md)"


def answers_anyone(api_url: str) -> bool:
    """Whether a server that is there answers without a password."""
    import httpx

    try:
        return httpx.get(f"{api_url}/version", timeout=5).status_code == httpx.codes.OK
    except (httpx.HTTPError, httpx.InvalidURL):
        return False  # whoever can't be asked has not answered
