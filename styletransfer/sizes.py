"""Scales and picture sizes: pure integer arithmetic, all in px.

A scale is the longest edge of one step of the pyramid. The schedule comes from the original program
(https://github.com/crowsonkb/style-transfer-pytorch): each scale is sqrt(2) times the one before.
"""

from __future__ import annotations

import math
import re

Size = tuple[int, int]
"""Width and height."""


def pyramid(min_scale: int, end_scale: int) -> tuple[int, ...]:
    """Scales from coarse to fine: `end_scale` divided by powers of sqrt(2) while at least `min_scale`.

    A `min_scale` above `end_scale` counts as `end_scale`, so there is always one scale.
    """
    smallest = min(min_scale, end_scale)
    scales: list[int] = []
    scale = end_scale
    while scale >= smallest:
        scales.append(scale)
        scale = round(end_scale / 2 ** (len(scales) / 2))
    return tuple(sorted(set(scales)))


def size_to_fit(size: Size, limit: int, *, enlarge: bool) -> Size:
    """`size`, aspect kept, with its longest edge at `limit`; smaller pictures grow only with `enlarge`."""
    width, height = size
    longest = max(width, height)
    if longest <= limit and not enlarge:
        return size
    other = max(1, round(limit * min(width, height) / longest))
    return (limit, other) if width >= height else (other, limit)


def safe_scale(size: Size, square: int) -> int:
    """Longest edge of a picture with this aspect and the area of a `square` x `square` one."""
    width, height = size
    return int(math.sqrt(max(width, height) / min(width, height)) * square)


def resolve_end_scale(end_scale: int | str, size: Size) -> int:
    """`end_scale` in px for a content of this size: a number as it is, `N+` as the safe scale for `N`."""
    if isinstance(end_scale, int):
        return end_scale
    return safe_scale(size, parse_safe_scale(end_scale))


def parse_safe_scale(text: str) -> int:
    """The N of `N+`; ValueError for anything else."""
    match = re.fullmatch(r"([1-9][0-9]*)\+", text)
    if match is None:
        raise ValueError(f"{text!r} is not a whole number followed by '+'")
    return int(match.group(1))
