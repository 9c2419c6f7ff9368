"""`styletransfer status`: runs, one run's pairs, or slots."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

from flows.commands.farm_server import with_server
from flows.commands.options import DONE, Parser

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

    from flows.commands.terminal import Lines

USAGE: Final = "[RUN] [--slots]"

HELP: Final = """\
Without RUN: what is waiting or being rendered, and what ended in the last
days. With RUN: its pairs that are not done, and why. RUN is the name of a
manifest (its run that is at work, or its newest), or a run's id or how that
begins.

exit status: 0 shown, 1 the server can't be reached, 2 there is no such run

examples:
  styletransfer status
  styletransfer status harbour
  styletransfer status --slots
"""


def add_options(parser: Parser) -> None:
    parser.add_argument("run", nargs="?", metavar="RUN", help="name of a manifest, or a run's id")
    parser.add_argument("--slots", action="store_true", help="show each slot: host, device, pair, time left")
    parser.add_shared("--state")


@with_server
def run(options: argparse.Namespace, client: SyncPrefectClient, _lines: Lines) -> int:
    """Show what is asked for on stdout; returns the exit status."""
    from flows.commands.run_states import show_run, show_runs
    from flows.commands.slot_states import show_slots
    from flows.farm import submissions

    if options.slots:
        show_slots(client)
    if options.run:
        show_run(submissions.find(client, options.run))
    elif not options.slots:
        show_runs(client)
    return DONE
