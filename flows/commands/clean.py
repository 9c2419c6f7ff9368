"""`styletransfer clean`: shows what no run needs any more, and removes it when told to."""

from __future__ import annotations

import argparse
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from flows.commands.farm_server import with_server
from flows.commands.options import DONE, FAILED, Parser
from styletransfer.errors import Fault, SettingsError

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

    from flows.commands.terminal import Lines
    from flows.farm.overnight.cron_deployments import Schedule
    from flows.farm.overnight.waste import KeepLimits, Waste

USAGE: Final = "[OUTPUT ...] [--delete] [options]"

HELP: Final = """\
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

SCHEDULE_NAME: Final = "schedule-clean"

_MOST_SHOWN: Final = 30
_AGE = re.compile(r"(\d{1,6})([hdw])")
_SIZE = re.compile(r"(\d{1,9}(?:\.\d+)?)\s*(|k|M|G|T)B", re.IGNORECASE)
_HOURS = {"h": 1, "d": 24, "w": 168}
_BYTES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


def add_options(parser: Parser) -> None:
    parser.add_argument("outputs", nargs="*", metavar="OUTPUT", help="output folders to clean as well")
    parser.add_argument("--delete", action="store_true", help="remove; without it nothing is, only shown")
    parser.add_argument("--older-than", default="30d", metavar="AGE", help="12h, 30d, 8w (default: %(default)s)")
    parser.add_argument(
        "--max-checkpoints",
        default="100GB",
        metavar="SIZE",
        help="of a manifest's folder: 500MB, 100GB, 2TB (default: %(default)s)",
    )
    parser.add_argument(
        "--max-cache", default="10GB", metavar="SIZE", help="of this host's caches (default: %(default)s)"
    )
    parser.add_argument("--cron", metavar="CRON", help="clean by this schedule from now on, and not now")
    parser.add_shared("--timezone")
    parser.add_argument("--no-cron", action="store_true", help="clean by schedule no more")
    parser.add_shared("--state")


@with_server
def run(options: argparse.Namespace, client: SyncPrefectClient, lines: Lines) -> int:
    """Show what there is to remove, remove it, or do so by a schedule; returns the exit status."""
    from flows.commands import cron_schedules
    from flows.farm import names
    from flows.farm.overnight import cron_deployments

    limits = limits_of(options)
    if options.cron:
        return cron_schedules.put(client, _schedule(options, limits), lines)
    if options.no_cron:
        removed = cron_deployments.remove(client, f"{names.CLEAN_FLOW}/{SCHEDULE_NAME}")
        lines.say("cleaned by schedule no more" if removed else "nothing was scheduled")
        return DONE
    return _clean(client, options, limits, lines)


def _clean(client: SyncPrefectClient, options: argparse.Namespace, limits: KeepLimits, lines: Lines) -> int:
    from flows.farm.overnight import clean
    from flows.farm.overnight.removal import remove_all
    from flows.farm.overnight.waste import summed_up

    troubles: list[str] = []
    found = clean.find_waste(client, limits, options.outputs, troubles.append)
    _show(found)
    if options.delete:
        remove_all(client, found, troubles.append)
        lines.say(f"removed: {summed_up(found)}")
    else:
        lines.say(f"would be removed: {summed_up(found)}" + ("; --delete removes it" if found else ""))
    for trouble in troubles:
        lines.note(trouble)
    return FAILED if troubles else DONE


def _show(found: list[Waste]) -> None:
    from flows.commands.tables import output, show, table
    from flows.farm.overnight.waste import KINDS

    for kind in KINDS:
        wastes = [waste for waste in found if waste.kind == kind]
        rows = [_row(waste) for waste in wastes[:_MOST_SHOWN]]
        if rows:
            show(table((kind, "size", "why"), rows, right=("size",)))
        if len(wastes) > _MOST_SHOWN:
            output().print(f"... and {len(wastes) - _MOST_SHOWN} more\n")


def _row(waste: Waste) -> tuple[str, ...]:
    from flows.farm.overnight.waste import size_text
    from styletransfer import storage

    size = size_text(waste.bytes) if waste.bytes else ""
    return (waste.name or storage.public(waste.what), size, waste.why)


def _schedule(options: argparse.Namespace, limits: KeepLimits) -> Schedule:
    from flows.commands.handing_over import asked_zone
    from flows.farm import names
    from flows.farm.overnight.cron_deployments import Schedule, parse_cron
    from styletransfer import storage

    return Schedule(
        name=SCHEDULE_NAME,
        base=names.CLEAN_DEPLOYMENT,
        cron=parse_cron(options.cron, asked_zone(options).key),
        parameters={
            "older_than_s": int(limits.age.total_seconds()),
            "max_checkpoints": limits.checkpoints,
            "max_cache": limits.cache,
            "outputs": [storage.resolve(".", url) for url in options.outputs],
        },
        description="clean",
    )


def limits_of(options: argparse.Namespace) -> KeepLimits:
    """What the options allow to stay. Raises SettingsError with all that is wrong."""
    from flows.farm.overnight.waste import KeepLimits

    faults: list[Fault] = []
    age = _parse_age(options.older_than, faults)
    checkpoints = _parse_size("--max-checkpoints", options.max_checkpoints, faults)
    cache = _parse_size("--max-cache", options.max_cache, faults)
    if faults:
        raise SettingsError(faults)
    return KeepLimits(age, checkpoints, cache)


def _parse_age(text: str, faults: list[Fault]) -> timedelta:
    match = _AGE.fullmatch(text.strip())
    if not match:
        faults.append(Fault("--older-than", f"is {text!r}; must be hours, days or weeks: 12h, 30d, 8w"))
        return timedelta()
    return timedelta(hours=int(match[1]) * _HOURS[match[2]])


def _parse_size(option: str, text: str, faults: list[Fault]) -> int:
    match = _SIZE.fullmatch(text.strip())
    if not match:
        faults.append(Fault(option, f"is {text!r}; must be like 500MB, 100GB, 2TB"))
        return 0
    return round(float(match[1]) * _BYTES[match[2].lower()])
