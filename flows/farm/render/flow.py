"""The flow `render_pairs`: one render run of the farm, a group of pairs rendered in one slot.

What it leaves in storage tells how each pair stands: a record where it is done, else a note. A run that is
stopped, by SIGTERM or by its time window, ends each render after the iteration in hand, with a checkpoint: the
next run that gets the pair goes on from there.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from contextlib import ExitStack, contextmanager, suppress
from contextvars import copy_context
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, Final, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from prefect import flow, get_client, get_run_logger
from prefect.client.schemas.objects import State
from prefect.context import FlowRunContext
from prefect.exceptions import CancelledRun, FailedRun, TerminationSignal
from prefect.states import Cancelled, Completed, Failed

from flows.farm.artifacts import Artifacts
from flows.farm.names import HELD, RENDER_FLOW, GpuCount
from flows.farm.render.claim import claim
from flows.farm.render.note_keeper import NoteKeeper
from flows.farm.render.progress import RenderProgress
from flows.farm.run_process import leave_soon, outlive_worker
from flows.farm.times import host_zone, next_clock, parse_clock, parse_zone, shown
from flows.pairs.renderer import Renderer
from flows.pairs.signals import ignore_further_signals, wait_heeding_signals
from flows.pairs.slots import Slots
from flows.pairs.steps import load_weights, make_plan
from flows.pairs.watching import LogWatcher, Watcher, Watchers
from flows.server.environment import HEARTBEAT_S
from styletransfer.errors import DeviceError
from styletransfer.machine import devices as hosts
from styletransfer.machine.devices import Slot
from styletransfer.machine.locks import device_lock
from styletransfer.renders.output_folder import picture_is_there
from styletransfer.renders.plan import Plan, PlannedPair
from styletransfer.renders.records import PAIR_STATES, now
from styletransfer.renders.summary import Outcome
from styletransfer.storage.retries import NIGHT_DELAYS_S

log = logging.getLogger(__name__)

STOP_S: Final = 20.0
"""For what is in hand to end once the run is told to stop. Prefect kills a cancelled run after 30 s."""

ASK_S: Final = 3.0
"""For the server to say why the run is stopped."""

FLUSH_S: Final = 3.0
"""For the notes to be written when the run is stopped while their storage is away."""

WAIT_FOREVER_S: Final = -1.0  # as filelock has it


_Value = TypeVar("_Value")


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


@flow(name=RENDER_FLOW, persist_result=False)
def render_pairs(
    manifest: str,
    pairs: list[str],
    submission: str,
    gpus: GpuCount = 1,
    attempts: dict[str, int] | None = None,
    force_before: datetime | None = None,
    weights: str | None = None,
    output: str | None = None,
    until: str | None = None,
    timezone: str | None = None,
) -> State[Any]:
    """Render those of the manifest's pairs that are not done, on this process's devices.

    `until`: ISO 8601, or a time of day (`07:00`), its next one in `timezone` after the run was submitted. Ends
    Completed; Failed, naming each failed pair; Cancelled, named Held where pairs are handed back.
    """
    logging.getLogger("prefect.flow_runs").addFilter(_no_traceback)
    outlive_worker()
    logging.getLogger("styletransfer").setLevel(logging.INFO)  # tells where a render goes on
    zone = parse_zone(timezone or host_zone())
    end = _moment(until, zone, _submitted()) if until else None
    assignment = Assignment(submission, _run_id(), gpus, attempts or {}, force_before, end, zone)
    run = PairsRun(assignment)
    try:
        pairs = claim(assignment.run, pairs)
        if not pairs:
            return Cancelled(name=HELD, message="all its pairs are left to other runs")
        run.render(make_plan(manifest, pairs, force_before is not None, weights, output))
    except (TerminationSignal, KeyboardInterrupt):  # before or after rendering
        run.stopped = run.stopped or why_stopped(assignment.run)
    return run.final_state(pairs)


class PairsRun:
    """One render run, from its plan to its end. `outcomes` are those of pairs that are over, by id."""

    def __init__(self, assignment: Assignment) -> None:
        self.assignment = assignment
        self.watcher = OutcomeWatcher()
        self.stopped: Outcome | None = None
        """Why it ends early, if it does: `held` or `cancelled`."""

    def render(self, plan: Plan) -> None:
        """Render what is left to do. Raises ManifestError for faults that are no pair's."""
        notes = NoteKeeper(plan.places, self.assignment.submission, self.assignment.run, self.assignment.attempts)
        watcher = Watchers(notes, self.watcher, LogWatcher(get_run_logger()))
        _check(plan)
        queued = self._settle(plan, notes)
        try:
            if queued and not self._is_over():
                with hold_devices() as devices:
                    self._render_on(devices, plan, queued, notes, watcher)
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
                outcome = Outcome("failed", planned.reason, attempts=notes.attempt(planned.id))
            elif planned.state == "skipped" or is_done_since(planned, self.assignment.force_before):
                outcome = Outcome("skipped", planned.reason, planned.record)
            else:
                queued.append(planned)
                continue
            notes.finished(planned, outcome)
            self.watcher.finished(planned, outcome)
        return queued

    def _is_over(self) -> bool:
        left = self.assignment.seconds_left()
        if left is None or left > 0:
            return False
        self.stopped = Outcome("held", f"not begun by {self.assignment.end_text}")
        return True

    def _render_on(
        self,
        devices: Sequence[str],
        plan: Plan,
        queued: Sequence[PlannedPair],
        notes: NoteKeeper,
        watcher: Watcher,
    ) -> None:
        if self.assignment.gpus > len(devices):
            log.warning("%s is the only device, so pairs with `gpus: 2` are rendered on it alone", devices[0])
        weights = load_weights(plan, queued)
        with RenderProgress(queued, len(devices), Artifacts(self.assignment.run)) as board:
            watchers = Watchers(watcher, board)
            renders = Renderer(Slots(devices), weights, watchers, self.assignment.attempts, NIGHT_DELAYS_S)
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
                    log.warning("%s; this run was taken for lost, and ends", reason)
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
        outcomes = self.watcher.outcomes
        counts, failed = self._counts(len(asked)), _failures(outcomes)
        left = len(asked) - sum(outcome.state in ("done", "skipped", "failed") for outcome in outcomes.values())
        if self.stopped is not None and left:
            name = HELD if self.stopped.state == "held" else None
            return Cancelled(name=name or "Cancelled", message=f"{self.stopped.reason}; {counts}")
        if failed:
            return Failed(message="\n".join([counts, *failed]))
        return Completed(message=counts)

    def _counts(self, asked: int) -> str:
        """`7 done, 1 held, 4 not begun`."""
        found = Counter(outcome.state for outcome in self.watcher.outcomes.values())
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


class OutcomeWatcher(Watcher):
    """Remembers how pairs ended."""

    def __init__(self) -> None:
        self.outcomes: dict[str, Outcome] = {}

    def finished(self, pair: PlannedPair, outcome: Outcome) -> None:
        self.outcomes[pair.id] = outcome


@contextmanager
def hold_devices() -> Iterator[tuple[str, ...]]:
    """All devices that this process sees, held against others for the block.

    Waits for one that is in use: its holder has lost its worker, and ends when its pair does. Raises
    DeviceError where a device is broken.
    """
    devices = hosts.available_devices()
    with ExitStack() as held:
        for device in devices:
            slot = Slot((device,))
            try:
                held.enter_context(device_lock(slot))
            except DeviceError as error:
                log.warning("%s; waiting for it", error)
                held.enter_context(device_lock(slot, wait_s=WAIT_FOREVER_S))
            hosts.prove(device)
        yield devices


def why_stopped(run_id: str) -> Outcome:
    """Cancelled where the server says so; else held, also when the server does not answer in time."""

    def ask() -> bool:
        with get_client(sync_client=True, httpx_settings={"timeout": ASK_S}) as client:
            state = client.read_flow_run(UUID(run_id)).state
        return state is not None and (state.is_cancelling() or state.is_cancelled())

    answer = in_thread(ask)
    wait([answer], ASK_S)
    with suppress(Exception):  # the server is away, or knows no such run
        if answer.done() and answer.result():
            return Outcome("cancelled", "the run was cancelled")
    return Outcome("held", "its host told it to stop")


def in_thread(work: Callable[[], _Value]) -> Future[_Value]:
    """The future of `work`, done in a daemon thread with this one's context."""
    future: Future[_Value] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001  (for whoever asks for the result)
            future.set_exception(error)

    threading.Thread(target=copy_context().run, args=(run,), daemon=True).start()
    return future


def _no_traceback(record: logging.LogRecord) -> bool:
    """Prefect logs a traceback of its own when a flow returns a state such as Held; the state says it better."""
    return not (record.exc_info and isinstance(record.exc_info[1], CancelledRun | FailedRun))


def _run_id() -> str:
    context = FlowRunContext.get()
    return str(context.flow_run.id) if context and context.flow_run else ""


def _submitted() -> datetime:
    context = FlowRunContext.get()
    created = context.flow_run.created if context and context.flow_run else None
    return created or now()


def _moment(until: str, zone: ZoneInfo, since: datetime) -> datetime:
    """The end of the run's time. Raises TimeError."""
    with suppress(ValueError):
        moment = datetime.fromisoformat(until)
        return moment if moment.tzinfo else moment.replace(tzinfo=zone)
    return next_clock(parse_clock(until), zone, since)
