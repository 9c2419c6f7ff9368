"""Trying again what may pass: the one policy. Delays grow, chance varies them, and they have an end."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Final, TypeVar

from styletransfer.errors import StorageError, WeightsError

MINUTE_DELAYS_S: Final = (2.0, 4.0, 8.0, 16.0, 32.0)
"""Together about a minute."""

DELAYS_S: Final = (*MINUTE_DELAYS_S, 64.0, 128.0)
"""Together over 4 minutes: an object store that is away for two comes back in time."""

NIGHT_DELAYS_S: Final = (*DELAYS_S, *[256.0] * 12)
"""Together an hour: nobody looks before the morning, and what was computed must not be lost."""

JITTER: Final = 0.5
"""Share of a delay that chance adds or takes, so that many workers don't come back at the same moment."""

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


def is_transient(error: object) -> bool:
    """Whether a storage says of this error that it may pass."""
    return isinstance(error, StorageError | WeightsError) and error.transient


@dataclass(frozen=True)
class Retries:
    """How to go on when something is away: `tell` hears why and how long each wait is.

    Waits for each of the `delays` in turn, none once `limit_s` have passed since the first try.
    """

    tell: Callable[[str], None]
    delays: Sequence[float] = field(default_factory=lambda: DELAYS_S)
    limit_s: float = math.inf
    may_pass: Callable[[object], bool] = is_transient
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic

    def call(self, question: Callable[[], _Value]) -> _Value:
        """What `question` gives in the end; or the error that it raises still, or that can't pass."""
        end = self.clock() + self.limit_s
        for delay in self.delays:
            try:
                return question()
            except Exception as error:
                if not self.may_pass(error) or self.clock() > end:
                    raise
                self.wait(error, delay)
        return question()

    def gather(
        self, read: Callable[[_Key], _Value], keys: Iterable[_Key], readers: Executor
    ) -> dict[_Key, _Value | StorageError]:
        """What `read` gives for each key, or the StorageError that it raises.

        All are read side by side; then those whose error may pass are read again, after each of the delays.
        """

        def attempt(key: _Key) -> _Value | StorageError:
            try:
                return read(key)
            except StorageError as error:
                return error

        found: dict[_Key, _Value | StorageError] = {}
        left = list(keys)
        for delay in (*self.delays, None):
            found |= dict(zip(left, readers.map(attempt, left), strict=True))
            away = {key: each for key, each in found.items() if isinstance(each, StorageError) and each.transient}
            if not away or delay is None:
                break
            left = list(away)
            self.wait(away[left[0]], delay)
        return found

    def wait(self, error: Exception, delay: float) -> None:
        """Say why, and wait for about so long."""
        seconds = delay * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311  (no secret)
        reason = str(error).partition("\n")[0] or type(error).__name__
        self.tell(f"{reason}; trying again in {seconds:.0f} s")
        self.sleep(seconds)


def no_retries() -> Retries:
    """One try is enough."""
    return Retries(lambda _: None, ())
