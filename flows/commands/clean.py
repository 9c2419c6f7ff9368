"""`styletransfer clean`: shows what no run needs any more, and removes it when told to."""

from __future__ import annotations

import argparse
import re
from datetime import timedelta
from typing import Final

from prefect.client.orchestration import SyncPrefectClient, get_client

from flows.commands import main
from flows.commands.schedule import put, zone_and_until
from flows.commands.tables import output, show, table
from flows.commands.terminal import Lines, Output
from flows.farm import names
from flows.farm.nights import clean, schedules
from flows.farm.nights.clean import Limits, Waste
from flows.farm.nights.schedules import Schedule
from styletransfer import storage
from styletransfer.errors import Fault, SettingsError

SCHEDULE_NAME: Final = "schedule-clean"

_MOST_SHOWN: Final = 30
_AGE = re.compile(r"(\d{1,6})([hdw])")
_SIZE = re.compile(r"(\d{1,9}(?:\.\d+)?)\s*(|k|M|G|T)B", re.IGNORECASE)
_HOURS = {"h": 1, "d": 24, "w": 168}
_BYTES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


def run(options: argparse.Namespace) -> int:
    """Show what there is to remove, remove it, or do so by a schedule; returns the exit status."""
    limits, lines = limits_of(options), Lines(Output())
    with get_client(sync_client=True) as client:
        if options.cron:
            return put(client, _schedule(options, limits), lines)
        if options.no_cron:
            removed = schedules.remove(client, f"{names.CLEAN_FLOW}/{SCHEDULE_NAME}")
            lines.say("cleaned by schedule no more" if removed else "nothing was scheduled")
            return main.DONE
        return _clean(client, options, limits, lines)


def _clean(client: SyncPrefectClient, options: argparse.Namespace, limits: Limits, lines: Lines) -> int:
    troubles: list[str] = []
    found = clean.find_waste(client, limits, options.outputs, troubles.append)
    _show(found)
    if options.delete:
        clean.remove_all(client, found, troubles.append)
        lines.say(f"removed: {clean.summed_up(found)}")
    else:
        lines.say(f"would be removed: {clean.summed_up(found)}" + ("; --delete removes it" if found else ""))
    for trouble in troubles:
        lines.note(trouble)
    return main.FAILED if troubles else main.DONE


def _show(found: list[Waste]) -> None:
    for kind in clean.KINDS:
        wastes = [waste for waste in found if waste.kind == kind]
        rows = [_row(waste) for waste in wastes[:_MOST_SHOWN]]
        if rows:
            show(table((kind, "size", "why"), rows, right=("size",)))
        if len(wastes) > _MOST_SHOWN:
            output().print(f"... and {len(wastes) - _MOST_SHOWN} more\n")


def _row(waste: Waste) -> tuple[str, ...]:
    size = clean.size_text(waste.bytes) if waste.bytes else ""
    return (waste.name or storage.public(waste.what), size, waste.why)


def _schedule(options: argparse.Namespace, limits: Limits) -> Schedule:
    zone = zone_and_until(argparse.Namespace(timezone=options.timezone, until=None))[0]
    return Schedule(
        name=SCHEDULE_NAME,
        base=names.CLEAN_DEPLOYMENT,
        cron=options.cron,
        timezone=zone,
        parameters={
            "older_than_s": int(limits.age.total_seconds()),
            "max_checkpoints": limits.checkpoints,
            "max_cache": limits.cache,
            "outputs": [storage.resolve(".", url) for url in options.outputs],
        },
        description="clean",
    )


def limits_of(options: argparse.Namespace) -> Limits:
    """What the options allow to stay. Raises SettingsError with all that is wrong."""
    faults: list[Fault] = []
    age = _parse_age(options.older_than, faults)
    checkpoints = _parse_size("--max-checkpoints", options.max_checkpoints, faults)
    cache = _parse_size("--max-cache", options.max_cache, faults)
    if faults:
        raise SettingsError(faults)
    return Limits(age, checkpoints, cache)


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
