"""Server or storage away for a while: what is tried again, and for how long."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final, TypeVar

import httpx

from styletransfer.errors import StorageError

OUTAGE_LIMIT_S: Final = 3600.0
"""How long server or storage may be away before a driver gives up: the renders themselves may outlive it."""

LONGEST_PAUSE_S: Final = 60.0
"""Between two tries while something is away."""

FIRST_PAUSE_S: Final = 5.0

log = logging.getLogger(__name__)

_Value = TypeVar("_Value")


def may_pass(error: StorageError | httpx.HTTPError) -> bool:
    """Whether server or storage may give what was asked for when asked again."""
    if isinstance(error, StorageError):
        return error.transient
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code >= 500 or error.response.status_code in (408, 409, 429)
    return isinstance(error, httpx.TransportError)


class Outage:
    """Waits longer after each failure in a row; `over` says that all is well again."""

    def __init__(
        self, sleep: Callable[[float], None] = time.sleep, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._sleep, self._clock = sleep, clock
        self.over()

    def over(self) -> None:
        self._last_good, self._pause = self._clock(), FIRST_PAUSE_S

    def wait(self, error: StorageError | httpx.HTTPError) -> None:
        """Wait for what may pass; raises the error once it has lasted too long, or where waiting can't help."""
        if not may_pass(error) or self._clock() - self._last_good > OUTAGE_LIMIT_S:
            raise error
        reason = str(error).partition("\n")[0] or type(error).__name__
        log.warning("%s; going on in %.0f s", reason, self._pause)
        self._sleep(self._pause)
        self._pause = min(LONGEST_PAUSE_S, 2 * self._pause)


def ask(question: Callable[[], _Value]) -> _Value:
    """The answer of a server or storage that may be away for now."""
    outage = Outage()
    while True:
        try:
            return question()
        except (StorageError, httpx.HTTPError) as error:
            outage.wait(error)
