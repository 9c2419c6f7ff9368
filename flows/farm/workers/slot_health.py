"""When a slot takes no more runs for a while: the last ones all ended before any pair had come to its end there.

Pure. The first pause is short, as what is wrong may have passed; each further one, without a pair in between, is
longer, so that a slot that stays broken costs next to nothing and one that is repaired is back by itself.
"""

from __future__ import annotations

from typing import Final

from flows.farm.names import ATTEMPTS

FRUITLESS_RUNS: Final = ATTEMPTS + 1
"""In a row: one more than a pair that always crashes can bring about."""

FIRST_PAUSE_S: Final = 60.0
LONGEST_PAUSE_S: Final = 1800.0


class SlotHealth:
    """Counts a slot's runs that bore no fruit. `pauses`: how often it was put out of service for them in a row."""

    def __init__(self) -> None:
        self.fruitless = 0
        self.pauses = 0

    def ended(self, *, fruitful: bool) -> float | None:
        """A run is over; returns the seconds that the slot is to pause, if it is."""
        if fruitful:
            self.fruitless = self.pauses = 0
            return None
        self.fruitless += 1
        if self.fruitless < FRUITLESS_RUNS:
            return None
        self.pauses += 1
        return min(FIRST_PAUSE_S * 2.0 ** (self.pauses - 1), LONGEST_PAUSE_S)
