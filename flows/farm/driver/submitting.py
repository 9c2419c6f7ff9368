"""Submits render runs for pairs that wait, as many as the workers that are there have use for."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

from flows.farm.driver.groups import make_groups, needs_of
from flows.farm.driver.night_report import SlotTime
from flows.farm.driver.pair_states import PairStates
from flows.farm.driver.render_runs import RenderRun, RenderRuns
from flows.farm.names import Needs
from styletransfer.manifest.schema import Priority

SLOTS_S: Final = 30.0
"""Between two looks for workers: Prefect hears from each every 30 s."""

LEAST_SUBMITTED: Final = 2
"""Runs that are submitted even where no worker is alive, so that the lack is seen; but none that not every farm
has slots for: they would be in the way of who asks for others, or their pool may not be there yet."""


class Submitter:
    """`priority` in place of the pairs' own. `slots`: how many were in service when last looked for.

    `slot_time`: how many of them the manifest could have used.
    """

    def __init__(
        self, pairs: PairStates, runs: RenderRuns, priority: Priority | None, clock: Callable[[], float]
    ) -> None:
        self.slots = dict.fromkeys(map(needs_of, pairs.plan.having("queued")), 0)
        self.slot_time = SlotTime()
        self._pairs, self._runs, self.priority, self._clock = pairs, runs, priority, clock
        self._slots_at = float("-inf")

    def submit(self, own: Collection[RenderRun]) -> list[RenderRun]:
        """New runs for pairs that wait, beside our `own` live ones."""
        clock, board = self._clock(), self._pairs.board
        if clock - self._slots_at >= SLOTS_S:
            self._look_for_slots(clock)
        waiting = board.waiting(clock)
        groups = make_groups(
            [self._pairs.planned[pair] for pair in waiting],
            self._wanted(own),
            self.slots,
            self._pairs.speed,
            alone={pair for pair in waiting if board.standings[pair].alone},
            priority=self.priority,
        )
        submitted = []
        for group in groups:
            run = self._runs.submit(group, {pair: board.standings[pair].attempt for pair in group.ids})
            board.take(run.id, run.pairs)
            submitted.append(run)
        return submitted

    def _look_for_slots(self, clock: float) -> None:
        found = self._pairs.slots = self._runs.slots_in_service()
        self.slots = {needs: sum(each.slots for each in found if each.has(needs)) for needs in self.slots}
        self.slot_time.seen(sum(each.slots for each in found if any(map(each.has, self.slots))), clock)
        self._slots_at = clock

    def _wanted(self, own: Collection[RenderRun]) -> dict[Needs, int]:
        """How many runs may be submitted: twice the live slots less those that are there, so that others get on."""
        there = [run.needs for run in own]
        return {
            needs: max(0, max(LEAST_SUBMITTED * (needs == Needs(1)), 2 * slots) - there.count(needs))
            for needs, slots in self.slots.items()
        }
