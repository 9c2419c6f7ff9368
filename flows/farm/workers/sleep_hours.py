"""Hours in which a host renders nothing, `09:00-18:00`: somebody else has use for its GPUs then."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time

from flows.farm.times import TimeError, parse_clock


@dataclass(frozen=True)
class SleepHours:
    """From `begin` to `end`, by this host's clock, every day; over midnight where the end comes first."""

    begin: time
    end: time

    def holds(self, clock: time) -> bool:
        """Whether it is in them at this time of day."""
        if self.begin < self.end:
            return self.begin <= clock < self.end
        return clock >= self.begin or clock < self.end

    def now(self) -> bool:
        return self.holds(datetime.now().time())  # noqa: DTZ005  (this host's clock is meant)


def parse_hours(text: str) -> SleepHours:
    """Raises TimeError."""
    begin, dash, end = text.partition("-")
    hours = SleepHours(parse_clock(begin), parse_clock(end)) if dash else None
    if hours is None or hours.begin == hours.end:
        raise TimeError(f"{text!r} are no hours; write them as '09:00-18:00'")
    return hours
