"""What there is to see of a manifest's renders, wherever they are: read while its contact sheet is written."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

from flows.farm.manifest_progress import ManifestProgress
from flows.farm.so_far import read_so_far
from styletransfer.contact_sheet.under_way import PairUnderWay, RunUnderWay
from styletransfer.planning.plan import READERS
from styletransfer.records.output_places import OutputPlaces

EVERY_S: Final = 15.0
"""Least seconds between two looks at all runs: a request each."""


class RunsSoFar:
    """The manifest under way. `runs` tells those that render now, `progress` how far all is, as far as known."""

    def __init__(self, places: OutputPlaces, clock: Callable[[], float] = time.monotonic) -> None:
        self.runs: Callable[[], Collection[str]] = tuple
        self.progress: Callable[[], ManifestProgress | None] = lambda: None
        self._places, self._clock = places, clock
        self._due = float("-inf")
        self._pairs: dict[str, PairUnderWay] = {}

    def under_way(self, reload_s: float) -> RunUnderWay:
        """The manifest as it is now; a page shows of it what is being rendered. Waits for the storage."""
        if self._clock() >= self._due:
            self._pairs = self._read()
            self._due = self._clock() + EVERY_S
        progress = self.progress()
        if progress is None:
            return RunUnderWay(reload_s, self._pairs)
        return RunUnderWay(reload_s, self._pairs, progress.fraction, progress.through)

    def _read(self) -> dict[str, PairUnderWay]:
        with ThreadPoolExecutor(READERS, thread_name_prefix="so far") as readers:
            found = readers.map(partial(read_so_far, self._places), self.runs())
            return {name: pair for pairs in found for name, pair in pairs.items()}
