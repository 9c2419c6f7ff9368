"""Whether a night is long enough: forecast and told once, as soon as the first pairs show the speed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from flows.farm import times
from flows.farm.messages import end_message, try_to_send
from flows.pairs.listeners import Result
from styletransfer.planning.plan import Plan, PlannedPair
from styletransfer.records.records import now as utc_now
from styletransfer.renders.summary import Outcome

OVERHEAD: Final = 1.05
"""Of a pair's seconds for what lies between two pairs: starting render runs, fetching, storing."""


@dataclass(frozen=True)
class Forecast:
    """When the last pair will be through at this speed, and how many will not be by `until`."""

    through: datetime
    until: datetime
    pairs: int
    left: int

    @property
    def in_time(self) -> bool:
        return self.through <= self.until


class Pace:
    """Watches the states of a driver's pairs. Work is counted in pixel iterations, as `flows.pairs.estimate` does.

    The speed is that of the pairs done so far; as many are rendered at once as have been so far.
    """

    def __init__(self, queued: Sequence[PlannedPair], clock: Callable[[], float] = time.monotonic) -> None:
        self.slots = 1
        self._work = {pair.id: pair.work.total for pair in queued}
        self._clock = clock
        self._began: dict[str, float] = {}

    @property
    def pairs(self) -> int:
        return len(self._work)

    def seconds_left(self, outcomes: Mapping[str, Outcome]) -> list[float]:
        """How all pairs stand now; gives what each one that is left will take in its slot. Empty while unknown."""
        rendering = [pair for pair in self._work if _state(outcomes, pair) == "rendering"]
        for pair in rendering:
            self._began.setdefault(pair, self._clock())
        self.slots = max(self.slots, len(rendering))
        speed = self._speed(outcomes)
        if speed is None:
            return []
        clock = self._clock()
        return [
            max(0.0, self._work[pair] / speed * OVERHEAD - (clock - self._began.get(pair, clock)))
            for pair in sorted(self._work)
            if not _is_over(outcomes.get(pair))
        ]

    def _speed(self, outcomes: Mapping[str, Outcome]) -> float | None:
        """Pixel iterations per second and slot, once as many pairs are done as are rendered at once."""
        records = {pair: outcomes[pair].record for pair in self._work if _is_done(outcomes.get(pair))}
        seconds = sum(record.seconds for record in records.values() if record is not None)
        if len(records) < self.slots or seconds <= 0:
            return None
        return sum(self._work[pair] for pair, record in records.items() if record is not None) / seconds

    def total_s(self, seconds: Sequence[float]) -> float:
        """Until all are through: shared out evenly at best, and never before the longest is."""
        return max(sum(seconds) / self.slots, *seconds)


class Forecaster:
    """Forecasts once whether a driver's pairs will be through by `until`."""

    def __init__(
        self,
        queued: Sequence[PlannedPair],
        until: datetime,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._pace = Pace(queued, clock)
        self._until, self._now = until, now
        self._told = False

    def states(self, outcomes: Mapping[str, Outcome]) -> Forecast | None:
        """How all pairs stand now; gives the forecast when it is first possible, and then no more."""
        if self._told:
            return None
        seconds = self._pace.seconds_left(outcomes)
        if not seconds:
            return None
        self._told = True
        now = self._now()
        through = now + timedelta(seconds=self._pace.total_s(seconds))
        return Forecast(through, self._until, self._pace.pairs, self._not_by(seconds, now))

    def _not_by(self, seconds: Sequence[float], now: datetime) -> int:
        """How many will not be done: the shortest are counted as rendered first, so at least so many."""
        budget = (self._until - now).total_seconds()
        spent, fit = 0.0, 0
        for each in sorted(seconds):
            spent += each / self._pace.slots
            if spent > budget or each > budget:
                break
            fit += 1
        return len(seconds) - fit


def _state(outcomes: Mapping[str, Outcome], pair: str) -> str:
    found = outcomes.get(pair)
    return found.state if found else "queued"


def _is_done(outcome: Outcome | None) -> bool:
    return outcome is not None and (outcome.state == "done" or outcome.is_preview)


def _is_over(outcome: Outcome | None) -> bool:
    return outcome is not None and (outcome.is_made or outcome.state in ("failed", "cancelled"))


def forecast_message(manifest: str, forecast: Forecast, zone: tzinfo) -> tuple[str, str]:
    """Subject and body on whether a manifest will be through in time."""
    until, through = (times.shown(moment, zone) for moment in (forecast.until, forecast.through))
    if forecast.in_time:
        return f"{manifest}: will be through in time", f"at this speed by {through}; it has until {until}"
    left = f"about {forecast.left} of {forecast.pairs} pairs will be left over, until it is submitted again"
    late = f"at this speed by {through}, but it has until {until}"
    return f"{manifest}: will not be through in time", f"{late}; {left}"


class Messenger:
    """Hangs on a driver: tells people of its forecast and of its end. What it is told comes from one thread.

    `began`: when the submission did, which another driver may have begun.
    """

    def __init__(
        self,
        until: datetime | None = None,
        zone: tzinfo | None = None,
        began: datetime | None = None,
        tell: Callable[[str, str], None] = try_to_send,
    ) -> None:
        self._until, self._zone = until, zone
        self._tell = tell
        self._began = began or utc_now()
        self._manifest = ""
        self._forecaster: Forecaster | None = None

    def planned(self, plan: Plan) -> None:
        self._manifest = plan.manifest.name
        if self._until is not None:
            self._forecaster = Forecaster(plan.having("queued"), self._until)

    def states(self, outcomes: Mapping[str, Outcome]) -> None:
        forecast = self._forecaster.states(outcomes) if self._forecaster else None
        if forecast is not None:
            self._tell(*forecast_message(self._manifest, forecast, self._zone or UTC))

    def ended(self, result: Result) -> None:
        self._tell(*end_message(result, (utc_now() - self._began).total_seconds()))
