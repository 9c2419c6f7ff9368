"""Looking after the render runs of one manifest, step by step, until no pair is left.

A step reads how things stand (Prefect for runs, storage for pairs), judges what has ended, and submits what is
missing. It keeps nothing that it could not find out again: a step that fails is simply taken again, and a driver
that takes another's place begins with the same step.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, cast

from flows.farm.driver.board import NOTHING, Board, Ending, Finding, RunEnd
from flows.farm.driver.evidence import Findings
from flows.farm.driver.groups import Speed, gpus_of, make_groups
from flows.farm.driver.render_runs import Renders, Run
from flows.farm.names import LOST_MESSAGE, NO_WORKER_S, PENDING_LIMIT_S, RENDER_POOLS, GpuCount
from flows.farm.notes import Note
from flows.server.environment import HEARTBEAT_S
from styletransfer.errors import StorageError
from styletransfer.manifest.reader import Priority
from styletransfer.renders.plan import Plan
from styletransfer.renders.records import Record, now
from styletransfer.renders.summary import Outcome

log = logging.getLogger(__name__)

POLL_S: Final = 5.0

SLOTS_S: Final = 15.0
"""Between two looks for workers: Prefect hears from each every 30 s."""

LEAST_SUBMITTED: Final = 2
"""Runs that are submitted even where no worker is alive, so that the lack is seen."""

GRACE_S: Final = HEARTBEAT_S + 10
"""A run that was taken for lost because the server was away is heard of again within this."""

LOOK_S: Final = 60.0
"""The longest pause between two looks at what a run has done so far."""

LOOKED_AT_ONCE: Final = 8
"""Pairs of a running run, in their order, that may have been finished or begun since the last look."""


@dataclass
class Seen:
    """What a driver remembers of a live run, by its own clock: when it was first seen so, when to look next."""

    pending_since: float | None = None
    crashed_since: float | None = None
    look_at: float = 0.0
    news_at: float = 0.0


@dataclass(frozen=True)
class Wishes:
    """How a submission is to be rendered: `priority` in place of the pairs' own; nothing is begun after `until`."""

    submission: str
    priority: Priority | None = None
    until: datetime | None = None


@dataclass
class Drive:
    """One manifest under way. `outcomes`: how those pairs stand that are not as planned, for watchers."""

    plan: Plan
    renders: Renders
    findings: Findings
    wishes: Wishes
    began: datetime
    clock: Callable[[], float] = time.monotonic
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    speed: Speed = field(default_factory=Speed)

    def __post_init__(self) -> None:
        self._planned = {planned.id: planned for planned in self.plan.pairs}
        self.board = Board(planned.id for planned in self.plan.having("queued"))
        self._seen: dict[str, Seen] = {}
        self._rendering: dict[str, Note] = {}
        self._slots: dict[GpuCount, int] = {}
        self._slots_at = float("-inf")
        self._without_worker: dict[GpuCount, float] = {}
        self._told_without: set[GpuCount] = set()
        self._live: dict[str, Run] = {}
        self._recovered = False

    @property
    def time_is_up(self) -> bool:
        return self.wishes.until is not None and now() >= self.wishes.until

    @property
    def over(self) -> bool:
        """Whether nothing is left to do or to wait for."""
        return self.board.over or (self.time_is_up and self._recovered and not any(map(self._is_own, self._runs())))

    def live_runs(self) -> dict[str, str]:
        """Ids of the live render runs, by the pairs that are left to them."""
        return {pair: run.id for run in self._runs() for pair in run.pairs}

    def step(self) -> None:
        """Bring everything up to date. Raises StorageError and the client's errors; may be repeated then."""
        if not self._recovered:
            self._recover()
        self._live = {run.id: run for run in self.renders.live()}
        self._take(self._live.values())
        self._end(run_id for run_id in list(self.board.runs) if run_id not in self._live)
        self._look()
        self._give_up_silent()
        if self.time_is_up:
            self._close()
        else:
            self._submit()
        self._describe_open()

    def cancel(self) -> None:
        """End all of this submission's runs, and count what is open as cancelled, but for what is done by now."""
        for run in self.renders.live():
            if self._is_own(run) and run.phase != "cancelling":
                self.renders.cancel(run)
        still_open = list(filter(self.board.is_open, self.board.standings))
        try:
            for pair, record in self.findings.records(still_open).items():
                self._done(pair, record)
        except StorageError as error:  # the driver is ended soon, and can't wait
            log.warning("%s: what was finished last may be called cancelled: %s", self.plan.manifest.name, error)
        for pair in filter(self.board.is_open, still_open):
            self._settle(pair, Outcome("cancelled", "the manifest was cancelled"))

    # What was before

    def _recover(self) -> None:
        """What this submission has done already, when another driver looked after it."""
        for planned in self.plan.pairs:
            record = planned.record
            if record is None or not self.findings.is_done(planned.id, record):
                continue
            if record.finished >= self.began:
                self._done(planned.id, record)
        ours = [note for note in self.findings.all_notes().values() if note.submission == self.wishes.submission]
        former = self.renders.read({note.run for note in ours if self.board.is_open(note.pair)})
        for run in former.values():
            self.board.take(run.id, run.pairs)  # if it is over, it is judged like any other
        for note in ours:
            if note.state == "failed" and self.board.is_open(note.pair):
                self._settle(note.pair, Outcome("failed", note.reason, attempts=note.attempt))
        self._recovered = True

    # Runs

    def _runs(self) -> Iterable[Run]:
        return self._live.values()

    def _is_own(self, run: Run) -> bool:
        return run.submission == self.wishes.submission

    def _take(self, live: Iterable[Run]) -> None:
        """Leave pairs to the runs that have them, whoever submitted these."""
        for run in live:
            if run.id not in self.board.runs and any(map(self.board.is_open, run.pairs)):
                self.board.take(run.id, run.pairs)
                self._seen.setdefault(run.id, Seen(news_at=self.clock()))

    def _end(self, gone: Iterable[str]) -> None:
        """Judge runs that are live no more."""
        ids = list(gone)
        found = self.renders.read(ids)
        for run_id in ids:
            run = found.get(run_id)
            if run is not None and (run.live or self._may_live(run)):
                continue
            ending = self._ending(run)
            well = ending.own and ending.how == "completed"
            findings = self._findings(run_id, self.board.open_in(run_id), ended_well=well)
            self.board.end(run_id, ending, findings, self.clock())
            self._seen.pop(run_id, None)
            self._tell_ended(run_id, run.name if run else run_id, ending, findings)

    def _ending(self, run: Run | None) -> Ending:
        if run is None:
            return Ending("crashed", "it was deleted")
        reason = run.message.partition("\n")[0]
        if run.phase == "crashed":  # Prefect goes on to explain signals
            reason = reason.partition(". ")[0].rstrip(".")
        return Ending(cast(RunEnd, run.phase), reason, self._is_own(run), run.begun)

    def _may_live(self, run: Run) -> bool:
        """Whether a run that was taken for lost is to be waited for, since the server may have been away."""
        if run.phase != "crashed" or run.message != LOST_MESSAGE or run.since is None:
            return False
        if self.renders.beats_since(run.id, run.since + timedelta(seconds=1)):
            log.warning("%s: was taken for lost, but is heard of again", run.name)
            self.renders.bring_back(run)
            self._seen[run.id] = Seen(news_at=self.clock())
            return True
        seen = self._seen.setdefault(run.id, Seen(news_at=self.clock()))
        seen.crashed_since = self.clock() if seen.crashed_since is None else seen.crashed_since
        return self.clock() - seen.crashed_since < GRACE_S

    def _findings(self, run_id: str, pairs: list[str], *, ended_well: bool) -> dict[str, Finding]:
        """What a run has left behind of its open pairs; those that are done are settled."""
        records = self.findings.records(pairs)
        rest = [pair for pair in pairs if pair not in records]
        notes = self.findings.notes(rest)
        if ended_well:
            changed = self.findings.changed(pair for pair in rest if pair not in notes)
            for pair in changed:
                log.warning("%s: an input has changed since the plan was made; rendered as it is now", pair)
            records |= changed
        for pair, record in records.items():
            self._done(pair, record)
        return {
            pair: Finding(note.state, note.reason or "", note.attempt)
            for pair, note in notes.items()
            if note.run == run_id
        }

    def _tell_ended(self, run_id: str, name: str, ending: Ending, findings: Mapping[str, Finding]) -> None:
        if ending.how in ("crashed", "held"):
            log.warning("%s: its render run %s %s", name, run_id, ending.text)
        for pair, standing in self.board.standings.items():
            if standing.settled in ("failed", "cancelled") and pair not in self.outcomes_settled:
                attempts = max(standing.attempts, findings.get(pair, NOTHING).attempt)
                self._settle(pair, Outcome(standing.settled, standing.reason, attempts=attempts))

    @property
    def outcomes_settled(self) -> set[str]:
        return {pair for pair, each in self.outcomes.items() if each.state in ("done", "failed", "cancelled")}

    def _give_up_silent(self) -> None:
        """Runs that a worker took and that did not begin: their host was lost before they could be heard of."""
        for run in self._runs():
            seen = self._seen.setdefault(run.id, Seen(news_at=self.clock()))
            if run.phase != "pending":
                seen.pending_since = None
                continue
            seen.pending_since = self.clock() if seen.pending_since is None else seen.pending_since
            if self.clock() - seen.pending_since > PENDING_LIMIT_S:
                self.renders.give_up(run, f"did not begin within {PENDING_LIMIT_S} s after a worker took it")

    def _close(self) -> None:
        """The time is up: what waits is taken back. What renders saves its state and ends by itself."""
        for run in self._runs():
            if self._is_own(run) and run.phase == "waiting":
                self.renders.take_back(run, "not begun in time")

    # Submitting

    def _submit(self) -> None:
        clock = self.clock()
        if clock - self._slots_at >= SLOTS_S:
            self._slots, self._slots_at = self.renders.live_slots(), clock
        waiting = self.board.waiting(clock)
        if not waiting:
            return
        standings = self.board.standings
        groups = make_groups(
            [self._planned[pair] for pair in waiting],
            self._wanted(),
            self._slots,
            self.speed,
            alone={pair for pair in waiting if standings[pair].alone},
            priority=self.wishes.priority,
        )
        for group in groups:
            run = self.renders.submit(group, {pair: standings[pair].attempt for pair in group.ids})
            self.board.take(run.id, run.pairs)
            self._seen[run.id] = Seen(news_at=clock)
            self._live[run.id] = run

    def _wanted(self) -> dict[GpuCount, int]:
        """How many runs may be submitted: twice the live slots less those that are there, so that others get on."""
        mine = [run.gpus for run in self._runs() if self._is_own(run)]
        return {
            gpus: max(0, max(LEAST_SUBMITTED, 2 * self._slots.get(gpus, 0)) - mine.count(gpus))
            for gpus in RENDER_POOLS
        }

    # Pairs

    def _look(self) -> None:
        """Find out what running runs have done so far. The less news a run has, the seldomer it is asked."""
        clock = self.clock()
        for run in self._runs():
            seen = self._seen.get(run.id)
            if run.phase not in ("running", "cancelling") or seen is None or seen.look_at > clock:
                continue
            if self._look_at(run.id):
                seen.news_at = clock
            seen.look_at = clock + min(LOOK_S, max(POLL_S, (clock - seen.news_at) / 10))

    def _look_at(self, run_id: str) -> bool:
        """Whether the run has news. Its pairs are begun about in order: only the first of those left can have."""
        news = False
        while pairs := self.board.open_in(run_id)[:LOOKED_AT_ONCE]:
            records = self.findings.records(pairs)
            for pair, record in records.items():
                self._done(pair, record)
            news = news or bool(records)
            if len(records) < len(pairs) / 2:
                return self._look_at_notes(run_id, [pair for pair in pairs if pair not in records]) or news
        return news

    def _look_at_notes(self, run_id: str, pairs: list[str]) -> bool:
        news = False
        for pair, note in self.findings.notes(pairs).items():
            if note.run != run_id or self._rendering.get(pair) == note:
                continue
            news = True
            self._rendering[pair] = note
            if note.state == "failed":
                self._settle(pair, Outcome("failed", note.reason, attempts=note.attempt))
        return news

    def _done(self, pair: str, record: Record) -> None:
        self.speed.seen(self._planned[pair], record)
        self._settle(pair, Outcome("done", record=record, attempts=record.attempts))

    def _settle(self, pair: str, outcome: Outcome) -> None:
        settled = cast("str", outcome.state)
        assert settled in ("done", "failed", "cancelled")
        self.board.settle(pair, settled, outcome.reason or "")  # type: ignore[arg-type]
        self.outcomes[pair] = outcome
        self._rendering.pop(pair, None)

    def _describe_open(self) -> None:
        """Say of each pair that is not settled how it stands."""
        self._watch_workers()
        in_runs = {pair: run for run in self._runs() for pair in run.pairs}
        for pair, standing in self.board.standings.items():
            if standing.settled is not None:
                continue
            note, run = self._rendering.get(pair), in_runs.get(pair)
            if note is not None and run is not None and note.run == run.id and run.phase == "running":
                where = " ".join(filter(None, [note.host, note.slot]))
                self.outcomes[pair] = Outcome("rendering", where, attempts=note.attempt)
                continue
            state = "held" if standing.reason and run is None else "queued"
            reason = standing.reason or self._why_waiting(pair, run)
            self.outcomes[pair] = Outcome(
                "held" if state == "held" else "queued", reason, attempts=standing.attempts
            )

    def _why_waiting(self, pair: str, run: Run | None) -> str:
        if gpus_of(self._planned[pair]) in self._told_without:
            return f"no worker of pool {RENDER_POOLS[gpus_of(self._planned[pair])]} is alive"
        return "waits for a slot" if run is None or run.phase != "running" else "next in its render run"

    def _watch_workers(self) -> None:
        """Say once that pairs wait for a pool without a worker."""
        clock = self.clock()
        needed = {gpus_of(self._planned[pair]) for pair in self.board.standings if self.board.is_open(pair)}
        for gpus, pool in RENDER_POOLS.items():
            if gpus not in needed or self._slots.get(gpus, 0):
                self._without_worker.pop(gpus, None)
                self._told_without.discard(gpus)
            elif clock - self._without_worker.setdefault(gpus, clock) >= NO_WORKER_S:
                if gpus not in self._told_without:
                    log.warning("%s: no worker of pool %s is alive; its pairs wait", self.plan.manifest.name, pool)
                self._told_without.add(gpus)
