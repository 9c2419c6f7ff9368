"""Work that is begun bit by bit, so that one thread can keep several devices busy.

A device works off what is launched on it while the thread goes on. Were one device's work launched as a whole and
then the next one's, each would begin that much later than the one before.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TypeVar

T = TypeVar("T")

Steps = Generator[None, None, T]
"""Yields after each step, returns what came of it."""


def finished(steps: Steps[T]) -> T:
    """What comes of all the steps."""
    return side_by_side([steps])[0]


def side_by_side(works: Sequence[Steps[T]]) -> list[T]:
    """What comes of each: a step of every one in turn, until all are finished."""
    results: dict[int, T] = {}
    while len(results) < len(works):
        for place, steps in enumerate(works):
            if place not in results:
                try:
                    next(steps)
                except StopIteration as end:
                    results[place] = end.value
    return [results[place] for place in range(len(works))]
