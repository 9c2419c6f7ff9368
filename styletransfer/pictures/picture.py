"""A decoded picture, at its own size or any other, and the strips that large ones are worked on in.

8-bit pictures stay in Pillow's 8-bit arithmetic, which the reference numbers depend on; 16-bit ones keep their 16
bits throughout. torch is loaded only where a tensor is made.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import PIL
from PIL import Image

from styletransfer.errors import ImageError
from styletransfer.sizes import Size, size_to_fit

if TYPE_CHECKING:
    import torch

Pixels = np.ndarray[Any, np.dtype[Any]]

Dpi = tuple[float, float]
"""Dots per inch, across and down."""

_STRIP_PX: Final = 4_000_000                # pixels worked on at a time
_SHOWN_PX: Final = 1024                     # longest side in a notebook
FLOATS_PX: Final = 500_000                  # the same in float64: 12 MB an array


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded picture: sRGB pixels (H, W, 3), uint8 or uint16 over their whole range, read-only.

    `dpi` is the resolution across and down, if the file told one. `warnings` say what was left out. `alpha` (H, W),
    uint8 or uint16 over its whole range, is the opacity; None where that is full, or ignored.
    """

    pixels: Pixels = field(repr=False)
    dpi: Dpi | None = None
    warnings: tuple[str, ...] = ()
    alpha: Pixels | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        pixels = self.pixels
        if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype not in (np.uint8, np.uint16):
            raise ImageError(f"pixels are {pixels.dtype} {pixels.shape}; must be uint8 or uint16 (H, W, 3)")
        pixels = pixels.view()              # the caller's own array stays as writable as it was
        pixels.flags.writeable = False
        object.__setattr__(self, "pixels", pixels)
        alpha = self.alpha
        if alpha is not None and (alpha.shape != pixels.shape[:2] or alpha.dtype not in (np.uint8, np.uint16)):
            raise ImageError(f"alpha is {alpha.dtype} {alpha.shape}; must be uint8 or uint16 {pixels.shape[:2]}")

    @property
    def size(self) -> Size:
        """Width and height in px."""
        return self.pixels.shape[1], self.pixels.shape[0]

    @cached_property
    def digest(self) -> str:
        """sha256 in hex of all that decides its pixels at any size: its own, and how they are scaled."""
        digest = hashlib.sha256(f"{_scaling()} {self.size} {self.bits}".encode())
        for rows in strips(self.size):
            digest.update(np.ascontiguousarray(self.pixels[rows]).data)
        return digest.hexdigest()

    @property
    def bits(self) -> int:
        """Bits per channel, 8 or 16."""
        return 8 * int(self.pixels.dtype.itemsize)

    def at(self, size: Size, dtype: torch.dtype) -> torch.Tensor:
        """The picture at `size` (width, height in px): (1, 3, H, W) of floats in [0, 1], on the CPU."""
        return to_tensor(resize(self, size), dtype)

    def alpha_at(self, size: Size) -> Pixels | None:
        """The opacity at `size` (width, height in px), resized as the picture is; None where it is full."""
        if self.alpha is None or size == self.size:
            return self.alpha
        channels = np.broadcast_to(self.alpha[..., None], self.pixels.shape)
        return resize(Picture(channels), size).pixels[..., 0]

    def _repr_png_(self) -> bytes:
        """The picture as a notebook shows it: a PNG, at most 1024 px a side."""
        shown = resize(self, size_to_fit(self.size, _SHOWN_PX, enlarge=False))
        alpha = self.alpha_at(shown.size)
        planes = shown.pixels if alpha is None else np.dstack([shown.pixels, of_depth(alpha, shown.pixels.dtype)])
        file = io.BytesIO()
        Image.fromarray(of_depth(planes, np.dtype(np.uint8))).save(file, "PNG")
        return file.getvalue()

    def mean_and_variance(self) -> tuple[list[float], list[float]]:
        """Of each channel at the picture's own size, in units of the range; the variance that of a sample.

        Sums are whole numbers and exact: with 16 bits, up to 2 ** 31 px.
        """
        width, height = self.size
        count, top = width * height, int(np.iinfo(self.pixels.dtype).max)
        sums, squares = [0] * 3, [0] * 3
        for rows in strips(self.size):
            for channel in range(3):
                values = self.pixels[rows, :, channel].astype(np.int64).ravel()
                sums[channel] += int(values.sum())
                squares[channel] += int(values @ values)
        means = [total / count / top for total in sums]
        variances = [
            (count * square - total**2) / (count * max(1, count - 1)) / top**2
            for total, square in zip(sums, squares, strict=True)
        ]
        return means, variances


def of_depth(values: Pixels, dtype: np.dtype[Any]) -> Pixels:
    """Values of uint8 or uint16, over the whole range of either."""
    if values.dtype == dtype:
        return values
    if dtype == np.uint16:
        return values * np.uint16(257)
    return np.rint(values / np.float32(257)).astype(np.uint8)


def strips(size: Size, strip_px: int | None = None) -> Iterator[slice]:
    """Rows of the strips that cover a picture of this size (width, height in px) from top to bottom."""
    width, height = size
    rows = max(1, (strip_px or _STRIP_PX) // width)
    for top in range(0, height, rows):
        yield slice(top, min(top + rows, height))


def resize(picture: Picture, size: Size) -> Picture:
    """The colours of the picture at `size` (width, height in px), by Pillow's bicubic filter, up or down.

    Along the rows first, then down the columns, as the original program's Pillow did. Pillow 13 takes the
    columns of some tall pictures first, and so changes a quarter of their values a little: here the same
    picture is made whatever the version. 8 bits are rounded after each pass; 16 bits stay in float32 and are
    rounded once.
    """
    if size == picture.size:
        return picture
    width, height = size
    pixels = picture.pixels
    # Rows may go in strips, so that only a strip of a large picture is copied into Pillow.
    narrow = np.empty((pixels.shape[0], width, 3), np.uint8 if picture.bits == 8 else np.float32)
    for rows in strips(picture.size):
        strip = pixels[rows]
        narrow[rows] = _bicubic(strip.astype(narrow.dtype, copy=False), (width, len(strip)))
    resized = _bicubic(narrow, (width, height))
    if picture.bits == 16:
        resized = np.rint(resized.clip(0, 65535)).astype(np.uint16)
    return replace(picture, pixels=resized, alpha=None)


def _bicubic(pixels: Pixels, size: Size) -> Pixels:
    """uint8 (H, W, 3) by Pillow's 8-bit arithmetic, float32 by its float arithmetic, channel by channel."""
    if pixels.dtype == np.uint8:
        return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))
    planes = (Image.fromarray(np.ascontiguousarray(pixels[..., channel])) for channel in range(3))
    return np.stack([np.asarray(plane.resize(size, Image.Resampling.BICUBIC)) for plane in planes], axis=-1)


def to_tensor(picture: Picture, dtype: torch.dtype) -> torch.Tensor:
    """The picture as a tensor (1, 3, H, W) of floats in [0, 1], contiguous, on the CPU."""
    import torch

    planes = picture.pixels.transpose(2, 0, 1)[None]
    exact = np.float64 if dtype == torch.float64 else np.float32
    values = np.divide(planes, exact(np.iinfo(planes.dtype).max), dtype=exact, order="C")
    return torch.from_numpy(values).to(dtype)


@cache
def _scaling() -> str:
    """What, beside size and pixels, decides the bits of a scaled picture: this file, Pillow and NumPy."""
    code = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    return f"{code} {PIL.__version__} {np.__version__}"
