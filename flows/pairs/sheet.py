"""Summary and contact sheet, kept up to date while pairs are rendered."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from flows.pairs.listeners import Listener
from flows.pairs.so_far import SoFar
from styletransfer import storage
from styletransfer.contact_sheet.sheet import ContactSheet
from styletransfer.contact_sheet.under_way import RunUnderWay
from styletransfer.errors import StorageError
from styletransfer.machine.devices import Slot
from styletransfer.planning.plan import Plan, PlannedPair
from styletransfer.planning.speed import SpeedOf, no_speed
from styletransfer.records.records import FarmReport, Summary
from styletransfer.renders.summary import Outcome

if TYPE_CHECKING:
    from styletransfer.transfer.stylizer import Progress

LEAST_PAUSE_S = 5.0
"""Between two writings; or ten times what the last one took, if that is longer."""

REMOTE_PAUSE_S = 60.0
"""Between two writings to a store that is not a disk, where there is no more news than progress."""

log = logging.getLogger(__name__)


class LiveSheet(Listener):
    """Writes the sheet in the background whenever there is news, until the block ends that it opens, or `write` is
    called.

    The block's end writes nothing: call `write` for the last state, where failing matters. `farm`: what it took
    of a farm, once that is known. `speed_of`: as a contact sheet's. `under_way` tells, in the background, how far
    renders of other processes are; without it this one's are meant.
    """

    def __init__(
        self,
        plan: Plan,
        speed_of: SpeedOf = no_speed,
        under_way: Callable[[float], RunUnderWay] | None = None,
    ) -> None:
        self.farm: FarmReport | None = None
        self._so_far = SoFar()
        self._under_way = under_way or self._so_far.under_way
        self._progress_pause_s = 0.0 if storage.is_local(plan.places.index) else REMOTE_PAUSE_S
        self._progress_due = 0.0
        self._sheet = ContactSheet(plan, speed_of=speed_of)
        self._queued = plan.having("queued")
        self._outcomes: dict[str, Outcome] = {}
        self._previews: dict[str, Outcome] = {}
        self._lock = threading.Lock()
        self._news = threading.Event()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep_writing, name="sheet", daemon=True)

    @property
    def outcomes(self) -> Mapping[str, Outcome]:
        """How the pairs that began stand, by id."""
        with self._lock:
            return MappingProxyType(dict(self._outcomes))

    def planned(self, plan: Plan, at_once: int) -> None:
        self._so_far.planned(plan, at_once)
        if held := plan.having("held"):
            self.stand({pair.id: Outcome("held", pair.reason, pair.record) for pair in held})

    def started(self, pair: PlannedPair, slot: Slot) -> None:
        self._so_far.started(pair, slot)
        self._set(pair.id, Outcome("rendering", str(slot)))

    def progress(self, pair: PlannedPair, progress: Progress) -> None:
        if self._so_far.look(pair, progress):
            self.look_again()

    def finished(self, pair: PlannedPair, outcome: Outcome) -> None:
        self._so_far.finished(pair, outcome)
        self._set(pair.id, outcome)

    def look_again(self) -> None:
        """There may be more to see of the renders: the sheet is written again, if it was not lately."""
        if time.monotonic() >= self._progress_due:
            self._news.set()

    def stand(self, outcomes: Mapping[str, Outcome]) -> None:
        """How some pairs stand now, by id. One that is stopped on its way to a finer preview has the one before."""
        with self._lock:
            self._previews |= {name: each for name, each in outcomes.items() if each.is_preview}
            for name, outcome in outcomes.items():
                stopped = outcome.state == "cancelled"
                self._outcomes[name] = self._previews.get(name, outcome) if stopped else outcome
        self._news.set()

    def give_up(self, reason: str) -> None:
        """No pair can be rendered any more: those that wait have failed."""
        for planned in self._queued:
            if planned.id not in self.outcomes:
                self._set(planned.id, Outcome("failed", reason))

    def write(self) -> Summary:
        """Write all files for good: nothing is written in the background from now on. Raises StorageError."""
        self._end_writing()  # else an older page might come last, and say for ever that the run is under way
        return self._sheet.write(self.outcomes, self.farm)

    def __enter__(self) -> LiveSheet:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._end_writing()

    def _end_writing(self) -> None:
        self._over.set()
        self._news.set()
        if self._thread.is_alive():
            self._thread.join()

    def _set(self, pair_id: str, outcome: Outcome) -> None:
        self.stand({pair_id: outcome})

    def _keep_writing(self) -> None:
        pause_s = LEAST_PAUSE_S
        while self._news.wait() and not self._over.is_set():
            self._news.clear()
            began = time.monotonic()
            try:
                under_way = self._under_way(pause_s)
                self._sheet.write(self.outcomes, self.farm, whole=False, under_way=under_way)
            except StorageError as error:
                log.warning("contact sheet not written, will be tried again: %s", error)
            pause_s = max(LEAST_PAUSE_S, 10 * (time.monotonic() - began))
            self._progress_due = began + self._progress_pause_s
            self._over.wait(pause_s)
