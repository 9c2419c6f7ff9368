"""Looking after the render runs of one manifest, step by step, until no pair is left.

A step reads how things stand (Prefect for runs, storage for pairs), judges what has ended, and submits what is
missing. It keeps nothing that it could not find out again: a step that fails is simply taken again, and a driver
that takes another's place begins with the same step.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import datetime
from typing import Final

from flows.farm import submissions
from flows.farm.driver.giving_up import why_given_up
from flows.farm.driver.judging import Judge
from flows.farm.driver.night_report import report
from flows.farm.driver.pair_states import PairStates
from flows.farm.driver.recovery import recover
from flows.farm.driver.render_runs import RenderRequest, RenderRun, RenderRuns
from flows.farm.driver.stored_results import StoredResults
from flows.farm.driver.submitting import Submitter
from flows.farm.driver.waiting import Waiting
from flows.farm.orders import PAUSE_REASON, Orders
from flows.farm.pair_notes import write_note
from styletransfer.errors import StorageError
from styletransfer.manifest.max_failed import MaxFailed
from styletransfer.manifest.schema import Priority
from styletransfer.planning.plan import Plan
from styletransfer.records.records import FarmReport, now
from styletransfer.renders.summary import Outcome

POLL_S: Final = 5.0
"""Between two steps that read one page of live runs each."""

log = logging.getLogger(__name__)


class Reconciler:
    """One manifest under way. `outcomes`: how those pairs stand that are not as planned, for listeners."""

    def __init__(
        self,
        plan: Plan,
        runs: RenderRuns,
        results: StoredResults,
        request: RenderRequest,
        began: datetime,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.request = request
        self.runs = runs
        self._results, self._began = results, began
        self._pairs = PairStates(plan)
        self.board, self.outcomes = self._pairs.board, self._pairs.outcomes
        self._judge = Judge(self._pairs, runs, results, request.submission, clock)
        self._submitter = Submitter(self._pairs, runs, request.priority, clock)
        self._waiting = Waiting(self._pairs, clock)
        self.orders = Orders()
        self._priority: Priority | None = None
        self._live: dict[str, RenderRun] = {}
        self._recovered = False
        self.given_up: str | None = None
        """Why the rest of the manifest is not rendered, if it is not."""

    @property
    def time_is_up(self) -> bool:
        return self.request.until is not None and now() >= self.request.until

    @property
    def over(self) -> bool:
        """Whether nothing is left to do or to wait for."""
        return self.board.over or (self.time_is_up and self._recovered and not self._own())

    @property
    def pause_s(self) -> float:
        """Until the next step: the longer, the more pages of live runs it has to read."""
        return POLL_S * (len(self._live) // submissions.PAGE + 1)

    def live_runs(self) -> dict[str, str]:
        """Ids of the live render runs, by the pairs that are left to them."""
        return {pair: run.id for run in self._live.values() for pair in run.pairs}

    def running(self) -> list[str]:
        """Ids of the render runs that are under way."""
        return [run.id for run in list(self._live.values()) if run.phase == "running"]

    def report(self, forecast: datetime | None) -> FarmReport:
        """What the submission has taken of the farm so far."""
        records = [each.record for each in self.outcomes.values() if each.record]
        slots = self._submitter.slot_time.mean
        return report(records, self.board.standings, slots, self._began, forecast)

    def step(self) -> None:
        """Bring everything up to date. Raises StorageError and the client's errors; may be repeated then."""
        if not self._recovered:
            recover(self._pairs, self._results, self.runs, self.request.submission, self._began)
            self._recovered = True
        self._live = {run.id: run for run in self.runs.live()}
        self._judge.judge(self._live)
        if not self.board.over:
            self.given_up = why_given_up(self._pairs.plan, self.outcomes, self._max_failed)
        if self.given_up:
            self.cancel(self.given_up)
            return
        if self.time_is_up:
            self._take_back("not begun in time")
        elif self.orders.paused:
            self._take_back(PAUSE_REASON)
            self._hand_back()
        else:
            self._heed_priority()
            self._live |= {run.id: run for run in self._submitter.submit(self._own())}
        self._waiting.paused = self.orders.paused
        self._waiting.describe(self._live.values(), self._submitter.slots)

    @property
    def _max_failed(self) -> MaxFailed | None:
        return self.request.max_failed or self._pairs.plan.manifest.max_failed

    def cancel(self, why: str = "the manifest was cancelled") -> None:
        """End all of this submission's runs, and count what is open as cancelled, but for what is done by now."""
        for run in self.runs.live():
            if run.submission == self.request.submission and run.phase != "cancelling":
                self.runs.cancel(run)
        try:
            for pair, record in self._results.records(self._pairs.open()).items():
                self._pairs.done(pair, record)
        except StorageError as error:  # the driver is ended soon, and can't wait
            name = self._pairs.plan.manifest.name
            log.warning("%s: what was finished last may be called cancelled: %s", name, error)
        for pair in self._pairs.open():
            self._pairs.settle(pair, Outcome("cancelled", why))

    def _own(self) -> list[RenderRun]:
        """Live runs of this submission."""
        return [run for run in self._live.values() if run.submission == self.request.submission]

    def _take_back(self, reason: str) -> None:
        """What waits is taken back. When the time is up, what renders saves its state and ends by itself."""
        for run in self._own():
            if run.phase == "waiting":
                self.runs.take_back(run, reason)

    def _hand_back(self) -> None:
        """Have own runs save their state and end: one whose pair's note is held by somebody else does."""
        own = {run.id for run in self._own() if run.phase == "running"}
        for note in list(self._pairs.rendering.values()):
            if note.state == "rendering" and note.run in own:
                held = note.model_copy(update={"state": "held", "reason": PAUSE_REASON, "since": now()})
                write_note(self.request.places, held)
                self._pairs.rendering[note.pair] = held

    def _heed_priority(self) -> None:
        """What waits with another priority than is asked for now is taken back, to be submitted anew."""
        if self.orders.priority != self._priority:
            self._priority = self._submitter.priority = self.orders.priority
            self._take_back("its priority was changed")
