"""Whether a picture file goes on to its end, found without decoding a pixel.

A header says nothing of what is missing behind it, and whoever plans a night of renders wants to know before.
PNG (https://www.w3.org/TR/png-3/#5Chunk-layout), JPEG (ITU-T T.81, B.1.1) and WebP
(https://developers.google.com/speed/webp/docs/riff_container) say where they end, TIFF where its pixels lie.
What follows the end does not count.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from typing import Any, Final

FORMATS_WITH_AN_END: Final = frozenset({"JPEG", "MPO", "PNG", "TIFF", "WEBP"})
"""Pillow's names of the formats that are looked at here."""

PNG_START: Final = b"\x89PNG\r\n\x1a\n"
_PNG_HEADER_BYTES: Final = 33
JPEG_START: Final = b"\xff\xd8\xff"
_JPEG_END: Final = 0xD9
# In compressed data 0xFF is followed by 0 or by a restart marker. These, and all that stand alone, are passed over.
_JPEG_MARKER: Final = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]")

_TIFF_PLACES: Final = ((273, 279), (324, 325))      # offsets and byte counts: of strips, of tiles


def missing_end(data: bytes) -> str | None:
    """How a JPEG, PNG or WebP is seen to be cut short; None for a whole one, and for any other file."""
    if data.startswith(JPEG_START):
        return None if _has_jpeg_end(data) else "its JPEG data has no end"
    if data.startswith(PNG_START) and len(data) >= _PNG_HEADER_BYTES:
        return None if _has_png_end(data) else "its last PNG chunk is missing"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        needed = 8 + int.from_bytes(data[4:8], "little")
        return None if len(data) >= needed else f"it has {len(data):,} of {needed:,} bytes"
    return None


def missing_pixels(tags: Mapping[int, Any], size_bytes: int) -> str | None:
    """How a TIFF file of this size is seen to be cut short by its directory; None if its pixels are inside."""
    for offsets, counts in _TIFF_PLACES:
        ends = [start + count for start, count in zip(tags.get(offsets, ()), tags.get(counts, ()), strict=False)]
        if ends and max(ends) > size_bytes:
            return f"it has {size_bytes:,} bytes, and its pixels end at {max(ends):,}"
    return None


def _has_jpeg_end(data: bytes) -> bool:
    """Goes from segment to segment by their lengths, so that the end of an embedded preview is no end."""
    at = 2
    while found := _JPEG_MARKER.search(data, at):
        if data[found.end() - 1] == _JPEG_END:
            return True
        at = found.end() + int.from_bytes(data[found.end() : found.end() + 2], "big")
    return False


def _has_png_end(data: bytes) -> bool:
    ends = (end for kind, _, end in png_chunks(data) if kind == b"IEND")
    return next(ends, len(data) + 1) <= len(data)       # else it is cut within its last chunk, or before


def png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end of a PNG's chunks, in its bytes; the last may end beyond these."""
    at = len(PNG_START)
    while at + 12 <= len(data):                     # length, kind and checksum
        length, kind = struct.unpack_from(">I4s", data, at)
        yield kind, at, at + 12 + length
        at += 12 + length
