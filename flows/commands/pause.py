"""`styletransfer pause`: a manifest, or the whole farm, until it is resumed."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

from flows.commands.farm_server import find_live, with_server
from flows.commands.options import DONE, Parser

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

    from flows.commands.terminal import Lines

USAGE: Final = "[RUN]"

HELP: Final = """\
Pauses a manifest, or without RUN the whole farm. Renders save their state and
are handed back within a minute or two; nothing is begun, until it is resumed.
Other manifests go on, and get the slots. A manifest's `--until` stays in force.

exit status: 0 paused, or over already, 1 the server can't be reached, 2 there
is no such run

examples:
  styletransfer pause harbour
  styletransfer pause
"""


_RENDERS: Final = "renders save their state and are handed back"


def add_options(parser: Parser) -> None:
    parser.add_argument("run", nargs="?", metavar="RUN", help="as in `status`; without: the whole farm")
    parser.add_shared("--state")


@with_server
def run(options: argparse.Namespace, client: SyncPrefectClient, lines: Lines) -> int:
    """Returns the exit status."""
    from flows.farm import names, orders

    if options.run is None:
        orders.pause_farm(client)
        lines.say(f"the farm is paused: {_RENDERS}; to go on: styletransfer resume")
        return DONE
    driver = find_live(client, options.run, lines)
    if driver is None:
        return DONE
    orders.change(client, driver, add=[names.PAUSED_TAG])
    lines.say(f"{driver.name}: paused: {_RENDERS}; to go on: styletransfer resume {driver.name}")
    return DONE
