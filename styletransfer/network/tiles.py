"""How a picture is cut into overlapping tiles, so that the network's large features need not be in memory at once.

Geometry only, in px of the picture or of a layer: `Tiling` makes tiles, each says what to read and which features
are its own. The first blocks of the network are worked on tile by tile; the rest is run whole. The picture is cut
on the poolings' grid, so every feature belongs to exactly one tile. A tile is read with a halo as wide as its
features can see: then its own features are those of the whole picture, to the bit or nearly, and so is what they
add to the gradient. The picture's true borders have no halo and keep the network's own padding.

Exact, unlike the fixed margins in use elsewhere. Idea: Galerne et al. 2022 (https://arxiv.org/abs/2212.13459).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

from styletransfer.vgg_layers import LAYERS, POOLING_INDICES

ALL_BLOCKS = len(POOLING_INDICES)
"""Blocks up to relu5_1: with this many tiled nothing is run whole."""

Region = tuple[slice, slice]
"""Rows and columns."""

EVERYWHERE: Region = (slice(None), slice(None))


@dataclass(frozen=True)
class Tiling:
    """How to cut: tiles of `edge` px a side, rounded up to the grid, for the network's first `blocks` blocks."""

    edge: int
    blocks: int

    def last(self, last: int) -> int:
        """Index of the last layer that is tiled, in a network that ends with layer `last`."""
        if self.blocks >= ALL_BLOCKS or POOLING_INDICES[self.blocks - 1] > last:
            return last
        return POOLING_INDICES[self.blocks - 1]

    def tiles(self, height: int, width: int, last: int) -> Iterator[Tile]:
        """The tiles of a picture, row by row, in a network that ends with layer `last`."""
        deepest = self.last(last)
        grid, halo = stride(deepest + 1), halo_px(deepest)
        edge = -(-self.edge // grid) * grid
        for rows in _cut(height, edge, grid, halo):
            for columns in _cut(width, edge, grid, halo):
                yield Tile(rows, columns)


@dataclass(frozen=True)
class Span:
    """A tile's rows, or its columns, in px of a picture that has `length` of them.

    It owns those from `start` to before `stop`; with its halo it is read from `first` to before `end`.
    """

    start: int
    stop: int
    first: int
    end: int
    length: int

    def owned(self, stride_px: int) -> slice:
        """The rows (or columns) it owns of a layer of the whole picture, with `stride_px` px between neighbours."""
        return slice(self.start // stride_px, self.stop // stride_px)

    def owned_within(self, stride_px: int) -> slice:
        """The same rows, counted in the layer of the part that is read."""
        offset = self.first // stride_px
        return slice(self.start // stride_px - offset, self.stop // stride_px - offset)


@dataclass(frozen=True)
class Tile:
    """One tile: a rectangle of the picture whose features are worked out from it and the halo around it."""

    rows: Span
    columns: Span

    def read(self) -> Region:
        """The rows and columns of the picture to give to the network: the tile with its halo."""
        return slice(self.rows.first, self.rows.end), slice(self.columns.first, self.columns.end)

    def owned(self, index: int) -> Region:
        """The features of layer `index` that are its own, as part of the whole picture's."""
        return self.rows.owned(stride(index)), self.columns.owned(stride(index))

    def owned_within(self, index: int) -> Region:
        """The same features as part of what `read` gives."""
        return self.rows.owned_within(stride(index)), self.columns.owned_within(stride(index))


def stride(index: int) -> int:
    """Px of the picture between neighbours in the output of layer `index`; -1 is the picture itself."""
    return 1 << sum(pooling <= index for pooling in POOLING_INDICES)


def halo_px(index: int) -> int:
    """How far a feature of layer `index` sees, rounded up to its grid: 8 px for two blocks, 80 for all."""
    sight = sum(stride(layer) for layer in LAYERS.values() if layer <= index)  # each convolution sees one further
    grid = stride(index)
    return -(-sight // grid) * grid


def _cut(length: int, edge: int, grid: int, halo: int) -> Iterator[Span]:
    """Spans of `edge` px; a rest that is shorter than the grid goes to the last one."""
    starts = range(0, max(length - grid + 1, 1), edge)
    for start in starts:
        stop = length if start == starts[-1] else start + edge
        yield Span(start, stop, max(0, start - halo), min(length, stop + halo), length)


def part_of(x: Tensor, region: Region) -> Tensor:
    """A view of the rows and columns of x (..., H, W)."""
    return x[..., region[0], region[1]]
