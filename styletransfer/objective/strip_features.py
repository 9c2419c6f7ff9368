"""A layer's features of the whole picture, each strip's own on the device that works on it."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from styletransfer.network.tiles import Region, Tile, part_of
from styletransfer.objective.passes import WholeFeatures


class StripFeatures:
    """Features (1, C, H, W) of layer `index`, put together from parts that lie in one of the `strips` each."""

    def __init__(self, strips: Sequence[Tile], index: int) -> None:
        self._rows = [strip.owned(index)[0] for strip in strips]
        self._width = strips[0].owned(index)[1].stop
        self._own: dict[int, WholeFeatures] = {}

    def add(self, feats: Tensor, region: Region) -> None:
        place, within = self._find(region)
        if place not in self._own:
            rows = self._rows[place]
            self._own[place] = WholeFeatures(rows.stop - rows.start, self._width, feats.device)
        self._own[place].add(feats, within)

    def part(self, region: Region) -> Tensor:
        """A view of the part that lies in a region of the picture, which is within one strip."""
        place, within = self._find(region)
        return part_of(self._own[place].whole(), within)

    def numel(self) -> int:
        """Values of all strips together."""
        return sum(own.whole().numel() for own in self._own.values())

    def _find(self, region: Region) -> tuple[int, Region]:
        """The strip that a region is in, and its place there."""
        rows, columns = region
        place = next(place for place, own in enumerate(self._rows) if rows.start < own.stop)
        first = self._rows[place].start
        return place, (slice(rows.start - first, rows.stop - first), columns)
