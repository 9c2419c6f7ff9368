"""How long to go on trying when a storage is out of reach: for steps outside Prefect's tasks, and for theirs."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Final

from styletransfer.errors import StorageError

DELAYS_S: Final = [2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0]
"""Together over 4 minutes: an object store that is away for two comes back in time."""

NIGHT_DELAYS_S: Final = [*DELAYS_S, *[256.0] * 12]
"""Together an hour, to store a picture on a farm: nobody looks before the morning, and it must not be lost."""

JITTER: Final = 0.5
"""Share of a delay that chance adds or takes, so that many workers don't come back at the same moment."""


class Patience:
    """Waits between tries, longer each time, and tells why; ends when the delays do."""

    def __init__(self, tell: Callable[[str], None], sleep: Callable[[float], None] = time.sleep) -> None:
        self._tell = tell
        self._sleep = sleep

    def __call__(self, error: StorageError, tries: int) -> bool:
        """After so many tries, of which the last ended with `error`: waits and says True, or False at the end."""
        if tries > len(DELAYS_S):
            return False
        delay = DELAYS_S[tries - 1] * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311  (no secret)
        self._tell(f"{error}; trying again in {delay:.0f} s")
        self._sleep(delay)
        return True
