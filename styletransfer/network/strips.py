"""How a picture is cut into strips of rows, one for each device that works on it.

Geometry only, as in `tiles`. A strip is a tile for the whole network, read with the halo that its deepest features
see: so devices meet at sums over positions alone. Of rows, although columns of a wide picture would need less halo:
in channels_last a strip's own rows are one piece of memory, and nothing is copied to leave its halo out.
"""

from __future__ import annotations

from itertools import accumulate

from styletransfer.network.tiles import Region, Span, Tile, halo_px, stride


def strips(height: int, width: int, count: int, last: int) -> list[Tile]:
    """Strips of a picture in a network that ends with layer `last`, from the top: `count`, or as many as fit.

    With its halo each is as high as the others.
    """
    columns = Span(0, width, 0, width, width)
    grid, halo = stride(last + 1), halo_px(last)
    return [Tile(rows, columns) for rows in _cut(height, count, grid, halo)]


def _cut(height: int, count: int, grid: int, halo: int) -> list[Span]:
    """As many spans as leave each at least one step of the grid."""
    for pieces in range(count, 1, -1):
        load = (height + 2 * halo * (pieces - 1)) / pieces
        own = [load - halo, *[load - 2 * halo] * (pieces - 2)]
        stops = [round(stop / grid) * grid for stop in accumulate(own)]
        starts = [0, *stops]
        if all(stop - start >= grid for start, stop in zip(starts, [*stops, height], strict=True)):
            return [
                Span(start, stop, max(0, start - halo), min(height, stop + halo), height)
                for start, stop in zip(starts, [*stops, height], strict=True)
            ]
    return [Span(0, height, 0, height, height)]


def own_part(strip: Tile, index: int, region: Region) -> tuple[Region, Region] | None:
    """What a strip owns of a region of what it reads, in layer `index`.

    As part of that region, and as part of the whole picture; None where it owns nothing of it.
    """
    rows = _own(strip.rows, region[0], stride(index))
    columns = _own(strip.columns, region[1], stride(index))
    if rows is None or columns is None:
        return None
    return (rows[0], columns[0]), (rows[1], columns[1])


def _own(span: Span, part: slice, stride_px: int) -> tuple[slice, slice] | None:
    offset, length = span.first // stride_px, (span.end - span.first) // stride_px
    own, (first, end, _) = span.owned_within(stride_px), part.indices(length)
    start, stop = max(own.start, first), min(own.stop, end)
    if start >= stop:
        return None
    return slice(start - first, stop - first), slice(start + offset, stop + offset)
