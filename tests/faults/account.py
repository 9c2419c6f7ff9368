"""What a manifest's renders have written to S3, and when: every version of every object was kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any, Final

from flows.farm.notes import Note
from styletransfer.records import Record

TOLERANCE_S: Final = 2.0
"""S3's times are whole seconds, and an iteration is in hand when a process dies."""


@dataclass(frozen=True)
class Story:
    """One pair's: its notes, when checkpoints were written, pictures as they were written, records."""

    pair: str
    notes: tuple[Note, ...]
    checkpoints: tuple[datetime, ...]
    pictures: tuple[str, ...]
    records: tuple[Record, ...]

    @property
    def longest_interval_s(self) -> float:
        """Between two checkpoints of one run, or its beginning and its first. In seconds."""
        begun = [note.since for note in self.begun]
        times = sorted([*self.checkpoints, *begun])
        gaps = [(after - before).total_seconds() for before, after in pairwise(times) if after not in begun]
        return max(gaps, default=0.0)

    @property
    def begun(self) -> list[Note]:
        """Each time that it was begun, or gone on with."""
        return [note for note in self.notes if note.state == "rendering"]

    def lost_s(self, moment: datetime) -> float:
        """Seconds of rendering that were in no checkpoint then."""
        saved = [*self.checkpoints, *(note.since for note in self.begun)]
        return max(0.0, min((moment - each).total_seconds() for each in saved if each <= moment))

    def resumed(self, moment: datetime) -> Note | None:
        """When it was gone on with, after it had been interrupted then."""
        return next((note for note in self.begun if note.since > moment), None)


@dataclass(frozen=True)
class Account:
    """Reads a manifest's folder, past the proxy. `settings` are those of all pairs."""

    client: Any
    bucket: str
    folder: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    def note(self, pair: str) -> Note | None:
        """The pair's note as it is now."""
        notes = self._versions(f"{self.folder}/.farm/{pair}.json", live=True)
        return Note.model_validate_json(self._read(notes[-1])) if notes else None

    def rendering(self, pairs: Sequence[str]) -> list[Note]:
        """Notes of the pairs that are being rendered."""
        return [note for note in map(self.note, pairs) if note is not None and note.state == "rendering"]

    def is_checkpointed(self, pair: str) -> bool:
        return bool(self._versions(f"{self.folder}/.checkpoints/{pair}-"))

    def is_done(self, pair: str) -> bool:
        return bool(self._versions(f"{self.folder}/{pair}.json"))

    def story(self, pair: str) -> Story:
        place = f"{self.folder}/{pair}"
        notes = self._versions(f"{self.folder}/.farm/{pair}.json")
        return Story(
            pair,
            tuple(Note.model_validate_json(self._read(each)) for each in notes),
            tuple(each["LastModified"] for each in self._versions(f"{self.folder}/.checkpoints/{pair}-")),
            tuple(each["ETag"] for each in self._versions(f"{place}.png")),
            tuple(Record.model_validate_json(self._read(each)) for each in self._versions(f"{place}.json")),
        )

    def _versions(self, prefix: str, *, live: bool = False) -> list[dict[str, Any]]:
        """Oldest first. `live`: none if it was deleted at last."""
        found = self.client.list_object_versions(Bucket=self.bucket, Prefix=prefix)
        if live and any(marker["IsLatest"] for marker in found.get("DeleteMarkers", [])):
            return []
        versions: list[dict[str, Any]] = found.get("Versions", [])
        return versions[::-1]  # the newest come first

    def _read(self, version: Mapping[str, Any]) -> bytes:
        found = self.client.get_object(Bucket=self.bucket, Key=version["Key"], VersionId=version["VersionId"])
        return bytes(found["Body"].read())
