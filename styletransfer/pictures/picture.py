"""A decoded picture, and the strips that large ones are worked on in."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import numpy as np

from styletransfer.errors import ImageError
from styletransfer.sizes import Size

Pixels = np.ndarray[Any, np.dtype[Any]]

Dpi = tuple[float, float]
"""Dots per inch, across and down."""

_STRIP_PX: Final = 4_000_000                # pixels worked on at a time


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded picture: sRGB pixels (H, W, 3), uint8 or uint16 over their whole range, read-only.

    `dpi` is the resolution across and down, if the file told one. `warnings` say what was left out.
    """

    pixels: Pixels = field(repr=False)
    dpi: Dpi | None = None
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        pixels = self.pixels
        if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype not in (np.uint8, np.uint16):
            raise ImageError(f"pixels are {pixels.dtype} {pixels.shape}; must be uint8 or uint16 (H, W, 3)")
        pixels = pixels.view()              # the caller's own array stays as writable as it was
        pixels.flags.writeable = False
        object.__setattr__(self, "pixels", pixels)

    @property
    def size(self) -> Size:
        """Width and height in px."""
        return self.pixels.shape[1], self.pixels.shape[0]

    @cached_property
    def digest(self) -> str:
        """sha256 of size, depth and pixels, in hex."""
        digest = hashlib.sha256(f"{self.size} {self.bits}".encode())
        for rows in strips(self.size):
            digest.update(np.ascontiguousarray(self.pixels[rows]).data)
        return digest.hexdigest()

    @property
    def bits(self) -> int:
        """Bits per channel, 8 or 16."""
        return 8 * int(self.pixels.dtype.itemsize)


def strips(size: Size) -> Iterator[slice]:
    """Rows of the strips that cover a picture of this size (width, height in px) from top to bottom."""
    width, height = size
    rows = max(1, _STRIP_PX // width)
    for top in range(0, height, rows):
        yield slice(top, min(top + rows, height))
