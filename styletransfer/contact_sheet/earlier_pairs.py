"""Pairs that a manifest names no more while their pictures are still in its output.

Of a sweep since narrowed, say, or of an id since changed. They are read from their records, which anybody may have
written; nothing is changed or removed.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, NamedTuple

from styletransfer import storage
from styletransfer.errors import RecordError, StorageError
from styletransfer.manifest.names import RESERVED, name_fault, name_key
from styletransfer.manifest.pairs import Manifest, Pair
from styletransfer.manifest.weights_source import WeightsSource, seed_fault
from styletransfer.planning.plan import READERS
from styletransfer.records.output_folder import lasting_fault
from styletransfer.records.output_places import OutputPlaces
from styletransfer.records.records import Record, SummaryPair, read_record
from styletransfer.renders.recorded_pair import pair_of
from styletransfer.renders.summary import Outcome, summary_pair

MOST: Final = 2000
"""So many records are read; of more, the first by name."""

log = logging.getLogger(__name__)


class EarlierPair(NamedTuple):
    """A pair as its record has it, with the weights that it was rendered with, and its line of a summary."""

    pair: Pair
    weights: WeightsSource
    entry: SummaryPair


def find_earlier(manifest: Manifest, places: OutputPlaces) -> list[EarlierPair]:
    """Those whose picture and record are in the folder, in the order in which they were rendered.

    What is no record of one is passed over. Raises StorageError where the storage is away.
    """
    files = frozenset(storage.glob(storage.join(storage.escape(places.folder), "*")))
    taken = {name_key(name) for name in (*RESERVED, *(pair.id for pair in manifest.pairs))}
    ids = (storage.name(url).removesuffix(".json") for url in files if url.endswith(".json"))
    left_over = sorted(name for name in ids if name_fault(name) is None and name_key(name) not in taken)
    with ThreadPoolExecutor(READERS, thread_name_prefix="earlier") as readers:
        found = [*readers.map(partial(_read, places, files), left_over[:MOST])]
    return sorted((each for each in found if each), key=lambda each: str(each.entry.finished))


def _read(places: OutputPlaces, files: frozenset[str], pair_id: str) -> EarlierPair | None:
    try:
        record = read_record(places.record(pair_id))
        if record is None or record.id != pair_id or record.state != "done" or not _shows(places, files, record):
            return None
        return _earlier_pair(places, record)
    except StorageError as error:
        log.debug("%s: no earlier picture: %s", pair_id, lasting_fault(error))
    except RecordError as error:
        log.debug("%s: no earlier picture: %s", pair_id, error)
    return None


def _earlier_pair(places: OutputPlaces, record: Record) -> EarlierPair:
    """Raises RecordError where the record names what can't be."""
    if fault := seed_fault(record.weights.source):
        raise RecordError(f"{record.id}: weights {record.weights.source!r}: {fault}")
    pair = pair_of(record)
    entry = summary_pair(places, pair, Outcome("done", record=record), {})
    return EarlierPair(pair, WeightsSource(record.weights.source), entry)


def _shows(places: OutputPlaces, files: frozenset[str], record: Record) -> bool:
    picture = places.picture(record.id, record.output.format)
    return picture in files and min(record.output.width, record.output.height) > 0
