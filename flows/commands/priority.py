"""`styletransfer priority`: who is rendered first, of manifests that have been handed over."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final, get_args

from flows.commands.farm_server import find_live, with_server
from flows.commands.options import DONE, Parser
from styletransfer.errors import UsageError

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

    from flows.commands.terminal import Lines

USAGE: Final = "RUN PRIORITY"

HELP: Final = """\
Changes the priority of what a manifest has not begun: low, normal or high. A
slot that becomes free takes what is high first, then normal, then low. What is
being rendered is not interrupted.

exit status: 0 changed, or over already, 1 the server can't be reached, 2 there
is no such run

examples:
  styletransfer priority harbour high
"""


def add_options(parser: Parser) -> None:
    parser.add_shared("run")
    parser.add_argument("priority", metavar="PRIORITY", help="low, normal or high")
    parser.add_shared("--state")


@with_server
def run(options: argparse.Namespace, client: SyncPrefectClient, lines: Lines) -> int:
    """Returns the exit status."""
    from flows.farm import orders
    from styletransfer.manifest.schema import Priority

    known = get_args(Priority)
    if options.priority not in known:
        raise UsageError(f"there is no priority {options.priority!r}; there are: {', '.join(known)}")
    driver = find_live(client, options.run, lines)
    if driver is None:
        return DONE
    orders.give_priority(client, driver, options.priority)
    lines.say(f"{driver.name}: what has not begun has priority {options.priority} within half a minute")
    return DONE
