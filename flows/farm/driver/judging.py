"""What becomes of a driver's render runs: what they have done so far, which are lost, what the end of one means."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, cast

from flows.farm.driver.attempts import NOTHING, Ending, PairTrace, RunEnd
from flows.farm.driver.pair_states import PairStates
from flows.farm.driver.render_runs import RenderRun, RenderRuns
from flows.farm.driver.stored_results import StoredResults
from flows.farm.names import CONTAINER_LIMIT_S, LOST_MESSAGE, PENDING_LIMIT_S, Place
from flows.farm.pair_notes import PairNote
from flows.farm.so_far import forget_so_far
from flows.server.environment import HEARTBEAT_S
from styletransfer.records.records import Record
from styletransfer.renders.summary import Outcome

log = logging.getLogger(__name__)

HEARD_AGAIN_S: Final = HEARTBEAT_S + 10
"""A run that was taken for lost because the server was away is heard of again within this."""

LEAST_LOOK_S: Final = 5.0
LOOK_S: Final = 60.0
"""The longest pause between two looks at what a run has done so far."""

LOOKED_AT_ONCE: Final = 8
"""Pairs of a running run, in their order, that may have been finished or begun since the last look."""


@dataclass
class RunMemory:
    """What a driver remembers of a run, by its own clock: since when it was seen so, when to look next."""

    news_at: float
    pending_since: float | None = None
    crashed_since: float | None = None
    look_at: float = 0.0


def _told(note: PairNote) -> str:
    """Its reason, and of a failure that is the pair's own where it was seen; others are seen in several places."""
    return f"{note.reason} (on {note.place})" if note.is_failed else note.reason or ""


class Judge:
    """Tells the pairs' states what their runs have come to. Raises StorageError and the client's errors."""

    def __init__(
        self,
        pairs: PairStates,
        runs: RenderRuns,
        results: StoredResults,
        submission: str,
        clock: Callable[[], float],
    ) -> None:
        self._pairs, self._board = pairs, pairs.board
        self._runs, self._results, self._submission, self._clock = runs, results, submission, clock
        self._seen: dict[str, RunMemory] = {}

    def judge(self, live: Mapping[str, RenderRun]) -> None:
        """Bring all up to date with these live runs of the output, whoever submitted them."""
        for run in live.values():
            if run.id not in self._board.runs and any(map(self._board.is_open, run.pairs)):
                self._board.take(run.id, run.pairs)  # left to the run that has them
        self._end([run_id for run_id in self._board.runs if run_id not in live])
        for run in live.values():
            self._look(run)
            self._give_up_silent(run)

    def _seen_as(self, run_id: str) -> RunMemory:
        return self._seen.setdefault(run_id, RunMemory(self._clock()))

    # Those that are over

    def _end(self, gone: list[str]) -> None:
        """Judge runs that are live no more."""
        found = self._runs.read(gone)
        for run_id in gone:
            run = found.get(run_id)
            if run is not None and (run.live or self._may_live(run)):
                continue
            ending = self._ending(run)
            well = ending.own and ending.how == "completed"
            pairs = self._board.open_in(run_id)
            traces = self._traces(run_id, pairs, ending.place, ended_well=well)
            self._board.end(run_id, ending, traces, self._clock())
            self._seen.pop(run_id, None)
            if ending.begun:
                forget_so_far(self._pairs.plan.places, run_id)
            if ending.how in ("crashed", "held"):
                log.warning("%s: its render run %s %s", run.name if run else run_id, run_id, ending.text)
            self._settle(pairs, traces)

    def _ending(self, run: RenderRun | None) -> Ending:
        if run is None:
            return Ending("crashed", "it was deleted")
        reason = run.message.partition("\n")[0]
        if run.phase == "crashed":  # Prefect goes on to explain signals
            reason = reason.partition(". ")[0].rstrip(".")
        return Ending(cast(RunEnd, run.phase), reason, run.submission == self._submission, run.begun, run.place)

    def _may_live(self, run: RenderRun) -> bool:
        """Whether a run that was taken for lost is to be waited for, since the server may have been away."""
        if run.phase != "crashed" or run.message != LOST_MESSAGE or run.since is None:
            return False
        if self._runs.beats_since(run.id, run.since + timedelta(seconds=1)):
            log.warning("%s: was taken for lost, but is heard of again", run.name)
            self._runs.bring_back(run)
            self._seen[run.id] = RunMemory(self._clock())
            return True
        seen = self._seen_as(run.id)
        seen.crashed_since = self._clock() if seen.crashed_since is None else seen.crashed_since
        return self._clock() - seen.crashed_since < HEARD_AGAIN_S

    def _traces(
        self, run_id: str, pairs: list[str], place: Place | None, *, ended_well: bool
    ) -> dict[str, PairTrace]:
        """What a run has left behind of its open pairs; those that are done are settled."""
        records = self._results.records(pairs)
        rest = [pair for pair in pairs if pair not in records]
        notes = self._results.notes(rest)
        if ended_well:
            changed = self._results.changed(pair for pair in rest if pair not in notes)
            for pair in changed:
                log.warning("%s: an input has changed since the plan was made; rendered as it is now", pair)
            records |= changed
        self._take_down(records, place)
        return {
            pair: PairTrace(note.state, _told(note), note.attempt, note.of_host)
            for pair, note in notes.items()
            if note.run == run_id
        }

    def _settle(self, pairs: Iterable[str], traces: Mapping[str, PairTrace]) -> None:
        """Those of a run's pairs that the board has given up with its end."""
        for pair in pairs:
            standing = self._board.standings[pair]
            if standing.settled in ("failed", "cancelled"):
                attempts = max(standing.attempts, traces.get(pair, NOTHING).attempt)
                self._pairs.settle(pair, Outcome(standing.settled, standing.reason, attempts=attempts))

    # Those that are live

    def _give_up_silent(self, run: RenderRun) -> None:
        """One that a worker took and that did not begin: its host was lost before it could be heard of."""
        seen = self._seen_as(run.id)
        if run.phase != "pending":
            seen.pending_since = None
            return
        seen.pending_since = self._clock() if seen.pending_since is None else seen.pending_since
        limit_s = CONTAINER_LIMIT_S if self._pairs.in_containers(run.needs) else PENDING_LIMIT_S
        if self._clock() - seen.pending_since > limit_s:
            self._runs.give_up(run, f"did not begin within {limit_s} s after a worker took it")

    def _look(self, run: RenderRun) -> None:
        """Find out what a running run has done so far. The less news it has, the seldomer it is asked."""
        seen, clock = self._seen_as(run.id), self._clock()
        if run.phase not in ("running", "cancelling") or seen.look_at > clock:
            return
        if self._has_news(run):
            seen.news_at = clock
        seen.look_at = clock + min(LOOK_S, max(LEAST_LOOK_S, (clock - seen.news_at) / 10))

    def _has_news(self, run: RenderRun) -> bool:
        """Takes it down. The run's pairs are begun about in order: only the first of those left can have any."""
        news = False
        while pairs := self._board.open_in(run.id)[:LOOKED_AT_ONCE]:
            records = self._results.records(pairs)
            self._take_down(records, run.place)
            news = news or bool(records)
            if len(records) < len(pairs) / 2:
                return self._has_new_notes(run, [pair for pair in pairs if pair not in records]) or news
        return news

    def _take_down(self, records: Mapping[str, Record], place: Place | None) -> None:
        """Pairs that are done, and where."""
        for pair, record in records.items():
            self._pairs.done(pair, record)
            self._board.proven(place)

    def _has_new_notes(self, run: RenderRun, pairs: list[str]) -> bool:
        news = False
        for pair, note in self._results.notes(pairs).items():
            if note.run != run.id or self._pairs.rendering.get(pair) == note:
                continue
            news = True
            self._pairs.rendering[pair] = note
            if note.state == "rendering":
                self._board.at_work(run.id, run.place)
            if note.is_failed:
                self._pairs.failed(note)
        return news
