"""Pictures that are there under another id: a sweep's value that was the setting before, or one chosen of it.

The fingerprint is of what makes the picture, not of what it is called: nothing is rendered for a new name.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from styletransfer import storage
from styletransfer.errors import RecordError, StorageError
from styletransfer.planning.plan import Plan, PlannedPair
from styletransfer.records.history import contents_of
from styletransfer.records.output_folder import find_record, lasting_fault, picture_is_there
from styletransfer.records.records import Record, read_summary
from styletransfer.renders.previews import remove_preview
from styletransfer.renders.storing import put

log = logging.getLogger(__name__)


def take_over(plan: Plan, tell: Callable[[str], None] = log.info) -> Plan:
    """The plan without what need not be rendered: queued pairs whose picture the last summary has under another id.

    Each gets a copy of it, with a record of its own, and is done; `tell` is told. What was another picture of the
    pair goes into its history. One that can't be copied is rendered. May be repeated. Raises StorageError where
    that can help.
    """
    there = _pictures_there(plan)
    return replace(plan, pairs=tuple(_tried(planned, there, tell) for planned in plan.pairs)) if there else plan


def foreseen(plan: Plan) -> Plan:
    """The plan as `take_over` would leave it, as far as can be told without reading pictures; copies nothing."""
    there = _pictures_there(plan)
    return replace(plan, pairs=tuple(_foreseen(planned, there) for planned in plan.pairs)) if there else plan


def _foreseen(planned: PlannedPair, there: Mapping[str, Sequence[str]]) -> PlannedPair:
    for name in _names(planned, there):
        record = find_record(planned.places, name)
        if record and record.fingerprint == planned.fingerprint and picture_is_there(planned.places, record):
            return replace(planned, state="skipped", reason=f"the same picture as {name}, and is taken from there")
    return planned


def _names(planned: PlannedPair, there: Mapping[str, Sequence[str]]) -> Sequence[str]:
    """Ids under which its picture may be."""
    return there.get(planned.fingerprint or "", ()) if planned.state == "queued" else ()


def _pictures_there(plan: Plan) -> Mapping[str, Sequence[str]]:
    """Ids of done pairs, by the fingerprints that are wanted."""
    wanted = {planned.fingerprint for planned in plan.having("queued")}
    try:
        summary = read_summary(plan.places.summary) if wanted else None
    except RecordError:  # it is made anew
        return {}
    there: dict[str, list[str]] = {}
    for pair in summary.pairs if summary else ():
        if pair.state in ("done", "skipped") and pair.fingerprint and pair.fingerprint in wanted:
            there.setdefault(pair.fingerprint, []).append(pair.id)
    return there


def _tried(planned: PlannedPair, there: Mapping[str, Sequence[str]], tell: Callable[[str], None]) -> PlannedPair:
    try:
        return _taken(planned, there, tell)
    except StorageError as error:
        log.warning("%s: plan: its picture is there, and can't be taken: %s", planned.id, lasting_fault(error))
        return planned


def _taken(planned: PlannedPair, there: Mapping[str, Sequence[str]], tell: Callable[[str], None]) -> PlannedPair:
    """The pair with the picture that is there, if there is one and it is what it is said to be."""
    each_found = (_found(planned, name) for name in _names(planned, there))
    found = next((each for each in each_found if each is not None), None)
    if found is None:
        return planned
    record, contents = found
    url = planned.places.picture(planned.id, record.output.format)
    output = record.output.model_copy(update={"url": storage.public(url)})
    first = record.taken_from or record.id
    taken_from = None if first == planned.id else first
    own = record.model_copy(update={"id": planned.id, "output": output, "taken_from": taken_from})
    tell(f"{planned.id}: the same picture as {record.id}, and taken from there")
    own = put(planned, contents, own, planned.record)
    remove_preview(planned)
    return replace(planned, state="skipped", record=own, reason=f"taken from {record.id}")


def _found(planned: PlannedPair, name: str) -> tuple[Record, bytes] | None:
    """Its record and its file's contents."""
    record = find_record(planned.places, name)
    if record is None or record.fingerprint != planned.fingerprint:
        return None
    contents = contents_of(planned.places.picture(record.id, record.output.format), record)
    return None if contents is None else (record, contents)
