"""How a scale is made to fit: by the fastest plan that should; by the next cheaper one when memory runs out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from styletransfer.errors import OutOfMemoryError
from styletransfer.machine.memory import is_out_of_memory, memory_budgets, release_memory
from styletransfer.objective.objective import Objective
from styletransfer.settings import Settings
from styletransfer.transfer.memory_plan import HOST, Budget, MemoryPlan, memory_plans, plan_memory
from styletransfer.transfer.regions import EVERYWHERE, Regions
from styletransfer.transfer.replay import graphs_wanted
from styletransfer.transfer.schedule import Scale

log = logging.getLogger(__name__)

T = TypeVar("T")

Way = tuple[Hashable, ...]
"""How a plan renders, whatever the size."""


class MemoryLadder:
    """The memory plans of a render, one for each scale, and the way down to cheaper ones.

    `adopt` is called with each plan that is taken from then on: it moves what the render keeps on its devices.
    Raises OutOfMemoryError if a scale can't fit.
    """

    def __init__(
        self,
        objective: Objective,
        settings: Settings,
        scales: Sequence[Scale],
        devices: tuple[str, ...],
        element_size: int,
        adopt: Callable[[MemoryPlan], None],
        regions: Regions = EVERYWHERE,
    ) -> None:
        self._objective, self._settings, self._scales = objective, settings, scales
        self._element_size, self._adopt = element_size, adopt
        self._budget = Budget(
            devices,
            memory_budgets(*devices),
            replays=graphs_wanted(),
            regions=regions.count(),
            keeps=regions.keep is not None,
        )
        self._plans = [plan_memory(scale.size, settings, element_size, self._budget) for scale in scales]
        self._ran_out: set[Way] = set()
        self._scale = scales[0]

    def plan(self, scale: Scale) -> MemoryPlan:
        """How the scale is rendered, as far as is known now."""
        return self._plans[scale.index]

    def enter(self, scale: Scale) -> None:
        """Renders by the plan of this scale from here on."""
        self._scale = scale
        self._take(self._plans[scale.index])

    def fit(self, compute: Callable[[], T]) -> T:
        """What `compute` returns; with the next cheaper plan each time it runs out of memory.

        It must change nothing before it returns: so the render goes on from where it stood.
        """
        while True:
            try:
                return compute()
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
            # Not before the handler is left: the error holds on to all that the failed try had allocated.
            release_memory(*self._budget.devices)
            self._take_cheaper_plan()

    @contextmanager
    def out_of_memory_told(self) -> Iterator[None]:
        """Has what runs out of memory within raise OutOfMemoryError, which says where."""
        try:
            yield
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            raise OutOfMemoryError(f"out of memory at {self.where()}") from error

    def where(self) -> str:
        """The scale in hand, its size and the devices, for messages."""
        width, height = self._scale.size
        return f"scale {self._scale.px} ({width}x{height} px) on {', '.join(self._budget.devices)}"

    def _take_cheaper_plan(self) -> None:
        scale = self._scale
        cheaper = self._from(scale, self._plans[scale.index])[1:]
        if not cheaper:
            completed = [finished.px for finished in self._scales[: scale.index]]
            done = f"; the largest scale that completed is {completed[-1]} px" if completed else ""
            raise OutOfMemoryError(f"out of memory at {self.where()}{done}")
        log.warning("out of memory at %s; going on with %s", self.where(), cheaper[0])
        self._leave(scale, [self._plans[scale.index]])
        self._take(cheaper[0])

    def descend(self, scale: Scale, suits: Callable[[MemoryPlan], bool]) -> None:
        """Plans this scale and those after it as a render did that had come down to the first plan that suits."""
        plans = self._from(scale, self._plans[scale.index])
        found = next((place for place, plan in enumerate(plans) if suits(plan)), None)
        if found:  # else nothing ran out
            self._leave(scale, plans[:found])

    def _leave(self, first: Scale, ran_out: Sequence[MemoryPlan]) -> None:
        """From this scale on none is rendered as these plans have it: what was too much is so for larger pictures.

        Where several devices share pictures, it may be another scale's first plan that ran out, and not its own.
        """
        self._ran_out |= {_way(plan) for plan in ran_out}
        for scale in self._scales[first.index :]:
            plan, *cheaper = self._from(scale, self._plans[scale.index])
            if _way(plan) in self._ran_out and cheaper:
                self._plans[scale.index] = cheaper[0]

    def _from(self, scale: Scale, plan: MemoryPlan) -> list[MemoryPlan]:
        """This plan of a scale and those behind it that have not run out, fastest first."""
        plans = list(memory_plans(scale.size, self._settings, self._element_size, self._budget))
        behind = plans[plans.index(plan) + 1 :]
        return [plan, *(each for each in behind if _way(each) not in self._ran_out)]

    def _take(self, plan: MemoryPlan) -> None:
        self._objective.tiling = plan.tiling
        self._objective.place(plan.devices, plan.last_on_first, in_strips=plan.in_strips)
        self._adopt(plan)


def _way(plan: MemoryPlan) -> Way:
    """Which device is first, and where layers are split, goes by the size."""
    return plan.tiling, frozenset(plan.devices), plan.in_strips, plan.home == HOST, plan.replayed
