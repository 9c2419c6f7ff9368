"""`styletransfer schedule`: a manifest, or an inbox of them, rendered night by night."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

from flows.commands.farm_server import with_server
from flows.commands.options import Parser, add_priority
from styletransfer.errors import UsageError

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

    from flows.commands.terminal import Lines

USAGE: Final = "MANIFEST_OR_FOLDER --cron CRON [options] | --list | --remove MANIFEST_OR_FOLDER"

HELP: Final = """\
A folder, local or s3://, is an inbox: each time every manifest in it (*.yaml,
*.yml; not in its subfolders) that is new or unfinished is rendered. A manifest
that is still being rendered is left alone, and while one round is going
through the folder, another is not begun.

The same folder or manifest scheduled again changes its schedule. A local
manifest is stored with its results when it is scheduled, unless
--shared-filesystem says that all hosts see it; schedule it again after a
change. Renders that --until leaves over keep their checkpoints and go on the
next time.

exit status: 0 done, 1 the server can't be reached, 2 something is wrong

examples:
  styletransfer schedule s3://studio/inbox --cron '0 22 * * 1-5' --until 07:00
  styletransfer schedule harbour.yaml --cron '0 1 * * *' --timezone Europe/Oslo
  styletransfer schedule --list
  styletransfer schedule --remove s3://studio/inbox
"""


def add_options(parser: Parser) -> None:
    parser.add_argument("source", nargs="?", metavar="MANIFEST_OR_FOLDER", help="path or URL")
    parser.add_argument("--cron", metavar="CRON", help="when: minute, hour, day, month, day of the week")
    parser.add_shared("--timezone", "--until")
    add_priority(parser)
    parser.add_shared("--shared-filesystem")
    parser.add_argument("--list", action="store_true", help="show what is scheduled, and for when")
    parser.add_argument("--remove", metavar="WHAT", help="schedule this manifest or folder no more")
    parser.add_shared("--state")


@with_server
def run(options: argparse.Namespace, client: SyncPrefectClient, lines: Lines) -> int:
    """Make, list or remove schedules; returns the exit status."""
    from flows.commands import cron_schedules

    if options.list:
        return cron_schedules.show_all(client, lines)
    if options.remove:
        return cron_schedules.remove(client, options.remove, lines)
    if not options.source or not options.cron:
        raise UsageError("say what to render and when: MANIFEST_OR_FOLDER and --cron; or --list")
    return cron_schedules.put(client, cron_schedules.asked_for(options, lines), lines)
