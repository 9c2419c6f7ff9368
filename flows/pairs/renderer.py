"""Pairs rendered in this process, several side by side, each in a thread: fetched, stylized, stored."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from contextvars import copy_context
from typing import TYPE_CHECKING, Final

from prefect.client.schemas.objects import State

from flows.pairs import steps
from flows.pairs.listeners import Listener
from flows.pairs.retrying import with_delays
from flows.pairs.signals import wait_heeding_signals
from flows.pairs.slots import MemoryPlace, Slots
from styletransfer.errors import Cancelled, StyleTransferError, may_be_of_host
from styletransfer.machine.devices import Slot
from styletransfer.machine.memory import memory_budgets
from styletransfer.machine.streams import own_streams
from styletransfer.network.vgg_weights import Weights
from styletransfer.planning.device_fit import gpu_share
from styletransfer.planning.plan import PlannedPair
from styletransfer.records.records import Record
from styletransfer.redaction import redacted
from styletransfer.renders import rendering
from styletransfer.renders.fetching import Fetched
from styletransfer.renders.previews import outcome_of
from styletransfer.renders.rendering import Rendered
from styletransfer.renders.summary import Outcome
from styletransfer.storage.retries import is_transient

if TYPE_CHECKING:
    from styletransfer.transfer.stylizer import Progress

log = logging.getLogger(__name__)

WAITING: Final = 8
"""Pairs that may wait for another try to fetch them while others are rendered."""


class Renderer:
    """Renders pairs in this process: they share slots, weights, a listener, and a way to stop them all.

    `attempts`: which attempt this is of pairs that have been tried before. `store_delays`: in seconds, between
    tries to store a picture, in place of the usual ones. Not to fetch: pairs whose inputs are away would be in the
    way of the others.
    """

    def __init__(
        self,
        slots: Slots,
        weights: Weights,
        listener: Listener,
        attempts: Mapping[str, int] | None = None,
        store_delays: Sequence[float] | None = None,
    ) -> None:
        self.slots = slots
        self.weights = weights
        self.listener = listener
        self._attempts = attempts or {}
        self._store = steps.store if store_delays is None else with_delays(steps.store, store_delays)
        self._stopped: Outcome | None = None
        self._begun: set[str] = set()
        self._is_alone = False
        # Pairs with pictures in memory: those stylized, and per device one being fetched and one stored.
        self._most = slots.at_once + 2 * len(slots.devices)
        self._places = threading.Semaphore(self._most)
        # What computes keeps memory for each thread that it is called from: no more threads than renders at once.
        self._stylizers = ThreadPoolExecutor(slots.at_once, thread_name_prefix="stylize")
        # Of the smallest, before anything is rendered.
        self._free = min(memory_budgets(device)[device] for device in slots.devices) if slots.shared else 0

    def run(self, pairs: Sequence[PlannedPair]) -> None:
        """Render and store the pairs; the listener is told how each ends. Returns when all have.

        A pair that fails doesn't stop the others. When a signal raises an exception here (KeyboardInterrupt,
        say), all are stopped, and the exception goes on.
        """
        self._is_alone = len(pairs) == 1
        # The largest first: their devices are got together once, and small ones fill the gaps at the end.
        ordered = sorted(pairs, key=lambda planned: (-planned.pair.settings.gpus, -self._shares(planned)))
        try:
            self._run(ordered)
        finally:
            self._stylizers.shutdown(wait=False)  # whoever waits for a pair waits for its thread

    def _run(self, ordered: Sequence[PlannedPair]) -> None:
        # Threads for all that have a place in memory, and for those whose fetch waits for another try.
        with ThreadPoolExecutor(self._most + WAITING, thread_name_prefix="pair") as threads:
            futures = [threads.submit(copy_context().run, self._render, planned) for planned in ordered]
            try:
                wait_heeding_signals(futures)
            except BaseException:
                self.stop(Outcome("cancelled", "stopped"))
                log.warning("stopping after the iteration in hand; Ctrl-C once more stops at once")
                raise
        for future in futures:
            future.result()

    def stop(self, outcome: Outcome) -> None:
        """From any thread: renders end after the iteration in hand, with a checkpoint and this outcome.

        Stores are completed; what has not begun is left alone, and `run` returns.
        """
        self._stopped = self._stopped or outcome
        self.slots.close()

    def _render(self, planned: PlannedPair) -> None:
        """Render one pair, come what may. One that is stopped before it began stays as planned."""
        attempt = self.attempt(planned.id)
        try:
            with MemoryPlace(self._places) as place:
                outcome = outcome_of(self._steps(planned, place), attempt)
        except Cancelled:
            if planned.id not in self._begun or self._stopped is None:
                return
            outcome = self._stopped
        except StyleTransferError as error:
            if self._stopped is not None and planned.id not in self._begun and is_transient(error):
                return
            outcome = Outcome("failed", str(error), attempts=attempt, of_host=may_be_of_host(error))
        except Exception as error:  # a fault of ours: the other pairs must not suffer
            log.exception("%s: failed", planned.id)
            reason = redacted(f"{type(error).__name__}: {error}")
            outcome = Outcome("failed", reason, attempts=attempt, of_host=may_be_of_host(error))
        self.listener.finished(planned, outcome)

    def attempt(self, pair_id: str) -> int:
        """Which attempt this is, from 1."""
        return self._attempts.get(pair_id, 1)

    def _steps(self, planned: PlannedPair, place: MemoryPlace) -> Record:
        place.take()
        self.check_stopped()
        self.slots.check_open()
        fetched = steps.fetch(planned, place)
        with self.slots.take(planned.pair.settings.gpus, self._share(planned)) as slot:
            self._begun.add(planned.id)
            self.listener.started(planned, slot)
            stylizing = self._stylizers.submit(copy_context().run, steps.stylize, fetched, slot, self.stylize)
            rendered = stylizing.result()
        if isinstance(rendered, State):
            raise Cancelled(str(rendered.message))
        return self._store(rendered, attempts=self.attempt(planned.id))

    def check_stopped(self) -> None:
        if self._stopped is not None:
            raise Cancelled(self._stopped.reason)

    def stylize(self, fetched: Fetched, slot: Slot) -> Rendered:
        """Render one pair in its slot; Cancelled after the iteration in which the renders are stopped."""

        def callback(progress: Progress) -> None:
            self.check_stopped()
            self.listener.progress(fetched.planned, progress)

        with own_streams(*slot.devices) if self.slots.shared else nullcontext():
            return rendering.stylize_pair(
                fetched, self.weights, devices=slot.devices, share=slot.share, callback=callback
            )

    def _share(self, planned: PlannedPair) -> float:
        """What the pair's render needs of a GPU that several may share; one that is alone has all of it."""
        if self._is_alone or not self.slots.shared:
            return 1.0
        return gpu_share(planned, self.slots.devices[0], self._free)

    def _shares(self, planned: PlannedPair) -> int:
        """The same in whole shares: pairs of one order keep theirs, by style."""
        return self.slots.whole_shares(self._share(planned))
