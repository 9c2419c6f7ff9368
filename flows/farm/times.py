"""Moments as people write them (`tomorrow 01:00`), times of day, time zones; and how moments are shown."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from styletransfer.errors import UsageError

AT_FORMS: Final = (
    "'22:30', 'today 22:30', 'tomorrow 01:00', or ISO 8601: '2026-03-01 01:00', '2026-03-01T01:00+01:00'"
)

_CLOCK = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])")
_DAYS: Final = {"today": 0, "tomorrow": 1}


class TimeError(UsageError):
    """A moment, a time of day or a time zone that can't be understood, or that lies where it must not."""


def zone_of(name: str | None) -> ZoneInfo:
    """The time zone with this IANA name, or this host's where none is named. Raises TimeError."""
    return parse_zone(name or host_zone())


def parse_zone(name: str) -> ZoneInfo:
    """The time zone with this IANA name. Raises TimeError."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:  # OSError: the name is a folder's
        raise TimeError(f"there is no time zone {name!r}; names are like 'Europe/Berlin' or 'UTC'") from error


def host_zone() -> str:
    """IANA name of this host's time zone; UTC where it has none that can be told."""
    from tzlocal import get_localzone_name

    try:
        name: str | None = get_localzone_name()
    except (ZoneInfoNotFoundError, ValueError):
        name = None
    return name or "UTC"


def parse_clock(text: str) -> time:
    """A time of day, `07:00`. Raises TimeError."""
    match = _CLOCK.fullmatch(text.strip())
    if not match:
        raise TimeError(f"{text!r} is no time of day; write it as '07:00', from 00:00 to 23:59")
    return time(int(match[1]), int(match[2]))


def parse_at(text: str, zone: tzinfo, now: datetime) -> datetime:
    """The moment to begin at, in UTC; what names no zone is in `zone`. Raises TimeError, also for the past.

    A time of day alone is its next occurrence.
    """
    words = text.split()
    if len(words) == 1 and _CLOCK.fullmatch(words[0]):
        return next_clock(parse_clock(words[0]), zone, now)
    if len(words) == 2 and words[0].lower() in _DAYS and _CLOCK.fullmatch(words[1]):
        day = now.astimezone(zone).date() + timedelta(days=_DAYS[words[0].lower()])
        moment = _local(datetime.combine(day, parse_clock(words[1])), zone)
    else:
        moment = _iso(text.strip(), zone)
    if moment < now:
        raise TimeError(f"{text!r} is past: it is {shown(moment, zone)}, and now is {shown(now, zone)}")
    return moment.astimezone(UTC)


def _iso(text: str, zone: tzinfo) -> datetime:
    """A date and a time of day; `fromisoformat` alone would take a date for its midnight."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise TimeError(f"{text!r} is no moment that is understood; allowed: {AT_FORMS}") from error
    if ":" not in text and "T" not in text:
        raise TimeError(f"{text!r} has no time of day; write '{text} 01:00'")
    return moment if moment.tzinfo else _local(moment, zone)


def next_clock(clock: time, zone: tzinfo, now: datetime) -> datetime:
    """When a clock in `zone` shows this time next, in UTC; right now counts as next.

    Where clocks are put forward and leave it out, that day has none, and it is the next day's.
    """
    today = now.astimezone(zone).date()
    for days in range(3):
        try:
            moment = _local(datetime.combine(today + timedelta(days=days), clock), zone)
        except TimeError:
            continue
        if moment >= now:
            return moment.astimezone(UTC)
    raise AssertionError  # never: no clock is put forward by a day twice


def _local(naive: datetime, zone: tzinfo) -> datetime:
    """The moment at which clocks in `zone` show this; the first one, where they show it twice."""
    moment = naive.replace(tzinfo=zone)
    if moment.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != naive:
        raise TimeError(f"{naive:%Y-%m-%d %H:%M} does not exist in {zone}: clocks are put forward then")
    return moment


def shown(moment: datetime, zone: tzinfo) -> str:
    """`Mon 2026-03-02 01:00 CET`."""
    return f"{moment.astimezone(zone):%a %Y-%m-%d %H:%M %Z}"


def duration_text(seconds: float) -> str:
    """`40 s`, `12 min`, `3 h 05 min`, `2 d 4 h`: for people, to two figures."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    hours, minutes = divmod(minutes, 60)
    days, hours_left = divmod(hours, 24)
    if days:
        return f"{days} d {hours_left} h"
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min"
