"""A picture in strips of its rows, each on a device of its own: put together, cut, read and added to.

Most often there is one strip, the whole picture, and nothing is copied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate

import torch
from torch import Tensor

from styletransfer.network.tiles import Tile

Strips = Sequence[Tensor]
"""All rows of a picture (..., H, W), from the top."""

Apart = Callable[[Tensor], Strips]
"""Cuts a picture into strips, each on its device."""


def height_of(strips: Strips) -> int:
    """Rows of the picture."""
    return sum(strip.shape[-2] for strip in strips)


def whole(strips: Strips) -> Tensor:
    """The picture on the first strip's device."""
    there = [strip.to(strips[0].device) for strip in strips]
    return there[0] if len(there) == 1 else torch.cat(there, dim=-2)


def cut_as(picture: Tensor, strips: Strips) -> list[Tensor]:
    """A picture of their size as `strips` are: by rows, device and dtype."""
    if len(strips) == 1:
        return [picture.to(strips[0])]
    pieces = torch.split(picture, [strip.shape[-2] for strip in strips], dim=-2)
    return [piece.to(strip).contiguous() for piece, strip in zip(pieces, strips, strict=True)]


def read(strips: Strips, rows: slice, device: torch.device) -> Tensor:
    """These rows of the picture, on `device`."""
    found = [part.to(device, non_blocking=True) for part, _ in _within(strips, rows.start, rows.stop)]
    return found[0] if len(found) == 1 else torch.cat(found, dim=-2)


def add_up(cut: Sequence[Tile], at_parts: Sequence[Tensor], like: Strips) -> list[Tensor]:
    """Gradient at a picture, in strips `like` it, from those at what each of `cut` reads of it.

    Each has its own rows copied, and then what others add from their halos, from the top: always in this order.
    """
    gradients = [torch.empty_like(strip) for strip in like]
    for tile, at_part in zip(cut, at_parts, strict=True):
        for gradient, rows in _within(gradients, tile.rows.start, tile.rows.stop):
            gradient.copy_(_of(at_part, tile, rows))
    for tile, at_part in zip(cut, at_parts, strict=True):
        for first, stop in ((tile.rows.first, tile.rows.start), (tile.rows.stop, tile.rows.end)):
            for gradient, rows in _within(gradients, first, stop):
                gradient.add_(_of(at_part, tile, rows).to(gradient.device))
    return gradients


def _of(part: Tensor, tile: Tile, rows: slice) -> Tensor:
    """These rows of the picture, as the tile has read them."""
    return part[..., rows.start - tile.rows.first : rows.stop - tile.rows.first, :]


def _within(strips: Strips, first: int, stop: int) -> Iterator[tuple[Tensor, slice]]:
    """What each strip has of the picture's rows from `first` to before `stop`: a view, and which rows they are."""
    bottoms = accumulate(strip.shape[-2] for strip in strips)
    for strip, bottom in zip(strips, bottoms, strict=True):
        top = bottom - strip.shape[-2]
        rows = slice(max(first, top), min(stop, bottom))
        if rows.start < rows.stop:
            yield strip[..., rows.start - top : rows.stop - top, :], rows
