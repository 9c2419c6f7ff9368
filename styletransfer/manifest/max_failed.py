"""How many pairs of a manifest may fail before the rest is not worth rendering: a number, or a share of them."""

from __future__ import annotations

import math
import re

MaxFailed = int | str
"""`20`, or `10%`."""

ALLOWED = "a whole number >= 1, or a share such as '10%'"

SHARE = r"^(100|[1-9][0-9]?)%$"


def parse_max_failed(value: object) -> MaxFailed:
    """A number or share as it is written in a manifest or on the command line. Raises ValueError."""
    if isinstance(value, str):
        text = value.strip()
        if re.fullmatch(SHARE, text):
            return text
        value = int(text) if re.fullmatch("[0-9]{1,9}", text) else None
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return value
    raise ValueError(f"must be {ALLOWED}")


def failed_limit(max_failed: MaxFailed, pairs: int) -> int:
    """The number of failed pairs at which to stop, of so many that are to be rendered: at least 1."""
    if isinstance(max_failed, int):
        return max_failed
    return max(1, math.ceil(pairs * int(max_failed.rstrip("%")) / 100))
