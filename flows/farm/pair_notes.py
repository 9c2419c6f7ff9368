"""What a render run leaves in storage about a pair that is not done: `<folder>/.farm/<id>.json`.

Storage is the ground truth for pairs: a record with the pair's fingerprint means done, else its note tells,
else nothing has happened yet.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from flows.farm.names import Place
from styletransfer import storage
from styletransfer.limits import RECORD_BYTES
from styletransfer.planning.plan import READERS
from styletransfer.records.output_places import OutputPlaces
from styletransfer.records.records import UtcTime

log = logging.getLogger(__name__)

NoteState = Literal["rendering", "failed", "held", "cancelled"]

SCHEMA_VERSION: Final = 1


class PairNote(BaseModel):
    """How a pair stands since a moment. `run` is the flow run that rendered it, `attempt` counts from 1.

    `of_host`: it failed, but that may be the fault of `host` or `slot`; its driver decides.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    schema_version: int = SCHEMA_VERSION
    pair: str
    fingerprint: str | None
    submission: str
    run: str
    state: NoteState
    attempt: int = 1
    reason: str | None = None
    of_host: bool = False
    host: str
    slot: str | None = None
    since: UtcTime

    @property
    def place(self) -> Place:
        """Where it was rendered."""
        return Place(self.host, self.slot or "")

    @property
    def is_failed(self) -> bool:
        """Whether the pair has failed for good, wherever it may be rendered."""
        return self.state == "failed" and not self.of_host


def write_note(places: OutputPlaces, note: PairNote) -> None:
    """Write a pair's note in place of its last. Raises StorageError."""
    storage.write(places.note(note.pair), note.model_dump_json(indent=2).encode() + b"\n")


def delete_note(places: OutputPlaces, pair_id: str) -> None:
    """The pair has no note any more. Raises StorageError."""
    storage.delete(places.note(pair_id))


def read_note(places: OutputPlaces, pair_id: str) -> PairNote | None:
    """The pair's note; None where there is none, or none that can be read. Raises StorageError."""
    return _read_note(places.note(pair_id))


def read_notes(places: OutputPlaces) -> dict[str, PairNote]:
    """All notes by pair id; one that can't be read is left out, with a warning. Raises StorageError."""
    urls = storage.glob(storage.join(storage.escape(places.notes), "*.json"))
    with ThreadPoolExecutor(READERS, thread_name_prefix="notes") as readers:
        found = readers.map(_read_note, urls)
        return {note.pair: note for note in found if note is not None}


def _read_note(url: str) -> PairNote | None:
    contents = storage.read_if_exists(url, limit_bytes=RECORD_BYTES)
    if contents is None:  # deleted since it was listed
        return None
    try:
        note = PairNote.model_validate_json(contents)
    except ValidationError as error:
        log.warning("%s: not a note that can be read: %s", storage.public(url), error.errors()[0]["msg"])
        return None
    if f"{note.pair}.json" != storage.name(url):
        log.warning("%s: the note of %s; it counts as none", storage.public(url), note.pair)
        return None
    return note
