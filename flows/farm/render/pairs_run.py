"""One render run, from its plan to its end: renders, stops them when time is up or a signal comes, sums up."""

from __future__ import annotations

import logging
import os
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from prefect import get_run_logger
from prefect.client.schemas.objects import State
from prefect.exceptions import TerminationSignal
from prefect.states import Cancelled, Completed, Failed

from flows.farm.artifacts import Artifacts
from flows.farm.names import FINISHED_VARIABLE, HELD, GpuCount
from flows.farm.render.held_devices import WAIT_S, hold_devices, slots_of
from flows.farm.render.missing_inputs import missing_alone
from flows.farm.render.note_keeper import NoteKeeper
from flows.farm.render.progress import RenderProgress
from flows.farm.render.so_far_keeper import SoFarKeeper
from flows.farm.render.stopping import in_thread, why_stopped
from flows.farm.run_process import leave_soon
from flows.farm.times import shown
from flows.pairs.listeners import Listener, Listeners, LogListener
from flows.pairs.renderer import Renderer
from flows.pairs.signals import ignore_further_signals, wait_heeding_signals
from flows.pairs.steps import load_weights
from flows.server.environment import HEARTBEAT_S
from styletransfer.errors import DeviceInUseError
from styletransfer.planning.plan import Plan, PlannedPair
from styletransfer.records.output_folder import picture_is_there
from styletransfer.records.records import PAIR_STATES, now
from styletransfer.renders.summary import Outcome
from styletransfer.storage.retries import NIGHT_DELAYS_S

log = logging.getLogger(__name__)

STOP_S: Final = 20.0
"""For what is in hand to end once the run is told to stop. Prefect kills a cancelled run after 30 s."""

FLUSH_S: Final = 3.0
"""For the notes to be written when the run is stopped while their storage is away."""


@dataclass(frozen=True)
class Assignment:
    """What a render run is asked for, beside its pairs, and where it runs.

    `attempts`: which attempt this is, of pairs that were tried before. With `force_before` a pair counts as done
    only if it was finished since. No pair is begun after the `end`, and those being rendered then are held.
    """

    submission: str
    run: str
    gpus: GpuCount = 1
    attempts: Mapping[str, int] = field(default_factory=dict)
    force_before: datetime | None = None
    end: datetime | None = None
    zone: ZoneInfo | None = None

    @property
    def end_text(self) -> str:
        return shown(self.end, self.zone or ZoneInfo("UTC")) if self.end else ""

    def seconds_left(self) -> float | None:
        """Until the end; None if there is none."""
        return None if self.end is None else (self.end - now()).total_seconds()


class PairsRun:
    """One render run, from its plan to its end. `outcomes` are those of pairs that are over, by id."""

    def __init__(self, assignment: Assignment) -> None:
        self.assignment = assignment
        self.listener = OutcomeListener(assignment.run)
        self.stopped: Outcome | None = None
        """Why it ends early, if it does: `held` or `cancelled`."""

    def render(self, plan: Plan) -> None:
        """Render what is left to do. Raises ManifestError for faults that are no pair's."""
        notes = NoteKeeper(plan.places, self.assignment.submission, self.assignment.run, self.assignment.attempts)
        listener = Listeners(notes, self.listener, LogListener(get_run_logger()))
        _check(plan)
        queued = self._settle(plan, notes)
        try:
            if queued and not self._is_over():
                so_far = SoFarKeeper(plan.places, self.assignment.run)
                with so_far, hold_devices(self._patience_s()) as devices:
                    self._render_on(devices, plan, queued, notes, listener, so_far)
        except DeviceInUseError as error:
            self.stopped = Outcome("held", str(error))
        finally:
            self._flush(notes)

    def _flush(self, notes: NoteKeeper) -> None:
        """Write the notes that are left: patiently, unless the run is told to stop."""
        flushing = in_thread(partial(notes.flush, patient=self.stopped is None))
        if self.stopped is None:
            flushing.result()
        elif wait([flushing], FLUSH_S).not_done:
            log.warning("some notes are not written")

    def _settle(self, plan: Plan, notes: NoteKeeper) -> list[PlannedPair]:
        """Takes note of pairs that need no rendering; returns those that do."""
        queued = []
        for planned in plan.pairs:
            if planned.state == "failed":
                attempt = notes.attempt(planned.id)
                outcome = Outcome("failed", planned.reason, attempts=attempt, of_host=planned.of_host)
            elif planned.state in ("skipped", "held") or is_done_since(planned, self.assignment.force_before):
                outcome = Outcome("skipped", planned.reason, planned.record)
            else:
                queued.append(planned)
                continue
            notes.finished(planned, outcome)
            self.listener.finished(planned, outcome)
        return queued

    def _is_over(self) -> bool:
        left = self.assignment.seconds_left()
        if left is None or left > 0:
            return False
        self.stopped = Outcome("held", f"not begun by {self.assignment.end_text}")
        return True

    def _patience_s(self) -> float:
        """For a device that another process has: not beyond the run's own end."""
        left = self.assignment.seconds_left()
        return WAIT_S if left is None else min(WAIT_S, max(0.0, left))

    def _render_on(
        self,
        devices: Sequence[str],
        plan: Plan,
        queued: Sequence[PlannedPair],
        notes: NoteKeeper,
        listener: Listener,
        so_far: SoFarKeeper,
    ) -> None:
        most = max((planned.pair.settings.gpus for planned in queued), default=1)
        if len(devices) < most:
            there = "+".join(devices)
            log.warning("there is only %s for pairs with `gpus: %d`, so they are rendered there", there, most)
        weights = load_weights(plan, queued)
        artifacts = Artifacts(self.assignment.run)
        with RenderProgress(queued, len(devices), artifacts, so_far.show) as board:
            listeners = Listeners(listener, board, so_far)
            slots = slots_of(devices)
            renders = Renderer(slots, weights, listeners, self.assignment.attempts, NIGHT_DELAYS_S)
            with self._window(renders), self._giving_way(renders, notes):
                self._run(renders, queued, notes)

    @contextmanager
    def _window(self, renders: Renderer) -> Iterator[None]:
        """Stops the renders when the time is over."""
        left = self.assignment.seconds_left()
        if left is None:
            yield
            return

        def close() -> None:
            self.stopped = Outcome("held", f"held at {self.assignment.end_text}")
            renders.stop(self.stopped)

        timer = threading.Timer(max(left, 0), close)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    @contextmanager
    def _giving_way(self, renders: Renderer, notes: NoteKeeper) -> Iterator[None]:
        """Stops the renders if another run has got their pairs, as nothing was heard of this one for too long."""
        over = threading.Event()

        def watch() -> None:
            while not over.wait(HEARTBEAT_S):
                reason = notes.taken()
                if reason is not None:
                    log.warning("%s: this run hands its pairs back, and ends", reason)
                    self.stopped = self.stopped or Outcome("held", reason)
                    renders.stop(self.stopped)
                    return

        in_thread(watch)
        try:
            yield
        finally:
            over.set()

    def _run(self, renders: Renderer, queued: Sequence[PlannedPair], notes: NoteKeeper) -> None:
        """Run the renders in a thread of their own, so that a signal only asks them to stop."""
        rendering = in_thread(lambda: renders.run(queued))
        try:
            wait_heeding_signals([rendering])
            rendering.result()
        except (TerminationSignal, KeyboardInterrupt):
            ignore_further_signals()
            self.stopped = self.stopped or why_stopped(self.assignment.run)
            log.warning("%s: stopping after the iteration in hand", self.stopped.reason)
            renders.stop(self.stopped)
            in_thread(partial(notes.stopping, self.stopped))
            if wait([rendering], STOP_S).not_done:
                log.warning("what was in hand did not end within %.0f s; it is given up", STOP_S)
                leave_soon()
            else:
                rendering.result()

    def final_state(self, asked: Sequence[str]) -> State[Any]:
        """How the run ends. A stop that came too late to keep any pair from its end does not count."""
        outcomes = self.listener.outcomes
        counts, failed = self._counts(len(asked)), _failures(outcomes)
        left = len(asked) - sum(each.is_made or each.state == "failed" for each in outcomes.values())
        if self.stopped is not None and left:
            name = HELD if self.stopped.state == "held" else None
            return Cancelled(name=name or "Cancelled", message=f"{self.stopped.reason}; {counts}")
        if failed:
            return Failed(message="\n".join([counts, *failed]))
        return Completed(message=counts)

    def _counts(self, asked: int) -> str:
        """`7 done, 1 held, 4 not begun`."""
        found = Counter(outcome.state for outcome in self.listener.outcomes.values())
        texts = [f"{found[state]} {state}" for state in PAIR_STATES if found[state]]
        not_begun = asked - found.total()
        return ", ".join(texts + ([f"{not_begun} not begun"] if not_begun else []))


def _failures(outcomes: Mapping[str, Outcome]) -> list[str]:
    return [f"{pair}: {outcome.reason}" for pair, outcome in outcomes.items() if outcome.state == "failed"]


def _check(plan: Plan) -> None:
    """Raise ManifestError for faults of the manifest as a whole; those of single pairs fail these alone."""
    if plan.having("queued") and any(fault.place in ("", "output") for fault in plan.faults):
        plan.check(troubles=False)
    if not plan.pairs:
        plan.check(troubles=False)


def is_done_since(planned: PlannedPair, moment: datetime | None) -> bool:
    """Whether a pair that is to be rendered again was done at `moment` or later, and its picture is there."""
    record = planned.record
    if moment is None or record is None or record.fingerprint != planned.fingerprint:
        return False
    return record.finished >= moment and picture_is_there(planned.places, record)


class OutcomeListener(Listener):
    """Remembers how pairs ended, and tells the worker of what shows that its slot is good for something.

    That is a pair that came to its end here, or one that failed for a picture missing from among others.
    """

    def __init__(self, run: str) -> None:
        self._run = run
        self.outcomes: dict[str, Outcome] = {}

    def finished(self, pair: PlannedPair, outcome: Outcome) -> None:
        self.outcomes[pair.id] = outcome
        folder = os.environ.get(FINISHED_VARIABLE)
        failed = outcome.state == "failed" and (not outcome.of_host or missing_alone(pair.pair))
        if folder and (outcome.state == "done" or outcome.is_preview or failed):
            with suppress(OSError):  # a full disk: all the more reason to say nothing good
                Path(folder, self._run).touch()
