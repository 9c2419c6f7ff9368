"""The options of the commands that speak to a farm. Imports nothing heavy, for a fast --help."""

from __future__ import annotations

import argparse
from typing import Final, get_args

from flows.commands.host_options import describe
from styletransfer.manifest.schema import Priority

SUBMIT_HELP: Final = """\
Checks the manifest as `check` does, stores it with its results (locations made
absolute, globs looked up) and hands it to the farm. Everything it names must
be where the workers can reach it: local paths are refused unless the server is
this host's own (`up`), or --shared-filesystem says that all hosts see them.

Times: '22:30' (the next one), 'today 22:30', 'tomorrow 01:00', or ISO 8601,
'2026-03-01 01:00' or '2026-03-01T01:00+01:00'.

Ctrl-C while waiting leaves the run alone.

exit status: 0 submitted (with --wait: all done), 1 some pair failed, time was
up or the server can't be reached, 2 the manifest or an option is wrong, 130
cancelled

examples:
  styletransfer submit s3://studio/harbour.yaml
  styletransfer submit harbour.yaml --priority high --wait
  styletransfer submit harbour.yaml --at 'tomorrow 01:00' --until 07:00
  styletransfer submit harbour.yaml --only harbour--wave --force
"""

SCHEDULE_HELP: Final = """\
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

STATUS_HELP: Final = """\
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

CANCEL_HELP: Final = """\
Ends a run. Renders stop after the iteration in hand and keep their
checkpoints: what is submitted again goes on there. What is done stays.

exit status: 0 cancelled, or over already, 1 it is not over yet, or the server
can't be reached, 2 there is no such run

examples:
  styletransfer cancel harbour
"""

RETRY_HELP: Final = """\
Submits the pairs that failed once more, and nothing else. Submit the manifest
itself to render all that is not done.

exit status: 0 submitted (with --wait: all done), or nothing failed, 1 some
pair failed, or the server can't be reached, 2 there is no such run

examples:
  styletransfer retry harbour --wait
"""

NOTIFY_HELP: Final = """\
A message is sent for each manifest at its end, and, where `--until` sets an
end to the night, one as soon as it can be told whether all will be through by
then. The URL is kept in Prefect, encrypted, and shown nowhere.

A webhook is sent a POST of {"text": "..."}, as Slack, Mattermost, Rocket.Chat
and Google Chat take it. Others are reached by a notification block that was
made in Prefect, in its dashboard or by its own commands: mail, Teams, Discord,
PagerDuty and more. `--webhook -` asks for the URL, so that no history has it.

exit status: 0 done, 1 the test message could not be sent or the server can't
be reached, 2 something is wrong

examples:
  styletransfer notify --webhook -
  styletransfer notify --block discord-webhook/studio
  styletransfer notify --test
  styletransfer notify --off
"""

CLEAN_HELP: Final = """\
Shows what would be removed, and removes it when told --delete:

  runs         that ended before --older-than, with their artifacts and logs
  checkpoints  of pairs that are done, at once; others, which a render could
               still go on from, when not written since --older-than, or the
               oldest of them beyond --max-checkpoints
  notes        of renders that ended: of pairs that are done, at once
  manifests    copies stored with runs that are gone from the server
  caches       of this host: oldest first, beyond --max-cache

Pictures, records, summaries and contact sheets are never removed. Folders are
those of all manifests that the server has runs of; name an output folder to
clean it, too. One in which something is being rendered is left alone.

exit status: 0 done, 1 something could not be removed or reached, 2 an option
is wrong

examples:
  styletransfer clean
  styletransfer clean --older-than 14d --delete
  styletransfer clean s3://studio/renders --max-checkpoints 50GB --delete
  styletransfer clean --cron '0 12 * * *' --timezone Europe/Berlin
"""

DEFAULT_AGE: Final = "30d"
DEFAULT_CHECKPOINTS: Final = "100GB"
DEFAULT_CACHE: Final = "10GB"


def add_submit_options(parser: argparse.ArgumentParser) -> None:
    describe(parser, "submit MANIFEST [options]", "Hand a manifest to the farm.", SUBMIT_HELP)
    parser.add_argument("manifest", metavar="MANIFEST", help="path or URL of the manifest (YAML)")
    parser.add_argument(
        "--only", nargs="+", action="extend", default=[], metavar="ID", help="only the pairs with these ids"
    )
    parser.add_argument("--force", action="store_true", help="render again what is done")
    _add_priority(parser)
    parser.add_argument("--at", metavar="TIME", help="begin then, not now")
    _add_until(parser)
    _add_timezone(parser)
    parser.add_argument(
        "--weights",
        metavar="SOURCE",
        help="in place of the manifest's: imagenet, random, random:SEED, or path or URL of a file",
    )
    parser.add_argument("--output", metavar="FOLDER", help="path or URL, in place of the manifest's output")
    _add_shared_filesystem(parser)
    _add_wait(parser)
    _add_state(parser)


def add_schedule_options(parser: argparse.ArgumentParser) -> None:
    usage = "schedule MANIFEST_OR_FOLDER --cron CRON [options] | --list | --remove MANIFEST_OR_FOLDER"
    describe(parser, usage, "Render a manifest, or all in a folder, night by night.", SCHEDULE_HELP)
    parser.add_argument("source", nargs="?", metavar="MANIFEST_OR_FOLDER", help="path or URL")
    parser.add_argument("--cron", metavar="CRON", help="when: minute, hour, day, month, day of the week")
    _add_timezone(parser)
    _add_until(parser)
    _add_priority(parser)
    _add_shared_filesystem(parser)
    parser.add_argument("--list", action="store_true", help="show what is scheduled, and for when")
    parser.add_argument("--remove", metavar="WHAT", help="schedule this manifest or folder no more")
    _add_state(parser)


def add_status_options(parser: argparse.ArgumentParser) -> None:
    describe(parser, "status [RUN] [--slots]", "Show how runs, or slots, stand.", STATUS_HELP)
    parser.add_argument("run", nargs="?", metavar="RUN", help="name of a manifest, or a run's id")
    parser.add_argument("--slots", action="store_true", help="show each slot: host, device, pair, time left")
    _add_state(parser)


def add_cancel_options(parser: argparse.ArgumentParser) -> None:
    describe(parser, "cancel RUN", "End a run; renders keep their checkpoints.", CANCEL_HELP)
    parser.add_argument("run", metavar="RUN", help="name of a manifest, or a run's id")
    _add_state(parser)


def add_retry_options(parser: argparse.ArgumentParser) -> None:
    describe(parser, "retry RUN [--wait]", "Render the failed pairs of a run once more.", RETRY_HELP)
    parser.add_argument("run", metavar="RUN", help="name of a manifest, or a run's id")
    _add_priority(parser)
    _add_wait(parser)
    _add_state(parser)


def add_notify_options(parser: argparse.ArgumentParser) -> None:
    usage = "notify --webhook URL | --block TYPE/NAME | --test | --off"
    describe(parser, usage, "Have a message sent at the end of each manifest.", NOTIFY_HELP)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--webhook", metavar="URL", help="send messages there; - asks for the URL")
    what.add_argument("--block", metavar="TYPE/NAME", help="send messages through this notification block")
    what.add_argument("--test", action="store_true", help="only send a test message")
    what.add_argument("--off", action="store_true", help="send no messages any more")
    parser.add_argument("--no-test", action="store_true", help="set up without sending a test message")
    _add_state(parser)


def add_clean_options(parser: argparse.ArgumentParser) -> None:
    usage = "clean [OUTPUT ...] [--delete] [options]"
    describe(parser, usage, "Remove what no run needs any more.", CLEAN_HELP)
    parser.add_argument("outputs", nargs="*", metavar="OUTPUT", help="output folders to clean as well")
    parser.add_argument("--delete", action="store_true", help="remove; without it nothing is, only shown")
    parser.add_argument(
        "--older-than", default=DEFAULT_AGE, metavar="AGE", help="12h, 30d, 8w (default: %(default)s)"
    )
    parser.add_argument(
        "--max-checkpoints",
        default=DEFAULT_CHECKPOINTS,
        metavar="SIZE",
        help="of a manifest's folder: 500MB, 100GB, 2TB (default: %(default)s)",
    )
    parser.add_argument(
        "--max-cache", default=DEFAULT_CACHE, metavar="SIZE", help="of this host's caches (default: %(default)s)"
    )
    parser.add_argument("--cron", metavar="CRON", help="clean by this schedule from now on, and not now")
    _add_timezone(parser)
    parser.add_argument("--no-cron", action="store_true", help="clean by schedule no more")
    _add_state(parser)


def _add_priority(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--priority", choices=get_args(Priority), help="who is rendered first (default: as the manifest says)"
    )


def _add_until(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--until",
        metavar="TIME",
        help="07:00: what has not begun by then is left, what is running is checkpointed and left",
    )


def _add_timezone(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--timezone", metavar="ZONE", help="like Europe/Berlin (default: this host's)")


def _add_shared_filesystem(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--shared-filesystem", action="store_true", help="every worker sees this host's paths")


def _add_wait(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--wait", action="store_true", help="follow the run to its end")


def _add_state(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--state",
        metavar="DIR",
        help="state folder of the `up` to speak to (default: the server of PREFECT_API_URL, else one's own `up`)",
    )
