"""How far the renders of this process are, and the picture so far of each, for who looks at a page meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from flows.pairs.estimate import Estimate, pair_seconds_left
from flows.pairs.listeners import Listener
from styletransfer.contact_sheet.under_way import PairUnderWay, Preview, RunUnderWay
from styletransfer.errors import ImageError
from styletransfer.machine.devices import Slot
from styletransfer.machine.memory import is_out_of_memory
from styletransfer.pictures.encode import from_tensor
from styletransfer.pictures.thumbnail import thumbnail
from styletransfer.planning.plan import Plan, PlannedPair
from styletransfer.records.thumbnails import LARGE_PX
from styletransfer.renders.summary import Outcome

if TYPE_CHECKING:
    from torch import Tensor

    from styletransfer.transfer.stylizer import Progress

EVERY_S: Final = 10.0
"""Least seconds between two pictures of a render; or a hundred times what the last one took, if that is longer."""


def seen_of(progress: Progress, picture: Preview | None = None) -> PairUnderWay:
    """How far a render is, without waiting for its device."""
    at = f"{progress.scale} px, scale {progress.scale_index + 1} of {len(progress.scales)}"
    return PairUnderWay(at, progress.fraction, pair_seconds_left(progress.seconds, progress.fraction), picture)


def preview_of(image: Tensor) -> Preview:
    """A picture so far, (1, 3, H, W) in [0, 1] on the CPU. Raises ImageError where it has no numbers."""
    height, width = image.shape[-2:]
    return Preview(thumbnail(from_tensor(image), LARGE_PX), width, height)


class SoFar(Listener):
    """What there is to see of renders. Pictures are read from the device, which waits for it, now and then only."""

    def __init__(self, every_s: float = EVERY_S, clock: Callable[[], float] = time.monotonic) -> None:
        self._every_s, self._clock = every_s, clock
        self._estimate: Estimate | None = None
        self._pairs: dict[str, PairUnderWay] = {}
        self._due: dict[str, float] = {}
        self._lock = threading.Lock()

    def planned(self, plan: Plan, at_once: int) -> None:
        self._estimate = Estimate(plan.having("queued"), at_once)

    def started(self, pair: PlannedPair, slot: Slot) -> None:
        with self._lock:
            self._pairs[pair.id] = PairUnderWay()
        if self._estimate:
            self._estimate.started(pair.id, slot.share)

    def progress(self, pair: PlannedPair, progress: Progress) -> None:
        self.look(pair, progress)

    def look(self, pair: PlannedPair, progress: Progress) -> bool:
        """Take figures and picture if they are due; tells whether it did."""
        began = self._clock()
        if began < self._due.get(pair.id, 0.0):
            return False
        seen = seen_of(progress, self._picture(pair.id, progress))
        with self._lock:
            self._pairs[pair.id] = seen
        if self._estimate:
            self._estimate.progress(pair.id, progress.fraction, progress.seconds)
        now = self._clock()
        self._due[pair.id] = now + max(self._every_s, 100 * (now - began))
        return True

    def finished(self, pair: PlannedPair, outcome: Outcome) -> None:  # noqa: ARG002
        with self._lock:
            self._pairs.pop(pair.id, None)
        if self._estimate:
            self._estimate.finished(pair.id)

    def under_way(self, reload_s: float) -> RunUnderWay:
        """The run as it is now."""
        with self._lock:
            pairs = dict(self._pairs)
        if self._estimate is None:  # a render alone
            return RunUnderWay(reload_s, pairs)
        return RunUnderWay.of(pairs, self._estimate.fraction(), self._estimate.seconds_left(), reload_s)

    def _picture(self, pair_id: str, progress: Progress) -> Preview | None:
        before = self._pairs[pair_id].picture
        try:
            return preview_of(progress.image(LARGE_PX))  # a sync point
        except ImageError:
            return before  # no numbers: the render is about to say so itself
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            return before  # the render has use for all there is
