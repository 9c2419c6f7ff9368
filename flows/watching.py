"""What is told while pairs are rendered: one interface for terminals, contact sheets, logs and dashboards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from styletransfer.devices import Slot
from styletransfer.plan import Plan, PlannedPair
from styletransfer.records import Summary
from styletransfer.summary import Outcome

if TYPE_CHECKING:
    from styletransfer.stylize import Progress


class Watcher:
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

    def ended(self, plan: Plan, summary: Summary) -> None:
        """All is over; summary and contact sheet are written."""


class Watchers(Watcher):
    """Tells several watchers, in their order."""

    def __init__(self, *watchers: Watcher) -> None:
        self._watchers = watchers

    def planned(self, plan: Plan, at_once: int) -> None:
        for watcher in self._watchers:
            watcher.planned(plan, at_once)

    def started(self, pair: PlannedPair, slot: Slot) -> None:
        for watcher in self._watchers:
            watcher.started(pair, slot)

    def progress(self, pair: PlannedPair, progress: Progress) -> None:
        for watcher in self._watchers:
            watcher.progress(pair, progress)

    def finished(self, pair: PlannedPair, outcome: Outcome) -> None:
        for watcher in self._watchers:
            watcher.finished(pair, outcome)

    def ended(self, plan: Plan, summary: Summary) -> None:
        for watcher in self._watchers:
            watcher.ended(plan, summary)
