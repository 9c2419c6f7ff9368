"""Keeps what there is to see of a render run in its storage, for the contact sheet that its driver writes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from flows.farm.so_far import forget_so_far, write_so_far
from flows.pairs.listeners import Listener
from flows.pairs.so_far import preview_of
from styletransfer.contact_sheet.under_way import PairUnderWay
from styletransfer.errors import StyleTransferError
from styletransfer.planning.plan import PlannedPair
from styletransfer.records.output_places import OutputPlaces
from styletransfer.renders.summary import Outcome

if TYPE_CHECKING:
    from torch import Tensor

CLOSE_S: Final = 3.0
"""How long the end of a run waits until nothing is to be seen of it any more."""

log = logging.getLogger(__name__)


class SoFarKeeper(Listener):
    """Writes it as long as the block that it opens, in a thread of its own.

    No render waits for the storage; one that is away costs a line for debugging.
    """

    def __init__(self, places: OutputPlaces, run: str) -> None:
        self._places, self._run = places, run
        self._pairs: dict[str, Callable[[], PairUnderWay]] = {}
        self._lock = threading.Lock()
        self._news = threading.Event()
        self._over = False
        self._may_be_there = True  # of the run's last try, at which its host lost power
        self._thread = threading.Thread(target=self._keep_writing, name="so far", daemon=True)

    def __enter__(self) -> SoFarKeeper:
        self._thread.start()
        self._news.set()
        return self

    def __exit__(self, *exc: object) -> None:
        with self._lock:
            self._pairs.clear()
        self._over = True
        self._news.set()
        self._thread.join(CLOSE_S)

    def show(self, pair_id: str, seen: PairUnderWay, image: Tensor) -> None:
        """The pair is so far, and looks like this: (1, 3, H, W) in [0, 1], on the CPU. Returns at once."""
        with self._lock:
            self._pairs[pair_id] = lambda: replace(seen, picture=preview_of(image))
        self._news.set()

    def finished(self, pair: PlannedPair, outcome: Outcome) -> None:  # noqa: ARG002
        with self._lock:
            was_shown = self._pairs.pop(pair.id, None)
        if was_shown:
            self._news.set()

    def _keep_writing(self) -> None:
        over = False
        while not over:
            self._news.wait()
            self._news.clear()
            over = self._over  # what is written after that is the last
            self._write()

    def _write(self) -> None:
        with self._lock:
            pairs = dict(self._pairs)
        if pairs:
            self._may_be_there = True
            self._store(pairs)
        elif self._may_be_there:
            self._may_be_there = False
            forget_so_far(self._places, self._run)

    def _store(self, pairs: Mapping[str, Callable[[], PairUnderWay]]) -> None:
        try:
            write_so_far(self._places, self._run, {name: make() for name, make in pairs.items()})
        except StyleTransferError as error:  # of a picture without numbers, too: the render says so itself
            log.debug("what there is to see of the run is not stored: %s", error)
