"""What is told while pairs are rendered: one interface for terminals, contact sheets, logs and dashboards."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from styletransfer import storage
from styletransfer.machine.devices import Slot
from styletransfer.planning.plan import Plan, PlannedPair
from styletransfer.records.records import PAIR_STATES, FarmReport, Summary, SummaryPair
from styletransfer.renders.summary import Outcome

if TYPE_CHECKING:
    from styletransfer.transfer.stylizer import Progress


@dataclass(frozen=True)
class Result:
    """How a run ended. `pairs` are those it was asked for; the summary has the manifest's others, too.

    `given_up`: why the rest was not rendered, if it was not. `farm`: what it took of a farm. `previewed`: ids of
    those that stopped behind their first scales, as was asked for, and `onward` how they go on.
    """

    manifest: str
    index: str
    pairs: tuple[SummaryPair, ...]
    given_up: str | None = None
    farm: FarmReport | None = None
    previewed: tuple[str, ...] = ()
    onward: str = ""

    @classmethod
    def of(cls, plan: Plan, summary: Summary) -> Result:
        asked = {planned.id: planned for planned in plan.pairs}
        pairs = tuple(pair for pair in summary.pairs if pair.id in asked)
        previewed = tuple(pair.id for pair in pairs if pair.is_previewed and asked[pair.id].whole)
        index = storage.public(plan.places.index)
        return cls(plan.manifest.name, index, pairs, farm=summary.farm, previewed=previewed)

    @property
    def counts(self) -> str:
        """`3 previewed, 7 done, 2 skipped, 1 failed`."""
        found = Counter("previewed" if pair.is_previewed else pair.state for pair in self.pairs)
        return ", ".join(f"{found[state]} {state}" for state in ("previewed", *PAIR_STATES) if found[state])

    @property
    def failures(self) -> list[str]:
        """Each failed pair with its reason."""
        return [f"{pair.id}: {pair.reason}" for pair in self.pairs if pair.state == "failed"]


class Listener:
    """Is told what happens, from several threads at once; this one keeps it to itself.

    Whatever it does must be quick: renders wait for it.
    """

    def planned(self, plan: Plan, at_once: int) -> None:
        """The queued pairs of a plan are about to be rendered, `at_once` at a time."""

    def started(self, pair: PlannedPair, slot: Slot) -> None:
        """A pair has its inputs and its slot; rendering begins."""

    def progress(self, pair: PlannedPair, progress: Progress) -> None:
        """An iteration is over. Comes after each: reading losses or images from it waits for the device."""

    def finished(self, pair: PlannedPair, outcome: Outcome) -> None:
        """A pair is stored, has failed, or was cancelled after it began."""

    def ended(self, result: Result) -> None:
        """All is over; summary and contact sheet are written."""


class Listeners(Listener):
    """Tells several listeners, in their order."""

    def __init__(self, *listeners: Listener) -> None:
        self._listeners = listeners

    def planned(self, plan: Plan, at_once: int) -> None:
        for listener in self._listeners:
            listener.planned(plan, at_once)

    def started(self, pair: PlannedPair, slot: Slot) -> None:
        for listener in self._listeners:
            listener.started(pair, slot)

    def progress(self, pair: PlannedPair, progress: Progress) -> None:
        for listener in self._listeners:
            listener.progress(pair, progress)

    def finished(self, pair: PlannedPair, outcome: Outcome) -> None:
        for listener in self._listeners:
            listener.finished(pair, outcome)

    def ended(self, result: Result) -> None:
        for listener in self._listeners:
            listener.ended(result)


class LogListener(Listener):
    """The run's log: what happens to each pair, its name first."""

    def __init__(self, log: logging.LoggerAdapter[logging.Logger] | logging.Logger) -> None:
        self._log = log

    def started(self, pair: PlannedPair, slot: Slot) -> None:
        self._log.info("%s: stylize: on %s, %d iterations", pair.id, slot, pair.iterations)

    def finished(self, pair: PlannedPair, outcome: Outcome) -> None:
        if outcome.record is not None:
            seconds, url = outcome.record.seconds, outcome.record.output.url
            self._log.info("%s: %s: %.1f s, %s", pair.id, outcome.state, seconds, url)
        else:
            level = logging.ERROR if outcome.state == "failed" else logging.WARNING
            self._log.log(level, "%s: %s: %s", pair.id, outcome.state, outcome.reason)
