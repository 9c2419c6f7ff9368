"""How far a manifest is, as its driver tells the server: in words for people, and read back by whoever sums up.

It is the description of the driver's progress artifact, so that a page of all manifests needs no storage.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from styletransfer.renders.records import PairState

_TEXT: Final = re.compile(
    r"(?P<done>\d+) done, (?P<failed>\d+) failed, (?P<rendering>\d+) rendering, (?P<left>\d+) left"
    r"(?:; through by (?P<through>\S+))?"
)


@dataclass(frozen=True)
class ManifestProgress:
    """Pairs by how they stand; `left` are neither done nor failed. `through`: when the last will be, if known."""

    done: int
    failed: int
    rendering: int
    left: int
    through: datetime | None = None

    @classmethod
    def of(cls, states: Iterable[PairState], through: datetime | None = None) -> ManifestProgress:
        """From the state of every pair."""
        found = Counter(states)
        done, failed = found["done"] + found["skipped"], found["failed"]
        return cls(done, failed, found["rendering"], found.total() - done - failed, through)

    @property
    def fraction(self) -> float:
        """Of the pairs, how many need no more waiting for: 0 to 1."""
        total = self.done + self.failed + self.left
        return (self.done + self.failed) / total if total else 1.0

    def __str__(self) -> str:
        through = "" if self.through is None else f"; through by {self.through.isoformat(timespec='seconds')}"
        return f"{self.done} done, {self.failed} failed, {self.rendering} rendering, {self.left} left{through}"


def parse_progress(text: str) -> ManifestProgress | None:
    """What `str` made of a progress; None for any other text."""
    match = _TEXT.match(text)
    if match is None:
        return None
    done, failed, rendering, left = (int(match[name]) for name in ("done", "failed", "rendering", "left"))
    try:
        through = datetime.fromisoformat(match["through"]) if match["through"] else None
    except ValueError:
        return None
    return ManifestProgress(done, failed, rendering, left, through)
