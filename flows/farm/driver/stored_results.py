"""What storage says about pairs: the ground truth for a driver. Reads records and notes, decides nothing."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from types import TracebackType

from flows.farm.pair_notes import PairNote, read_note, read_notes
from styletransfer.planning.plan import READERS, Plan, PlannedPair
from styletransfer.records.output_folder import find_record
from styletransfer.records.records import Record
from styletransfer.renders.previews import find_preview

log = logging.getLogger(__name__)


class StoredResults:
    """Reads many pairs at once. With `force_before` a pair is done only if it was finished since; one that is
    planned for its first scales is done with its preview.

    Every method raises StorageError, `transient` where asking again can help.
    """

    def __init__(self, plan: Plan, force_before: datetime | None) -> None:
        self._places = plan.places
        self._planned = {planned.id: planned for planned in plan.pairs}
        self._force_before = force_before
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="results")

    def __enter__(self) -> StoredResults:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._readers.shutdown()

    def records(self, pairs: Iterable[str]) -> dict[str, Record]:
        """Records of those pairs that are done as they were planned."""
        asked = list(pairs)
        found = dict(zip(asked, self._readers.map(self._record, asked), strict=True))
        return {pair: record for pair, record in found.items() if record and self.is_done(pair, record)}

    def changed(self, pairs: Iterable[str]) -> dict[str, Record]:
        """Records that are new, but of other inputs than were planned."""
        asked = list(pairs)
        found = dict(zip(asked, self._readers.map(self._record, asked), strict=True))
        return {pair: record for pair, record in found.items() if record and self._is_new(pair, record)}

    def notes(self, pairs: Iterable[str]) -> dict[str, PairNote]:
        """Notes of those pairs that have one."""
        asked = list(pairs)
        found = zip(asked, self._readers.map(lambda pair: read_note(self._places, pair), asked), strict=True)
        return {pair: note for pair, note in found if note is not None}

    def all_notes(self) -> dict[str, PairNote]:
        """The notes of all pairs."""
        return {pair: note for pair, note in read_notes(self._places).items() if pair in self._planned}

    def is_done(self, pair: str, record: Record) -> bool:
        """Whether the record says that the pair is done, and since when it has to be."""
        if record.fingerprint != self._planned[pair].fingerprint:
            return False
        return self._force_before is None or record.finished >= self._force_before or self._is_new(pair, record)

    def _is_new(self, pair: str, record: Record) -> bool:
        """Whether it was written since the plan was made."""
        before = self._planned[pair].record
        return before is None or before.finished != record.finished

    def _record(self, pair: str) -> Record | None:
        planned: PlannedPair = self._planned[pair]
        record = find_record(planned.places, pair)
        if not planned.whole or (record is not None and self.is_done(pair, record)):
            return record
        return find_preview(planned) or record
