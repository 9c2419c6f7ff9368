"""Which pairs go into one render run: enough that starting it hardly counts, few enough that slots share evenly.

Pure: from queued pairs to groups, for as many runs as are wanted now. Groups are made shortly before they are
submitted, so that the last ones are smaller, and as long as the speed seen by then asks for.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from flows.farm.names import Needs, pool_for
from styletransfer.manifest.schema import Priority
from styletransfer.planning.plan import PlannedPair
from styletransfer.records.records import Record

LONG_S: Final = 300.0
"""Of a run whose start (a process, its imports, the weights: 15 s on a warm host) is 5 % of it:
longer ones gain nothing, so a pair that takes so long goes alone."""

SHORT_S: Final = 45.0
"""Even at the end, when little is left to share, no run is made shorter than this."""

ROUNDS: Final = 2
"""Runs that each slot gets at least, so that one slow run is made up for by the others."""

MOST_PAIRS: Final = 512
"""Of one run."""

PAIR_S: Final = 0.5
"""Of a pair beside its iterations: fetching, storing, telling."""

FIRST_PAIRS: Final = 4
"""Of a run, as long as nobody knows how long a pair takes here: on a GPU a second, on a CPU an hour."""

GUESSED_SPEED: Final = 2e6
"""Pixel iterations per second, until pairs have been seen: between a CPU's and a GPU's."""

_RANK: Final[Mapping[Priority, int]] = {"high": 0, "normal": 1, "low": 2}


@dataclass
class Speed:
    """Pixel iterations per second and slot, as the records of finished pairs tell."""

    _work: dict[Needs, float] = field(default_factory=dict)
    _seconds: dict[Needs, float] = field(default_factory=dict)

    def seen(self, planned: PlannedPair, record: Record) -> None:
        """A pair was finished."""
        needs = needs_of(planned)
        self._work[needs] = self._work.get(needs, 0.0) + planned.work.total
        self._seconds[needs] = self._seconds.get(needs, 0.0) + max(record.slot_seconds, 1e-3)

    def is_known(self, needs: Needs) -> bool:
        """Whether any pair with these needs has been finished."""
        return bool(self._seconds.get(needs))

    def seconds(self, planned: PlannedPair) -> float:
        """How long a pair will take."""
        needs = needs_of(planned)
        speed = self._work[needs] / self._seconds[needs] if self.is_known(needs) else GUESSED_SPEED
        return PAIR_S + planned.work.total / speed


@dataclass(frozen=True)
class Group:
    """Pairs for one render run. `seconds`: how long it will take, without its start."""

    needs: Needs
    priority: Priority
    pairs: tuple[PlannedPair, ...]
    seconds: float

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(planned.id for planned in self.pairs)


def needs_of(planned: PlannedPair) -> Needs:
    """What the slot that renders the pair must have."""
    return Needs(pool_for(planned.pair.settings.gpus), planned.pair.requires)


def make_groups(
    queued: Sequence[PlannedPair],
    wanted: Mapping[Needs, int],
    slots: Mapping[Needs, int],
    speed: Speed,
    *,
    alone: Collection[str] = (),
    priority: Priority | None = None,
) -> list[Group]:
    """The next groups to submit, at most `wanted` for the same needs, the most urgent first.

    `slots` are those that will share the work, `alone` the ids of pairs that must not harm others.
    `priority` takes the place of the pairs' own. Every pair is in one group at most; those that are in none
    wait for the next call.
    """
    groups: list[Group] = []
    for needs, most in wanted.items():
        if most <= 0:
            continue
        pool = [planned for planned in queued if needs_of(planned) == needs]
        size = _size(pool, needs, max(1, slots.get(needs, 0)), speed)
        for rank in sorted(_RANK, key=_RANK.__getitem__):
            alike = [planned for planned in pool if (priority or planned.pair.priority) == rank]
            groups += islice(_fill(alike, needs, rank, size, speed, alone), max(0, most - _count(groups, needs)))
    return groups


def _count(groups: Iterable[Group], needs: Needs) -> int:
    return sum(group.needs == needs for group in groups)


@dataclass(frozen=True)
class _Size:
    """Of a run: the seconds that it should take, and pairs that it may have."""

    seconds: float
    pairs: int


def _size(pool: Sequence[PlannedPair], needs: Needs, slots: int, speed: Speed) -> _Size:
    runs = ROUNDS * slots
    seconds = min(LONG_S, max(SHORT_S, sum(map(speed.seconds, pool)) / runs))
    if speed.is_known(needs):
        return _Size(seconds, MOST_PAIRS)
    return _Size(seconds, min(FIRST_PAIRS, math.ceil(len(pool) / runs)))


def _fill(
    alike: Sequence[PlannedPair],
    needs: Needs,
    priority: Priority,
    size: _Size,
    speed: Speed,
    alone: Collection[str],
) -> Iterator[Group]:
    """Groups of about this size. Pairs that need caution first, then long ones: the night ends even."""
    group: list[PlannedPair] = []
    filled = 0.0  # seconds in the group; infinite where nothing more goes there

    def made() -> Group:
        return Group(needs, priority, tuple(group), sum(map(speed.seconds, group)))

    for planned in _ordered(alike, speed, alone):
        seconds = speed.seconds(planned)
        apart = planned.id in alone or seconds >= size.seconds
        if group and (apart or filled + seconds > size.seconds * 1.1 or len(group) >= size.pairs):
            yield made()
            group, filled = [], 0.0
        group.append(planned)
        filled = math.inf if apart else filled + seconds
    if group:
        yield made()


def _ordered(alike: Sequence[PlannedPair], speed: Speed, alone: Collection[str]) -> list[PlannedPair]:
    """Alone first; then by kind (styles and size), the kind with the longest pairs first; then as planned."""
    kinds = [kind_of(planned) for planned in alike]
    longest: dict[tuple[object, ...], float] = {}
    first: dict[tuple[object, ...], int] = {}
    for index, (kind, planned) in enumerate(zip(kinds, alike, strict=True)):
        longest[kind] = max(longest.get(kind, 0.0), speed.seconds(planned))
        first.setdefault(kind, index)

    def key(index: int) -> tuple[bool, float, int]:
        kind = kinds[index]
        return (alike[index].id not in alone, -longest[kind], first[kind])

    return [alike[index] for index in sorted(range(len(alike)), key=key)]


def kind_of(planned: PlannedPair) -> tuple[object, ...]:
    """Equal for pairs that share style targets: the same styles at the same scales."""
    settings = planned.pair.settings
    return (planned.pair.styles, planned.scales, settings.style_size, settings.style_scale_fac)
