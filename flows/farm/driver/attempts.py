"""What the end of a render run means for its pairs: done, tried again, or given up. Pure, and the same each time.

Only a pair that was being rendered when its run crashed is charged with an attempt, and then retried alone; the
others of that run go back unpunished. A run that ends without having got anywhere with any of its pairs is a
strike for all of them: they are tried again later, at last one by one. What holds for the whole: no pair is
lost, none is in two of our runs, and every run that ends brings some pair nearer to its own end.

A broken slot must not use up the attempts of pairs: no crash, no run that got nowhere and no fault that may be its
host's (`errors.may_be_of_host`) is a verdict on a pair before another host has failed it, too; where there is no
other, another slot; where there is none, after the usual attempts. Broken hosts must not confirm each other: one of
the slots that failed it has to be proven, by having finished a pair of the manifest. Where none is, one that is, or
that has read its own pair's inputs and renders it, is waited for; where there is no such, all hosts that there are
tell together, or `MOST_TRIES`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Set
from dataclasses import dataclass, replace
from typing import Final, Literal

from flows.farm.names import ATTEMPTS, Place

STRIKES: Final = 3
"""Runs that may end before they have begun any of their pairs."""

MISSES: Final = 10
"""Runs that may end before they are even under way: no fault of the pairs', but of a host, a worker, the server."""

MOST_TRIES: Final = 10
"""Of a pair that no proven slot has failed, while hosts are there that have not tried it and may never do so."""

PAUSES_S: Final = (15.0, 60.0)
"""Before the next try: another host may take it then, or what is wrong with this one has passed."""

RunEnd = Literal["completed", "failed", "held", "cancelled", "crashed"]
"""How a render run ended. `cancelled`: by people; `held`: it hands its pairs back."""


@dataclass(frozen=True)
class Ending:
    """The end of a run. `own`: it was submitted for us; `begun`: its process was under way; `place`: if known."""

    how: RunEnd
    reason: str = ""
    own: bool = True
    begun: bool = True
    place: Place | None = None

    @property
    def text(self) -> str:
        return f"{self.how}: {self.reason}" if self.reason else self.how


Settled = Literal["done", "failed", "cancelled"]

TraceState = Literal["done", "failed", "held", "cancelled", "rendering", "nothing"]
"""What storage says about a pair after a run: its record, the note that this run left, or nothing."""


@dataclass(frozen=True)
class PairTrace:
    """What a run left behind of one pair. `attempt` counts from 1. `of_host`: it failed, perhaps by its host."""

    state: TraceState
    reason: str = ""
    attempt: int = 1
    of_host: bool = False

    @property
    def is_verdict(self) -> bool:
        """Whether nothing is left to try."""
        return self.state == "done" or (self.state == "failed" and not self.of_host)


@dataclass(frozen=True)
class PairStanding:
    """How a pair stands with the driver; as long as it is not settled it is queued or in a run.

    `attempts`: those it was charged with, `strikes`: runs that got nowhere, `misses`: runs that were never under
    way; `crashed`: one of its attempts was; `places`: where all that was. `not_before`: of the driver's clock.
    """

    settled: Settled | None = None
    attempts: int = 0
    crashed: bool = False
    strikes: int = 0
    misses: int = 0
    places: tuple[Place, ...] = ()
    reason: str = ""
    not_before: float = 0.0

    @property
    def alone(self) -> bool:
        """Whether it must not harm others."""
        return self.crashed or self.strikes >= STRIKES - 1

    @property
    def attempt(self) -> int:
        """Which attempt the next one is."""
        return self.attempts + 1

    @property
    def tries(self) -> int:
        """Runs that had it and did not bring it to its end, of whatever kind."""
        return self.attempts + self.strikes + self.misses


NOT_BEGUN: Final = "not begun yet"

NOTHING: Final = PairTrace("nothing")


class PairBoard:
    """All pairs that a driver looks after, and the live runs that have them: its own, and those of others.

    `places` tells the slots in service that can render a pair.
    """

    def __init__(self, pairs: Iterable[str], places: Callable[[str], Collection[Place]] = lambda _: ()) -> None:
        self._places = places
        self.standings = {pair: PairStanding() for pair in pairs}
        self._place = {pair: number for number, pair in enumerate(self.standings)}
        self.runs: dict[str, frozenset[str]] = {}
        self._got_somewhere: set[str] = set()
        self._proven: set[Place] = set()
        self._at_work: dict[str, Place] = {}

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

    def at_work(self, run: str, place: Place | None) -> None:
        """A live run has read the inputs of a pair and renders it."""
        if place is not None:
            self._at_work[run] = place

    def proven(self, place: Place | None) -> None:
        """A pair was finished there."""
        if place is not None:
            self._proven.add(place)

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
            if trace.is_verdict:
                self.settle(pair, "done" if trace.state == "done" else "failed", trace.reason)
        somewhere = run in self._got_somewhere or any(each.state != "nothing" for each in found.values())
        self.runs.pop(run, None)
        self._got_somewhere.discard(run)
        self._at_work.pop(run, None)
        nowhere = ending.own and not somewhere and ending.how not in ("held", "cancelled")
        well = self._proven.union(self._at_work.values())
        for pair in filter(self.is_open, pairs):
            trial = _Trial(ending, found[pair], _Slots(self._places(pair), self._proven, well), clock)
            elsewhere = any(pair in others for others in self.runs.values())
            after = _struck if nowhere and not elsewhere else _after
            self.standings[pair] = after(self.standings[pair], trial)


@dataclass(frozen=True)
class _Slots:
    """`there`: in service, for this pair; `proven`: have finished one; `well`: these, and those that render one."""

    there: Collection[Place]
    proven: Set[Place]
    well: Set[Place]


@dataclass(frozen=True)
class _Trial:
    """One run's try at one pair that is not done: how it ended, what slots there are, and when."""

    ending: Ending
    trace: PairTrace
    slots: _Slots
    clock: float


def _after(standing: PairStanding, trial: _Trial) -> PairStanding:
    """A pair that is not done after the end of a run which had it."""
    ending, trace = trial.ending, trial.trace
    if ending.own and (ending.how == "cancelled" or trace.state == "cancelled"):
        return replace(standing, settled="cancelled", reason=trace.reason or ending.reason or "cancelled")
    if trace.state == "failed":
        return _doubted(standing, trial)
    if trace.state == "rendering" and ending.how != "held":
        return _charged(standing, trial)
    return replace(standing, reason=_why_back(ending, trace))


def _why_back(ending: Ending, trace: PairTrace) -> str:
    """Why a pair waits again."""
    if trace.state == "held":
        return trace.reason
    return NOT_BEGUN if trace.state == "nothing" else ending.text


def _charged(standing: PairStanding, trial: _Trial) -> PairStanding:
    """It was being rendered when the run ended without a word: another attempt is used up."""
    reason, attempts = trial.ending.reason, max(standing.attempts + 1, trial.trace.attempt)
    standing = _failed_at(replace(standing, attempts=attempts, crashed=True), trial.ending.place)
    if attempts >= ATTEMPTS and _is_confirmed(standing, trial):
        why = f"{attempts} attempts, each ended with its run: {reason}{_where(standing, trial)}"
        return replace(standing, settled="failed", reason=why)
    return replace(standing, reason=f"attempt {attempts} ended with its run: {reason}{_where(standing, trial)}")


def _doubted(standing: PairStanding, trial: _Trial) -> PairStanding:
    """It failed by what may be the fault of its host: whoever tries it next tells."""
    attempts = max(standing.attempts + 1, trial.trace.attempt)
    standing = _failed_at(replace(standing, attempts=attempts), trial.ending.place)
    why = f"{trial.trace.reason}{_where(standing, trial)}"
    if _is_confirmed(standing, trial) and (len(standing.places) > 1 or attempts >= ATTEMPTS):
        return replace(standing, settled="failed", reason=why)
    return replace(standing, reason=why, not_before=trial.clock + _pause_s(attempts))


def _struck(standing: PairStanding, trial: _Trial) -> PairStanding:
    """The run got nowhere."""
    ending = trial.ending
    strikes, misses = standing.strikes + ending.begun, standing.misses + (not ending.begun)
    standing = _failed_at(replace(standing, strikes=strikes, misses=misses), ending.place)
    if (strikes >= STRIKES or misses >= MISSES) and _is_confirmed(standing, trial):
        number = strikes + misses
        why = f"{number} runs for it ended before it was begun, the last: {ending.text}{_where(standing, trial)}"
        return replace(standing, settled="failed", reason=why)
    why = f"a run for it {ending.text}{_where(standing, trial)}"
    return replace(standing, reason=why, not_before=trial.clock + _pause_s(strikes + misses))


def _pause_s(tries: int) -> float:
    return PAUSES_S[min(tries, len(PAUSES_S)) - 1]


def _failed_at(standing: PairStanding, place: Place | None) -> PairStanding:
    if place is None or place in standing.places:
        return standing
    return replace(standing, places=(*standing.places, place))


def _is_confirmed(standing: PairStanding, trial: _Trial) -> bool:
    """Whether the fault may be the pair's: a proven slot has failed it, not alone; or nobody can tell better."""
    if trial.ending.place is None:  # nobody knows where it was
        return True
    slots, failed = trial.slots, set(standing.places)
    hosts = {place.host for place in failed}
    untried = [place for place in slots.there if place not in failed]
    elsewhere = [place for place in untried if place.host not in hosts]
    all_asked = not elsewhere and (len(failed) > 1 or not untried)
    if not failed.isdisjoint(slots.proven) and (len(hosts) > 1 or all_asked):
        return True
    better = slots.proven if trial.trace.state == "rendering" else slots.well  # who has begun may crash, too
    if not better.isdisjoint(untried):
        return False
    return (all_asked and not slots.proven) or standing.tries >= MOST_TRIES


def _where(standing: PairStanding, trial: _Trial) -> str:
    """` (on vm gpu0, vm gpu1)`."""
    if not standing.places:
        return ""
    places = ", ".join(map(str, standing.places))
    if standing.tries < MOST_TRIES or not trial.slots.proven.isdisjoint(standing.places):
        return f" (on {places})"
    return f" ({standing.tries} tries on {places}, where no pair was finished)"
