"""Waiting for what other processes do."""

import time
from collections.abc import Callable
from typing import TypeVar

_Value = TypeVar("_Value")


def until(found: Callable[[], _Value | None], what: str, seconds: float = 600.0, *, poll_s: float = 0.3) -> _Value:
    """What `found` gives as soon as that is something. Fails, naming what was waited for."""
    end = time.monotonic() + seconds
    while not (result := found()):
        assert time.monotonic() < end, f"in {seconds:.0f} s it never came: {what}"
        time.sleep(poll_s)
    return result
