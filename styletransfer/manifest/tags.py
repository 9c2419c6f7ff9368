"""Tags of slots, and what a manifest requires of those that render its pairs: `a100`, `80gb`, `studio-2`."""

from __future__ import annotations

import re

TAG = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$"


def parse_tag(value: object) -> str:
    """A tag as it is written in a manifest or on the command line. Raises ValueError."""
    if isinstance(value, str) and re.fullmatch(TAG, value):
        return value
    raise ValueError("must be letters, digits, '.', '_' and '-', at most 40, the first a letter or digit")
