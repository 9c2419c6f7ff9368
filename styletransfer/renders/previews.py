"""Previews: the first scales of renders, whose state is kept, so that they go on from there: nothing is done twice.

The pyramid is counted from its end: the first scales of a render are those of the finished picture. What a pair's
preview is and what it took is told by a record beside its picture; both go when the pair is done.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from operator import itemgetter

from styletransfer import storage
from styletransfer.errors import RecordError, StorageError
from styletransfer.pictures.encode import encode, from_tensor
from styletransfer.planning.plan import READERS, Plan, PlannedPair
from styletransfer.records.records import Record, read_record, write_record
from styletransfer.records.thumbnails import Thumbnails
from styletransfer.renders.rendering import Rendered
from styletransfer.renders.storing import record_of
from styletransfer.renders.summary import Outcome
from styletransfer.storage.retries import Retries

Scales = tuple[int, ...]

log = logging.getLogger(__name__)


def preview_plan(plan: Plan, px: int) -> Plan:
    """The plan of previews of its queued pairs: the scales up to `px`, and never less than the first.

    Pairs whose preview is there are held; those that have no scale beyond it are rendered to their end.
    Raises StorageError.
    """
    return _only_first(plan, lambda scales: tuple(scale for scale in scales if scale <= px) or scales[:1])


def preview_rounds(plan: Plan) -> Iterator[Plan]:
    """Previews of its queued pairs scale by scale: of all of them by the first, then by the first two, and so on up
    to the last but one. Each is planned when it is asked for. Raises StorageError."""
    queued = plan.having("queued")
    for count in range(1, max(2, *(len(planned.scales) for planned in queued))):
        pairs = tuple(planned for planned in queued if len(planned.scales) > count or count == 1)
        first = partial(_only_first, replace(plan, pairs=pairs), itemgetter(slice(count)))
        yield Retries(log.warning).call(first)


def _only_first(plan: Plan, first: Callable[[Scales], Scales]) -> Plan:
    with ThreadPoolExecutor(READERS, thread_name_prefix="previews") as readers:
        pairs = readers.map(lambda planned: _previewed(planned, first(planned.scales)), plan.pairs)
        return replace(plan, pairs=tuple(pairs))


def _previewed(planned: PlannedPair, scales: Scales) -> PlannedPair:
    if planned.state != "queued" or scales == planned.scales:
        return planned
    planned = replace(planned, scales=scales, whole=planned.scales)
    record = find_preview(planned)
    if record is None or record.fingerprint != planned.fingerprint:
        return planned
    return replace(planned, state="held", record=record, reason=reason(record))


def find_preview(planned: PlannedPair) -> Record | None:
    """The pair's preview, of what it is now or was, if it has these scales and the render's state is kept."""
    try:
        record = read_record(planned.places.preview_record(planned.id))
    except RecordError as error:
        log.warning("%s: plan: %s; it is previewed anew", planned.id, error)
        return None
    if record is None or record.id != planned.id:
        return None
    fine_enough = max(record.output.width, record.output.height) >= planned.scales[-1]
    kept = (planned.places.preview(planned.id), planned.places.checkpoint(planned.id, record.fingerprint))
    return record if fine_enough and all(map(storage.exists, kept)) else None


def reason(record: Record) -> str:
    """Why the pair is held."""
    longest = max(record.output.width, record.output.height)
    return f"preview at {longest} px; `render` goes on from here, on a farm `approve`"


def outcome_of(record: Record, attempts: int) -> Outcome:
    """Done, or held behind its preview."""
    why = reason(record) if record.state == "held" else None
    return Outcome(record.state, why, record, attempts=attempts)


def store_preview(rendered: Rendered) -> Record:
    """Write the picture so far, then the record that tells of it; returns the record. Raises StorageError."""
    planned = rendered.fetched.planned
    picture, url = from_tensor(rendered.image), planned.places.preview(planned.id)
    contents = encode(rendered.image, "jpeg")
    storage.write(url, contents)
    record = record_of(rendered, url, contents)
    record = record.model_copy(
        update={"state": "held", "output": record.output.model_copy(update={"format": "jpeg"})}
    )
    Thumbnails(planned.places).keep(record.output.sha256, picture)
    write_record(planned.places.preview_record(planned.id), record)
    return record


def remove_preview(planned: PlannedPair) -> None:
    """The pair is done. A failure costs no more than a warning."""
    try:
        storage.delete(planned.places.preview_record(planned.id))
        storage.delete(planned.places.preview(planned.id))
    except StorageError as error:
        log.warning("%s: store: its preview stays: %s", planned.id, error)
