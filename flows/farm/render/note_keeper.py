"""Keeps the notes of the pairs that a render run renders."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Mapping
from functools import partial
from typing import cast

from flows.farm.names import SLOT_VARIABLE
from flows.farm.orders import PAUSE_REASON
from flows.farm.pair_notes import NoteState, PairNote, delete_note, read_note, write_note
from flows.pairs.listeners import Listener
from styletransfer.errors import RecordError, StorageError
from styletransfer.machine.devices import Slot
from styletransfer.planning.plan import PlannedPair
from styletransfer.records.output_places import OutputPlaces
from styletransfer.records.records import now, read_record
from styletransfer.renders.summary import Outcome
from styletransfer.storage.retries import Retries

log = logging.getLogger(__name__)


class NoteKeeper(Listener):
    """Writes a pair's note before it is rendered, so that a crash can be told from other ends, deletes it at last.

    What can't be written is kept in mind and tried again by `flush`: a storage that is away stops no render.
    """

    def __init__(self, places: OutputPlaces, submission: str, run: str, attempts: Mapping[str, int]) -> None:
        self._places = places
        self._submission, self._run, self._attempts = submission, run, attempts
        self._slot = os.environ.get(SLOT_VARIABLE)
        self._begun: dict[str, PairNote] = {}
        self._devices: dict[str, Slot] = {}
        self._unwritten: dict[str, PairNote | None] = {}  # None: to be deleted
        self._taken = False
        self._lock = threading.RLock()

    def attempt(self, pair_id: str) -> int:
        """Which attempt this is, from 1."""
        return self._attempts.get(pair_id, 1)

    def started(self, pair: PlannedPair, slot: Slot) -> None:
        with self._lock:
            self._leave_others(slot)
            self._devices[pair.id] = slot
            self._begin(self._note(pair, Outcome("rendering"), self._slot or str(slot)))

    def finished(self, pair: PlannedPair, outcome: Outcome) -> None:
        with self._lock:
            begun = self._begun.pop(pair.id, None)
            self._devices.pop(pair.id, None)
            if outcome.is_made:
                self._put(pair.id, None)
            elif begun is not None:
                self._put(pair.id, _ended(begun, outcome))
            else:
                self._put(pair.id, self._note(pair, outcome, self._slot))

    def stopping(self, outcome: Outcome) -> None:
        """Write how the pairs in hand will stand, should the process not live to see them end."""
        with self._lock:
            for pair_id, note in self._begun.items():
                self._put(pair_id, _ended(note, outcome))

    def taken(self) -> str | None:
        """Why this run is to end: its driver asks for its pairs back, or others have them.

        Then it was taken for lost, and its notes say nothing more.
        Another run that has begun a pair since has replaced its note; one that has finished it, deleted it.
        """
        with self._lock:
            written = [note for pair_id, note in self._begun.items() if pair_id not in self._unwritten]
        for note in written:
            try:
                reason = self._taken_from(note)
            except (StorageError, RecordError) as error:
                log.warning("%s: can't see whether another run has it: %s", note.pair, error)
                continue
            with self._lock:
                if reason and self._begun.get(note.pair) == note:  # not finished here in the meantime
                    self._taken = reason != PAUSE_REASON
                    return reason
        return None

    def _taken_from(self, own: PairNote) -> str | None:
        found = read_note(self._places, own.pair)
        if found is not None and found.run == own.run and found.reason == PAUSE_REASON:
            return PAUSE_REASON
        if found is not None:
            others = found.run != own.run and found.state == "rendering"
            return f"{own.pair}: run {found.run} renders it as well" if others else None
        record = read_record(self._places.record(own.pair))
        done = record is not None and record.fingerprint == own.fingerprint and record.finished >= own.since
        return f"{own.pair}: another run has finished it" if done else None

    def flush(self, *, patient: bool) -> None:
        """Write what could not be written before. Raises StorageError where patience does not help either."""
        with self._lock:
            unwritten = [(pair, note) for pair, note in self._unwritten.items() if not (note and self._taken)]
        for pair_id, note in unwritten:
            if patient:
                Retries(log.warning).call(partial(self._write, pair_id, note))
            else:
                self._put(pair_id, note)

    def _leave_others(self, slot: Slot) -> None:
        """Those whose device goes on to another pair are being stored: no suspects if that one crashes. Where
        several share it nobody knows."""
        if slot.share < 1:
            return
        for pair_id, devices in list(self._devices.items()):
            if set(devices.devices) & set(slot.devices):
                del self._devices[pair_id]
                self._begin(_ended(self._begun[pair_id], Outcome("held", "rendered, not stored yet")))

    def _begin(self, note: PairNote) -> None:
        self._begun[note.pair] = note
        self._put(note.pair, note)

    def _note(self, pair: PlannedPair, outcome: Outcome, slot: str | None) -> PairNote:
        return PairNote(
            pair=pair.id,
            fingerprint=pair.fingerprint,
            submission=self._submission,
            run=self._run,
            state=cast("NoteState", outcome.state),
            attempt=self.attempt(pair.id),
            reason=outcome.reason,
            of_host=outcome.of_host,
            host=socket.gethostname(),
            slot=slot,
            since=now(),
        )

    def _put(self, pair_id: str, note: PairNote | None) -> None:
        if self._taken and note is not None:  # that it is done is to be seen by the other run, too
            return
        try:
            self._write(pair_id, note)
        except StorageError as error:
            log.warning("%s: its note can't be written for now: %s", pair_id, error)
            self._unwritten[pair_id] = note

    def _write(self, pair_id: str, note: PairNote | None) -> None:
        if note is None:
            delete_note(self._places, pair_id)
        else:
            write_note(self._places, note)
        self._unwritten.pop(pair_id, None)


def _ended(note: PairNote, outcome: Outcome) -> PairNote:
    changes = {"state": outcome.state, "reason": outcome.reason, "of_host": outcome.of_host, "since": now()}
    return note.model_copy(update=changes)
