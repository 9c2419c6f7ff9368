"""What a manifest took of the farm, summed up at its end: slot-hours and what they cost, what was slow, who failed.

Counted is what this submission has rendered, whichever driver looked after it; slots from when this one began.
"""

from __future__ import annotations

import logging
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

from flows.farm.driver.attempts import PairStanding
from styletransfer.records.records import FarmReport, Record, SlowPair, now

COST_VARIABLE: Final = "NST_COST_PER_SLOT_HOUR"
"""Environment variable of drivers: `1.20 EUR`, what an hour of a slot costs."""

_COST: Final = re.compile(r"(\d+(?:\.\d+)?) ?(\S{1,8})")

SLOWEST: Final = 3

log = logging.getLogger(__name__)


class SlotTime:
    """How many slots were in service, on average, from the first look until the last."""

    def __init__(self) -> None:
        self._began: float | None = None
        self._slots = 0
        self._until = 0.0
        self._slot_seconds = 0.0

    def seen(self, slots: int, clock: float) -> None:
        """So many are in service from this moment on."""
        if self._began is None:
            self._began = clock
        else:
            self._slot_seconds += self._slots * (clock - self._until)
        self._slots, self._until = slots, clock

    @property
    def mean(self) -> float:
        """Over all looks; what was seen by the only one where no time has passed."""
        passed = self._until - (self._until if self._began is None else self._began)
        return self._slot_seconds / passed if passed > 0 else float(self._slots)


def report(
    records: Iterable[Record],
    standings: Mapping[str, PairStanding],
    slots: float,
    began: datetime,
    forecast: datetime | None,
) -> FarmReport:
    """Of the `records` that this submission has made since it `began`, on so many `slots` on average.

    `forecast`: when it was to be through, as said when the speed was first known.
    """
    records = list(records)
    seconds = {record.id: record.seconds for record in records}
    slot_hours, ended = sum(record.slot_seconds for record in records) / 3600, now()
    there_hours = slots * (ended - began).total_seconds() / 3600
    slowest = sorted(seconds, key=lambda pair: (-seconds[pair], pair))[:SLOWEST]
    failed_on = Counter(str(place) for standing in standings.values() for place in standing.places)
    return FarmReport(
        began=began,
        ended=ended,
        forecast=forecast,
        slot_hours=slot_hours,
        slots=slots,
        utilisation=min(1.0, slot_hours / there_hours) if there_hours else None,
        cost=cost(slot_hours, os.environ.get(COST_VARIABLE)),
        slowest=tuple(SlowPair(id=pair, seconds=seconds[pair]) for pair in slowest),
        failed_on=dict(failed_on.most_common()),
    )


def cost(slot_hours: float, per_slot_hour: str | None) -> str | None:
    """`14.88 EUR`; None where nobody has said what a slot costs, with a warning where nobody can tell."""
    if not per_slot_hour:
        return None
    told = _COST.fullmatch(per_slot_hour.strip())
    if told is None:
        log.warning("%s is %r; write an amount and a currency: 1.20 EUR", COST_VARIABLE, per_slot_hour)
        return None
    return f"{slot_hours * float(told[1]):.2f} {told[2]}"
