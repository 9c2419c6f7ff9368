"""What the end of a render run means for its pairs: done, tried again, or given up. Pure, and the same each time.

Only a pair that was being rendered when its run crashed is charged with an attempt, and then retried alone; the
others of that run go back unpunished. A run that ends without having got anywhere with any of its pairs is a
strike for all of them: they are tried again later, at last one by one. What holds for the whole: no pair is
lost, none is in two of our runs, and every run that ends brings some pair nearer to its own end.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

from flows.farm.names import ATTEMPTS

STRIKES: Final = 3
"""Runs that may end before they have begun any of their pairs."""

MISSES: Final = 10
"""Runs that may end before they are even under way: no fault of the pairs', but of a host, a worker, the server."""

PAUSES_S: Final = (15.0, 60.0)
"""Before the next try: another host may take it then, or what is wrong with this one has passed."""

RunEnd = Literal["completed", "failed", "held", "cancelled", "crashed"]
"""How a render run ended. `cancelled`: by people; `held`: it hands its pairs back."""


@dataclass(frozen=True)
class Ending:
    """The end of a run. `own`: it was submitted for us; `begun`: its process was under way."""

    how: RunEnd
    reason: str = ""
    own: bool = True
    begun: bool = True

    @property
    def text(self) -> str:
        return f"{self.how}: {self.reason}" if self.reason else self.how


Settled = Literal["done", "failed", "cancelled"]

TraceState = Literal["done", "failed", "held", "cancelled", "rendering", "nothing"]
"""What storage says about a pair after a run: its record, the note that this run left, or nothing."""


@dataclass(frozen=True)
class PairTrace:
    """What a run left behind of one pair. `attempt` counts from 1."""

    state: TraceState
    reason: str = ""
    attempt: int = 1


@dataclass(frozen=True)
class PairStanding:
    """How a pair stands with the driver; as long as it is not settled it is queued or in a run.

    `attempts`: those it was charged with, `strikes`: runs that got nowhere, `misses`: runs that were never under
    way. `not_before`: of the driver's clock.
    """

    settled: Settled | None = None
    attempts: int = 0
    strikes: int = 0
    misses: int = 0
    reason: str = ""
    not_before: float = 0.0

    @property
    def alone(self) -> bool:
        """Whether it must not harm others."""
        return self.attempts > 0 or self.strikes >= STRIKES - 1

    @property
    def attempt(self) -> int:
        """Which attempt the next one is."""
        return self.attempts + 1


NOT_BEGUN: Final = "not begun yet"

NOTHING: Final = PairTrace("nothing")


class PairBoard:
    """All pairs that a driver looks after, and the live runs that have them: its own, and those of others."""

    def __init__(self, pairs: Iterable[str]) -> None:
        self.standings = {pair: PairStanding() for pair in pairs}
        self._place = {pair: number for number, pair in enumerate(self.standings)}
        self.runs: dict[str, frozenset[str]] = {}
        self._got_somewhere: set[str] = set()

    # What is asked

    @property
    def over(self) -> bool:
        """Whether every pair is settled."""
        return all(standing.settled for standing in self.standings.values())

    def is_open(self, pair: str) -> bool:
        """Whether it is a pair of ours that is not settled."""
        standing = self.standings.get(pair)
        return standing is not None and standing.settled is None

    def open_in(self, run: str) -> list[str]:
        """The run's pairs that are not settled, in the board's order."""
        return sorted(filter(self.is_open, self.runs.get(run, frozenset())), key=self._place.__getitem__)

    def waiting(self, clock: float) -> list[str]:
        """Pairs that may be submitted now: not settled, in no live run, and not to wait any longer."""
        taken = frozenset[str]().union(*self.runs.values())
        return [
            pair
            for pair, standing in self.standings.items()
            if standing.settled is None and pair not in taken and standing.not_before <= clock
        ]

    # What happens

    def take(self, run: str, pairs: Collection[str]) -> None:
        """A live run has these pairs."""
        self.runs[run] = frozenset(pairs)

    def settle(self, pair: str, settled: Settled, reason: str = "") -> None:
        """The pair has come to its end, whichever run brought it there."""
        if not self.is_open(pair):
            return
        self._got_somewhere |= {run for run, pairs in self.runs.items() if pair in pairs}
        self.standings[pair] = replace(self.standings[pair], settled=settled, reason=reason)

    def end(self, run: str, ending: Ending, traces: Mapping[str, PairTrace], clock: float) -> None:
        """A run is over; `traces` of each of its open pairs.

        Another driver's run that was cancelled, or got nowhere, says nothing about our pairs.
        """
        pairs = self.open_in(run)
        found = {pair: traces.get(pair, NOTHING) for pair in pairs}
        for pair, trace in found.items():
            if trace.state in ("done", "failed"):
                self.settle(pair, "done" if trace.state == "done" else "failed", trace.reason)
        somewhere = run in self._got_somewhere or any(each.state != "nothing" for each in found.values())
        self.runs.pop(run, None)
        self._got_somewhere.discard(run)
        nowhere = ending.own and not somewhere and ending.how not in ("held", "cancelled")
        for pair in filter(self.is_open, pairs):
            after = _after(self.standings[pair], ending, found[pair])
            elsewhere = any(pair in others for others in self.runs.values())
            self.standings[pair] = _struck(after, ending, clock) if nowhere and not elsewhere else after


def _after(standing: PairStanding, ending: Ending, trace: PairTrace) -> PairStanding:
    """A pair that is not done after the end of a run which had it."""
    if ending.own and (ending.how == "cancelled" or trace.state == "cancelled"):
        return replace(standing, settled="cancelled", reason=trace.reason or ending.reason or "cancelled")
    if trace.state == "rendering" and ending.how != "held":
        return _charged(standing, ending.reason, trace)
    return replace(standing, reason=_why_back(ending, trace))


def _why_back(ending: Ending, trace: PairTrace) -> str:
    """Why a pair waits again."""
    if trace.state == "held":
        return trace.reason
    return NOT_BEGUN if ending.how == "held" and trace.state == "nothing" else ending.text


def _charged(standing: PairStanding, reason: str, trace: PairTrace) -> PairStanding:
    """It was being rendered when the run ended without a word: another attempt is used up."""
    attempts = max(standing.attempts + 1, trace.attempt)
    if attempts >= ATTEMPTS:
        why = f"{attempts} attempts, each ended with its run: {reason}"
        return replace(standing, attempts=attempts, settled="failed", reason=why)
    return replace(standing, attempts=attempts, reason=f"attempt {attempts} ended with its run: {reason}")


def _struck(standing: PairStanding, ending: Ending, clock: float) -> PairStanding:
    """The run got nowhere."""
    strikes, misses = standing.strikes + ending.begun, standing.misses + (not ending.begun)
    if strikes >= STRIKES or misses >= MISSES:
        why = f"{strikes + misses} runs for it ended before it was begun, the last: {ending.text}"
        return replace(standing, strikes=strikes, misses=misses, settled="failed", reason=why)
    pause = PAUSES_S[min(strikes + misses, len(PAUSES_S)) - 1]
    why = f"a run for it {ending.text}"
    return replace(standing, strikes=strikes, misses=misses, reason=why, not_before=clock + pause)
