"""What a driver tells while its pairs are rendered: one interface for sheets, dashboards and messages."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from flows.pairs.listeners import Result
from flows.pairs.sheet import LiveSheet
from styletransfer.planning.plan import Plan
from styletransfer.renders.summary import Outcome

log = logging.getLogger(__name__)


class DriverListener(Protocol):
    """Is told by one thread, which does not mind to wait for some seconds."""

    def planned(self, plan: Plan) -> None:
        """The plan is made; what is queued in it will be rendered."""

    def states(self, outcomes: Mapping[str, Outcome]) -> None:
        """Something has changed. How the pairs stand that are not as planned, by id."""

    def ended(self, result: Result) -> None:
        """All is over; summary and contact sheet are written."""


class DriverListeners:
    """Tells several listeners, in their order. One that fails costs a warning: renders go on without it."""

    def __init__(self, listeners: Sequence[DriverListener]) -> None:
        self._listeners = listeners

    def planned(self, plan: Plan) -> None:
        for listener in self._listeners:
            _safely(listener, lambda listener=listener: listener.planned(plan))  # type: ignore[misc]

    def states(self, outcomes: Mapping[str, Outcome]) -> None:
        for listener in self._listeners:
            _safely(listener, lambda listener=listener: listener.states(outcomes))  # type: ignore[misc]

    def ended(self, result: Result) -> None:
        for listener in self._listeners:
            _safely(listener, lambda listener=listener: listener.ended(result))  # type: ignore[misc]


def _safely(listener: DriverListener, tell: Callable[[], None]) -> None:
    try:
        tell()
    except Exception:
        log.exception("%s has failed; rendering goes on", type(listener).__name__)


class SheetStates:
    """Keeps summary and contact sheet up to date."""

    def __init__(self, sheet: LiveSheet) -> None:
        self._sheet = sheet
        self._told: dict[str, Outcome] = {}

    def planned(self, plan: Plan) -> None:
        pass

    def states(self, outcomes: Mapping[str, Outcome]) -> None:
        news = {pair: outcome for pair, outcome in outcomes.items() if self._told.get(pair) != outcome}
        self._told |= news
        if news:
            self._sheet.stand(news)
        else:
            self._sheet.look_again()

    def ended(self, result: Result) -> None:
        pass


class LogStates:
    """The run's log: how each pair ends, its name first."""

    def __init__(self, log: logging.LoggerAdapter[logging.Logger] | logging.Logger) -> None:
        self._log = log
        self._told: dict[str, str] = {}

    def planned(self, plan: Plan) -> None:
        queued, skipped = len(plan.having("queued")), len(plan.having("skipped"))
        self._log.info("%s: plan: %d pairs to render, %d done before", plan.manifest.name, queued, skipped)

    def states(self, outcomes: Mapping[str, Outcome]) -> None:
        for pair, outcome in outcomes.items():
            if self._told.get(pair) != outcome.state:
                self._told[pair] = outcome.state
                self._tell(pair, outcome)

    def _tell(self, pair: str, outcome: Outcome) -> None:
        if outcome.state == "done" and outcome.record is not None:
            self._log.info("%s: done: %.1f s", pair, outcome.record.seconds)
        elif outcome.is_preview:
            self._log.info("%s: %s", pair, outcome.reason)
        elif outcome.state in ("failed", "cancelled"):
            level = logging.ERROR if outcome.state == "failed" else logging.WARNING
            self._log.log(level, "%s: %s: %s", pair, outcome.state, outcome.reason)

    def ended(self, result: Result) -> None:
        self._log.info("%s: %s; %s", result.manifest, result.counts, result.index)
