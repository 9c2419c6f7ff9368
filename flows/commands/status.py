"""`styletransfer status`: the night, one run's pairs, or slots."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any, Final

from flows.commands.farm_server import with_server
from flows.commands.options import DONE, Parser

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from rich.console import RenderableType

    from flows.commands.terminal import Lines

USAGE: Final = "[RUN] [--slots] [--watch] [--json]"

HELP: Final = """\
Without RUN: the night. Every manifest that waits, is being rendered or ended
in the last days, with how far it is and when it will be through; every slot
with what it renders. The same is a page in the dashboard, whose address stands
below. With RUN: its pairs that are not done, why, and how far. RUN is the name
of a manifest (its run that is at work, or its newest), or a run's id or how
that begins.

exit status: 0 shown, 1 the server can't be reached, 2 there is no such run

examples:
  styletransfer status
  styletransfer status harbour --watch
  styletransfer status --slots
"""

WATCH_S: Final = 5.0


def add_options(parser: Parser) -> None:
    parser.add_argument("run", nargs="?", metavar="RUN", help="name of a manifest, or a run's id")
    parser.add_argument("--slots", action="store_true", help="show each slot: host, device, pair, time left")
    parser.add_argument("--watch", action="store_true", help="keep it up to date, until Ctrl-C")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_shared("--state")


@with_server
def run(options: argparse.Namespace, client: SyncPrefectClient, _lines: Lines) -> int:
    """Show what is asked for on stdout; returns the exit status."""
    from flows.commands.tables import show, watch

    if options.json:
        sys.stdout.write(json.dumps(_for_programs(options, client), indent=2) + "\n")
    elif options.watch:
        watch(lambda: _for_people(options, client), WATCH_S)
    else:
        show(_for_people(options, client))
    return DONE


def _for_people(options: argparse.Namespace, client: SyncPrefectClient) -> RenderableType:
    from rich.console import Group

    from flows.commands import night_view
    from flows.commands.run_states import run_view
    from flows.farm import submissions
    from flows.farm.slot_work import read_slots

    slots = [night_view.slots_view(read_slots(client))] if options.slots else []
    if options.run:
        return Group(*slots, run_view(client, submissions.find(client, options.run)))
    return Group(*slots) if slots else night_view.night_view(client)


def _for_programs(options: argparse.Namespace, client: SyncPrefectClient) -> Any:
    from flows.commands import night_view
    from flows.commands.run_states import run_json
    from flows.farm import submissions
    from flows.farm.slot_work import read_slots

    if options.run:
        return run_json(client, submissions.find(client, options.run))
    return night_view.slots_json(read_slots(client)) if options.slots else night_view.night_json(client)
