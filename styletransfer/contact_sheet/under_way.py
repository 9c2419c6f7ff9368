"""How far a run is and its renders are, for a contact sheet that is looked at meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from styletransfer.records.records import now

_MAT: Final = (92, 67)  # sides of what a mat of 4 to 3 leaves to its picture, with 4 % of its width around it


class Preview(NamedTuple):
    """A JPEG thumbnail and its size in px."""

    jpeg: bytes
    width: int
    height: int

    @property
    def is_wide(self) -> bool:
        """Whether it fills its mat from side to side, not from top to bottom."""
        return self.width * _MAT[1] >= self.height * _MAT[0]


@dataclass(frozen=True)
class PairUnderWay:
    """One render: what it is at (`256 px, scale 2 of 4`), the fraction that is done (0 to 1), seconds left, and
    the picture so far. What is not known is None."""

    at: str = ""
    fraction: float = 0.0
    seconds_left: float | None = None
    picture: Preview | None = field(default=None, repr=False)


@dataclass(frozen=True)
class RunUnderWay:
    """The run: its renders by id, the fraction of all its work that is done, when it will be through as far as
    known; `reload_s`: seconds after which there will be a newer page."""

    reload_s: float
    pairs: Mapping[str, PairUnderWay] = field(default_factory=dict)
    fraction: float | None = None
    through: datetime | None = None

    @classmethod
    def of(
        cls, pairs: Mapping[str, PairUnderWay], fraction: float | None, seconds_left: float | None, reload_s: float
    ) -> RunUnderWay:
        through = None if seconds_left is None else now() + timedelta(seconds=seconds_left)
        return cls(reload_s, pairs, fraction, through)
