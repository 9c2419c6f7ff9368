"""Why pairs that are not done wait: what listeners are told of them, and when no worker is there."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping

from flows.farm.driver.groups import needs_of
from flows.farm.driver.pair_states import PairStates
from flows.farm.driver.render_runs import RenderRun
from flows.farm.names import NO_WORKER_S, Needs
from flows.farm.orders import PAUSE_REASON
from styletransfer.renders.summary import Outcome

log = logging.getLogger(__name__)


class Waiting:
    """Says of each pair that is not settled how it stands."""

    def __init__(self, pairs: PairStates, clock: Callable[[], float]) -> None:
        self.paused = False
        self._pairs, self._clock = pairs, clock
        self._without_worker: dict[Needs, float] = {}
        self._told_without: set[Needs] = set()

    def describe(self, live: Iterable[RenderRun], slots: Mapping[Needs, int]) -> None:
        """Bring the outcomes of open pairs up to date. `slots`: how many can render them."""
        self._watch_workers(slots)
        in_runs = {pair: run for run in live for pair in run.pairs}
        for pair in self._pairs.open():
            self._pairs.outcomes[pair] = self._outcome(pair, in_runs.get(pair))

    def _outcome(self, pair: str, run: RenderRun | None) -> Outcome:
        standing, note = self._pairs.board.standings[pair], self._pairs.rendering.get(pair)
        if note is not None and run is not None and note.run == run.id and run.phase == "running":
            if note.of_host:
                return Outcome("held", f"{note.reason} (on {note.place})", attempts=note.attempt)
            return Outcome("rendering", str(note.place), attempts=note.attempt)
        held, reason = standing.reason and run is None, standing.reason or self._why(pair, run)
        return Outcome("held" if held else "queued", reason, attempts=standing.attempts)

    def _why(self, pair: str, run: RenderRun | None) -> str:
        if self.paused:
            return PAUSE_REASON
        needs = needs_of(self._pairs.planned[pair])
        if run is not None and run.phase != "running" and run.needs != needs:
            return f"left to a run of another submission, which waits for {run.needs}"
        if needs in self._told_without:
            return f"no worker of pool {needs} is alive"
        return "waits for a slot" if run is None or run.phase != "running" else "next in its render run"

    def _watch_workers(self, slots: Mapping[Needs, int]) -> None:
        """Say once that pairs wait for a pool without a worker."""
        clock = self._clock()
        needed = {needs_of(self._pairs.planned[pair]) for pair in self._pairs.open()}
        for needs, count in slots.items():
            if needs not in needed or count:
                self._without_worker.pop(needs, None)
                self._told_without.discard(needs)
            elif clock - self._without_worker.setdefault(needs, clock) >= NO_WORKER_S:
                if needs not in self._told_without:
                    name = self._pairs.plan.manifest.name
                    log.warning("%s: no worker of pool %s is alive; its pairs wait", name, needs)
                self._told_without.add(needs)
