"""ICC profiles as bytes: writing the sRGB profile that every picture carries, and reading simple ones.

Layout and tags: ICC.1:2001-04 (version 2) and ICC.1:2010 (version 4, parametric curves).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]

_D50: Final = (63190, 65536, 54061)         # the profile connection space's white, in 1/65536

_MOST_POINTS: Final = 65536                 # one for each value of 16 bits

_SRGB_PRIMARIES: Final = {                  # adapted to D50 (Bradford); rounded so that they add up to D50
    b"rXYZ": (28576, 14581, 912),
    b"gXYZ": (25239, 46983, 6361),
    b"bXYZ": (9375, 3972, 46788),
}


def srgb_to_linear(encoded: Floats) -> Floats:
    """The sRGB transfer curve (IEC 61966-2-1), [0, 1] to [0, 1]."""
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def linear_to_srgb(linear: Floats) -> Floats:
    """The inverse of `srgb_to_linear`."""
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)


def write_profile(space: bytes, tags: Mapping[bytes, bytes]) -> bytes:
    """An ICC version 2.1 display profile for a colour space (`b"RGB "`, `b"GRAY"`) with these tags.

    The same arguments give the same bytes: LittleCMS would stamp the present time into a profile.
    """
    start = 128 + 4 + 12 * len(tags)
    directory, body = struct.pack(">I", len(tags)), b""
    offsets: dict[bytes, int] = {}          # equal tags share their bytes
    for signature, content in tags.items():
        if content not in offsets:
            offsets[content] = start + len(body)
            body += content + bytes(-len(content) % 4)
        directory += struct.pack(">4sII", signature, offsets[content], len(content))
    header = struct.pack(
        ">I4xI4s4s4s6H4s28x3i48x",
        start + len(body), 0x02100000, b"mntr", space, b"XYZ ", 2020, 1, 1, 0, 0, 0, b"acsp", *_D50,
    )  # fmt: skip
    return header + directory + body


def common_tags(description: bytes) -> dict[bytes, bytes]:
    """The tags that every profile must have: its name (ASCII), copyright and white point."""
    text = description + b"\0"
    return {
        b"desc": struct.pack(">4sII", b"desc", 0, len(text)) + text + bytes(4 + 4 + 2 + 1 + 67),
        b"cprt": b"text\0\0\0\0No copyright, use freely\0",
        b"wtpt": xyz_tag(*_D50),
    }


def xyz_tag(*xyz: int) -> bytes:
    """An `XYZ ` tag from three values in 1/65536."""
    return struct.pack(">4sI3i", b"XYZ ", 0, *xyz)


def _build_srgb_profile() -> bytes:
    """sRGB as a version 2 profile, which old printing software reads, too."""
    table: bytes = np.rint(srgb_to_linear(np.linspace(0, 1, 1024)) * 65535).astype(">u2").tobytes()
    curve = struct.pack(">4sII", b"curv", 0, 1024) + table
    primaries = {tag: xyz_tag(*xyz) for tag, xyz in _SRGB_PRIMARIES.items()}
    curves = dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    return write_profile(b"RGB ", {**common_tags(b"sRGB"), **primaries, **curves})


SRGB_PROFILE: Final = _build_srgb_profile()


@dataclass(frozen=True, eq=False)
class MatrixProfile:
    """A profile of curves and a matrix, or for gray of one curve, as nearly all RGB working spaces are.

    `curves`: for each channel its 65536 linear values in [0, 1], by 16-bit pixel value. `to_xyz` (3, 3) takes
    linear RGB to XYZ at D50; None for gray.
    """

    curves: tuple[Floats, ...]
    to_xyz: Floats | None


def read_matrix_profile(profile: bytes) -> MatrixProfile | None:
    """The curves and matrix of an RGB or gray profile; None for one that works by tables, or is damaged."""
    try:
        tags = _tags(profile)
        if profile[20:24] != b"XYZ " or tags.keys() & {b"A2B0", b"D2B0"}:
            return None
        if profile[16:20] == b"GRAY":
            return MatrixProfile((_curve(tags[b"kTRC"]),), None)
        curves = tuple(_curve(tags[tag]) for tag in (b"rTRC", b"gTRC", b"bTRC"))
        columns = [struct.unpack_from(">3i", tags[tag], 8) for tag in _SRGB_PRIMARIES]
    except (ArithmeticError, KeyError, ValueError, struct.error):
        return None
    return MatrixProfile(curves, np.array(columns).T / 65536)


def srgb_to_xyz() -> Floats:
    """Linear sRGB to XYZ at D50, (3, 3)."""
    return np.array(list(_SRGB_PRIMARIES.values())).T / 65536


def _tags(profile: bytes) -> dict[bytes, memoryview]:
    """Contents by signature; no copies, as a hundred tags may each claim all of a large file."""
    view = memoryview(profile)
    (count,) = struct.unpack_from(">I", profile, 128)
    entries = (struct.unpack_from(">4sII", profile, 132 + 12 * index) for index in range(min(count, 100)))
    return {signature: view[offset : offset + size] for signature, offset, size in entries}


def _curve(tag: memoryview) -> Floats:
    """The 65536 values of a `curv` or `para` tag, limited to [0, 1]; ValueError for another kind of tag."""
    encoded, kind = np.linspace(0, 1, 65536), bytes(tag[:4])
    if kind == b"para":
        with np.errstate(all="raise"):
            return np.clip(_parametric_curve(tag, encoded), 0, 1)
    if kind != b"curv":
        raise ValueError(f"{kind!r} is not a curve")
    (count,) = struct.unpack_from(">I", tag, 8)
    if count > _MOST_POINTS:
        raise ValueError(f"a curve of {count:,} points")
    if count == 0:
        return encoded
    if count == 1:                          # a power, in 1/256
        return np.asarray(encoded ** (struct.unpack_from(">H", tag, 12)[0] / 256))
    points = np.frombuffer(tag, ">u2", count, 12) / 65535
    curve: Floats = np.interp(encoded, np.linspace(0, 1, count), points)
    return curve


def _parametric_curve(tag: memoryview, x: Floats) -> Floats:
    """Types 0 to 4 of `parametricCurveType`, ICC.1:2010 table 65, with its names."""
    (kind,) = struct.unpack_from(">H", tag, 8)
    if kind > 4:
        raise ValueError(f"parametric curve of unknown type {kind}")
    count = (1, 3, 4, 5, 7)[kind]
    g, a, b, c, d, e, f = [v / 65536 for v in struct.unpack_from(f">{count}i", tag, 12)] + [0.0] * (7 - count)
    if kind == 0:
        return np.asarray(x**g)
    if kind in {1, 2}:                      # their third parameter is added to both pieces
        d, e, f, c = -b / a, c, c, 0.0
    curve: Floats = np.where(x >= d, np.maximum(a * x + b, 0) ** g + e, c * x + f)
    return curve
