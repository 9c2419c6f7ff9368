"""`styletransfer resume`: a manifest that is paused, or the whole farm, goes on."""

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
Resumes a manifest that was paused, or without RUN the whole farm: renders go on
from their checkpoints, within half a minute. Manifests that were paused on
their own stay so when the farm is resumed.

exit status: 0 resumed, or over already, 1 the server can't be reached, 2 there
is no such run

examples:
  styletransfer resume harbour
  styletransfer resume
"""


def add_options(parser: Parser) -> None:
    parser.add_argument("run", nargs="?", metavar="RUN", help="as in `status`; without: the whole farm")
    parser.add_shared("--state")


@with_server
def run(options: argparse.Namespace, client: SyncPrefectClient, lines: Lines) -> int:
    """Returns the exit status."""
    from flows.farm import names, orders

    if options.run is None:
        orders.resume_farm(client)
        lines.say("the farm goes on")
        return DONE
    driver = find_live(client, options.run, lines)
    if driver is None:
        return DONE
    orders.change(client, driver, remove=[names.PAUSED_TAG])
    if orders.farm_is_paused(client):
        lines.note("note: the farm is paused as a whole; to have it go on: styletransfer resume")
    lines.say(f"{driver.name}: goes on")
    return DONE
