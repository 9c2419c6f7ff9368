"""The state of one render, kept in the output folder while it runs, so that a killed one goes on where it stood.

A checkpoint belongs to a fingerprint: a changed pair finds none. It is written whole or not at all, and removed
when the pair is done, with those of what the pair was before it changed.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from styletransfer import storage
from styletransfer.errors import RecordError, StorageError
from styletransfer.limits import LARGEST_BYTES
from styletransfer.storage.retries import MINUTE_DELAYS_S, Retries

if TYPE_CHECKING:
    from styletransfer.records.output_places import OutputPlaces
    from styletransfer.transfer.state import State
    from styletransfer.transfer.stylizer import Progress

log = logging.getLogger(__name__)

WORTH_S = 5.0
"""A render that has run for less is sooner repeated than resumed."""
UNREADABLE_SUFFIX = ".unreadable"
"""Of a damaged checkpoint that was set aside. The cleaning of old results takes it away with the rest."""
COST_FACTOR = 50
"""Between two checkpoints lie at least so many times the seconds that the last took: they cost under 2 %."""


class Checkpoints:
    """When a render's state is written to `url`, and back. `every_s`: the setting `checkpoint_s`."""

    def __init__(self, url: str, pair_id: str, every_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.url, self.pair_id = url, pair_id
        self._every_s, self._worth_s = every_s, min(every_s, WORTH_S)
        self._clock = clock
        self._saved_at, self._cost_s = clock(), 0.0

    def load(
        self, sleep: Callable[[float], None] = time.sleep, limit_bytes: int = LARGEST_BYTES
    ) -> State | None:
        """The state that another process left, or None; one that can't be read is worth a warning.

        A storage that is away for a moment is waited for: hours of rendering may be lost otherwise.
        """
        from styletransfer.transfer.state import State  # loads torch

        try:
            retries = Retries(partial(log.warning, "%s: stylize: %s", self.pair_id), MINUTE_DELAYS_S, sleep=sleep)
            data = retries.call(lambda: storage.read_if_exists(self.url, limit_bytes=limit_bytes))
        except StorageError as error:
            log.warning("%s: stylize: %s; it begins anew", self.pair_id, error)
            return None
        try:
            state = State.from_bytes(data) if data is not None else None
            if state is not None:
                state.check()
            return state
        except RecordError as error:
            log.warning("%s: stylize: %s; %s; it begins anew", self.pair_id, error, self._set_aside(data or b""))
            return None

    def _set_aside(self, data: bytes) -> str:
        """Keeps a damaged checkpoint for whoever wants to know; returns where."""
        place = self.url + UNREADABLE_SUFFIX
        try:
            storage.write(place, data)
            storage.delete(self.url)
        except StorageError as error:
            return f"it stays, as {error}"
        return f"it is kept as {storage.public(place)}"

    def reached(self, progress: Progress) -> None:
        """Writes the state after an iteration if it is time to: at the end of each scale, else every so often."""
        if self._due(scale_ends=progress.iteration == progress.iterations):
            self.save(progress)

    def save(self, progress: Progress, *, always: bool = False) -> None:
        """Writes the state now, if the render has run long enough, or `always`. A failure costs no more than a
        warning."""
        began = self._clock()
        if began - self._saved_at < self._worth_s and not always:
            return
        try:
            storage.write(self.url, progress.state().to_bytes())
        except StorageError as error:
            log.warning("%s: stylize: no checkpoint: %s", self.pair_id, error)
        self._saved_at = self._clock()
        self._cost_s = self._saved_at - began

    def _due(self, *, scale_ends: bool) -> bool:
        since = self._clock() - self._saved_at
        return since >= max(self._worth_s if scale_ends else self._every_s, COST_FACTOR * self._cost_s)


def remove_all(places: OutputPlaces, pair_id: str, fingerprint: str) -> None:
    """The pair is done with this fingerprint: removes its checkpoint, and those of fingerprints it had before.

    A failure costs no more than a warning.
    """
    url = places.checkpoint(pair_id, fingerprint)
    before, _, behind = storage.name(url).rpartition(fingerprint)
    own = re.compile(rf"{re.escape(before)}[0-9a-f]{{64}}{re.escape(behind)}")
    try:
        storage.delete(url)
        folder = storage.escape(storage.parent(url))
        for other in storage.glob(storage.join(folder, f"{storage.escape(before)}*{behind}")):
            if own.fullmatch(storage.name(other)):
                storage.delete(other)
    except StorageError as error:
        log.warning("%s: store: its checkpoints stay: %s", pair_id, error)
