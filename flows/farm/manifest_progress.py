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

from styletransfer.records.records import PairState

_TEXT: Final = re.compile(
    r"(?P<done>\d+) done, (?P<failed>\d+) failed, (?P<rendering>\d+) rendering, (?P<left>\d+) left"
    r"(?:, (?P<previewed>\d+) previewed)?(?:; through by (?P<through>\S+))?"
)


@dataclass(frozen=True)
class ManifestProgress:
    """Pairs by how they stand; `left` are neither done nor failed, nor `previewed` where no more is asked for.

    `through`: when the last will be, if known.
    """

    done: int
    failed: int
    rendering: int
    left: int
    through: datetime | None = None
    previewed: int = 0

    @classmethod
    def of(
        cls, states: Iterable[PairState], through: datetime | None = None, previewed: int = 0
    ) -> ManifestProgress:
        """From the state of every pair, of which so many are held behind a preview that was asked for."""
        found = Counter(states)
        done, failed = found["done"] + found["skipped"], found["failed"]
        left = found.total() - done - failed - previewed
        return cls(done, failed, found["rendering"], left, through, previewed)

    @property
    def fraction(self) -> float:
        """Of the pairs, how many need no more waiting for: 0 to 1."""
        through = self.done + self.failed + self.previewed
        return through / (through + self.left) if through + self.left else 1.0

    def __str__(self) -> str:
        previewed = f", {self.previewed} previewed" if self.previewed else ""
        through = "" if self.through is None else f"; through by {self.through.isoformat(timespec='seconds')}"
        counts = f"{self.done} done, {self.failed} failed, {self.rendering} rendering, {self.left} left"
        return f"{counts}{previewed}{through}"


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
    return ManifestProgress(done, failed, rendering, left, through, int(match["previewed"] or 0))
