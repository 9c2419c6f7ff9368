"""File formats that pictures are written in, and how large each may be. Imports nothing heavy."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final, Literal, get_args

from styletransfer.errors import ImageError
from styletransfer.sizes import Size

Format = Literal["png", "jpeg", "webp", "tiff"]
FORMATS: Final[tuple[Format, ...]] = get_args(Format)
SHOWN_BY_BROWSERS: Final[tuple[Format, ...]] = ("png", "jpeg", "webp")

_EXTENSIONS: Final[dict[Format, str]] = {"png": ".png", "jpeg": ".jpg", "webp": ".webp", "tiff": ".tif"}
BY_EXTENSION: Final[Mapping[str, Format]] = {
    **{ending: name for name, ending in _EXTENSIONS.items()},
    ".jpeg": "jpeg",
    ".tiff": "tiff",
}
"""Formats by the endings of file names, in lower case."""

# libjpeg stops at JPEG_MAX_DIMENSION, a little short of the 65535 that the format could hold.
_LARGEST_SIDE_PX: Final[dict[Format, int]] = {"jpeg": 65_500, "webp": 16_383}


_WITHOUT_ALPHA: Final[tuple[Format, ...]] = ("jpeg",)


def format_of(name: str) -> Format:
    """The format of a file of this name, by its ending. ImageError when that stands for none."""
    ending = os.path.splitext(name)[1].lower()  # noqa: PTH122 (a URL's)
    if ending not in BY_EXTENSION:
        raise ImageError(f"ends in {ending!r}; must end in {', '.join(BY_EXTENSION)}")
    return BY_EXTENSION[ending]


def check_format_alpha(file_format: Format) -> None:
    """ImageError when this format can't hold transparency."""
    if file_format in _WITHOUT_ALPHA:
        able = ", ".join(name for name in FORMATS if name not in _WITHOUT_ALPHA)
        raise ImageError(f"{file_format} has no transparency; use {able}")


def extension(file_format: Format) -> str:
    """The file name's ending, with its dot: `.png`, `.jpg`, `.webp` or `.tif`."""
    return _EXTENSIONS[file_format]


def check_format_size(file_format: Format, size: Size) -> None:
    """ImageError when a picture of `size` (width, height in px) can't be stored in this format."""
    largest = _LARGEST_SIDE_PX.get(file_format)
    if largest is not None and max(size) > largest:
        roomy = " or ".join(name for name in FORMATS if name not in _LARGEST_SIDE_PX)
        raise ImageError(
            f"{size[0]}x{size[1]} px is too large for {file_format}, which has at most {largest} px a side; "
            f"use {roomy}"
        )
