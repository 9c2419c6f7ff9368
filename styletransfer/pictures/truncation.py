"""Whether a picture file goes on to its end, found without decoding a pixel.

A header says nothing of what is missing behind it, and whoever plans a night of renders wants to know before.
PNG (https://www.w3.org/TR/png-3/#5Chunk-layout), JPEG (ITU-T T.81, B.1.1), WebP
(https://developers.google.com/speed/webp/docs/riff_container) and AVIF (ISO/IEC 14496-12, 4.2) say where they
end, TIFF where its pixels lie.
What follows the end does not count.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from typing import Any, Final

FORMATS_WITH_AN_END: Final = frozenset({"AVIF", "JPEG", "MPO", "PNG", "TIFF", "WEBP"})
"""Pillow's names of the formats that are looked at here."""

PNG_START: Final = b"\x89PNG\r\n\x1a\n"
_PNG_HEADER_BYTES: Final = 33
JPEG_START: Final = b"\xff\xd8\xff"
_JPEG_END, _JPEG_SCAN = 0xD9, 0xDA
# In compressed data 0xFF is followed by 0 or by a restart marker. These, and all that stand alone, are passed over.
_JPEG_MARKER: Final = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]")

_TIFF_PLACES: Final = ((273, 279), (324, 325))      # offsets and byte counts: of strips, of tiles


def missing_end(data: bytes) -> str | None:
    """How a JPEG, PNG, WebP or AVIF is seen to be cut short; None for a whole one, and for any other file."""
    if data.startswith(JPEG_START):
        return None if _JPEG_END in _jpeg_markers(data) else "its JPEG data has no end"
    if data.startswith(PNG_START) and len(data) >= _PNG_HEADER_BYTES:
        return None if _has_png_end(data) else "its last PNG chunk is missing"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        needed = 8 + int.from_bytes(data[4:8], "little")
        return None if len(data) >= needed else f"it has {len(data):,} of {needed:,} bytes"
    if data[4:8] == b"ftyp":
        return None if _has_media_data(data) else "its media data (mdat) is missing or has no end"
    return None


def missing_pixels(tags: Mapping[int, Any], size_bytes: int) -> str | None:
    """How a TIFF file of this size is seen to be cut short by its directory; None if its pixels are inside."""
    for offsets, counts in _TIFF_PLACES:
        ends = [start + count for start, count in zip(tags.get(offsets, ()), tags.get(counts, ()), strict=False)]
        if ends and max(ends) > size_bytes:
            return f"it has {size_bytes:,} bytes, and its pixels end at {max(ends):,}"
    return None


def jpeg_scans(data: bytes) -> int:
    """How often a JPEG goes over its pixels: once, or 4 to 20 times if it is progressive. 0 for another file."""
    return sum(marker == _JPEG_SCAN for marker in _jpeg_markers(data)) if data.startswith(JPEG_START) else 0


def _jpeg_markers(data: bytes) -> Iterator[int]:
    """Of the segments up to the end, by their lengths, so that the end of an embedded preview is no end."""
    at, marker = 2, None
    while marker != _JPEG_END and (found := _JPEG_MARKER.search(data, at)):
        marker = data[found.end() - 1]
        yield marker
        at = found.end() + int.from_bytes(data[found.end() : found.end() + 2], "big")


def _has_media_data(data: bytes) -> bool:
    """Whether there is an `mdat` box, where the pixels are, and each ends within the file."""
    at, found = 0, False
    while at + 16 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        size = {0: len(data) - at, 1: int.from_bytes(data[at + 8 : at + 16], "big")}.get(size, size)
        if kind == b"mdat":
            found = True
            if at + size > len(data):
                return False
        if size < 8:
            break
        at += size
    return found


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
