"""What is in the output folder before a render: records, pictures; and whether anything can be written there."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path

from styletransfer import storage
from styletransfer.errors import Fault, RecordError, StorageError
from styletransfer.records.output_places import OutputPlaces
from styletransfer.records.records import Record, read_record

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class OutputFolder:
    """What is known of an output folder before anything in it is read; `listed` is None if its files weren't."""

    places: OutputPlaces
    listed: frozenset[str] | None = None
    faults: tuple[Fault, ...] = ()

    def record(self, pair_id: str) -> Record | None:
        """The pair's record, looked for only where there may be one."""
        there = not self.faults and (self.listed is None or self.places.record(pair_id) in self.listed)
        return find_record(self.places, pair_id) if there else None


def look_at_output(places: OutputPlaces) -> OutputFolder:
    """The output folder's files; or a fault, if it is plain without writing that nothing can be written."""
    found = f"is {storage.public(places.folder)}"
    if storage.scheme(places.folder) in ("http", "https"):
        return OutputFolder(places, faults=(Fault("output", f"{found}; web servers are only read from"),))
    if storage.is_local(places.folder):
        fault = folder_fault(Path(places.folder))
        return OutputFolder(places, faults=(Fault("output", f"{found}; {fault}"),) if fault else ())
    try:  # one list, where asking for each of 2,000 records that aren't there would take its time
        return OutputFolder(places, frozenset(storage.glob(storage.join(storage.escape(places.folder), "*"))))
    except StorageError as error:
        return OutputFolder(places, faults=(Fault("output", f"{found}; {lasting_fault(error)}"),))


def folder_fault(folder: Path) -> str | None:
    """Why nothing can be written to a local folder, which need not be there yet."""
    there = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    if not there.is_dir():
        return f"{there} is {'a file, not a folder' if there.exists() else 'a link that leads nowhere'}"
    return None if os.access(there, os.W_OK | os.X_OK) else f"{there} can't be written to"


def check_writable(folder: str) -> None:
    """Make the folder, write a small file there and remove it: what can't be written is found before a render.

    Where nothing may be deleted it stays, and is written over the next time. Raises StorageError.
    """
    probe = storage.join(folder, ".styletransfer-probe")
    storage.write(probe, b"styletransfer\n")
    try:
        storage.delete(probe)
    except StorageError as error:
        log.warning("what shows that the output can be written stays: %s", error)


def lasting_fault(error: StorageError) -> str:
    """What is wrong, where trying again can't help; raises the error where it can."""
    if error.transient:
        raise error
    return str(error)


def find_record(places: OutputPlaces, pair_id: str) -> Record | None:
    """The pair's record, or None when there is none that can be read: a damaged one is worth a warning."""
    try:
        record = read_record(places.record(pair_id))
    except RecordError as error:
        log.warning("%s: plan: %s; it counts as not rendered", pair_id, error)
        return None
    if record is not None and record.id != pair_id:
        where = storage.public(places.record(pair_id))
        log.warning("%s: plan: %s is the record of %s; it counts as not rendered", pair_id, where, record.id)
        return None
    return record


def picture_url(places: OutputPlaces, record: Record) -> str:
    """Where the record's picture must be, which may be a preview's: what the record itself says is anybody's."""
    if record.state == "held":
        return places.preview(record.id)
    return places.picture(record.id, record.output.format)


def picture_is_there(places: OutputPlaces, record: Record) -> bool:
    """Whether the record's picture exists with the recorded size."""
    try:
        return storage.stat(picture_url(places, record)).size == record.output.size
    except StorageError as error:
        lasting_fault(error)
        return False
