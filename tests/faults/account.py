"""What a manifest's renders have written to S3, and when: every version of every object was kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any, Final

from flows.farm.pair_notes import PairNote
from styletransfer.records.records import Record

TOLERANCE_S: Final = 2.0
"""S3's times are whole seconds, and an iteration is in hand when a process dies."""


@dataclass(frozen=True)
class Story:
    """One pair's: its notes, when checkpoints were written, pictures as they were written, records."""

    pair: str
    notes: tuple[PairNote, ...]
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
    def begun(self) -> list[PairNote]:
        """Each time that it was begun, or gone on with."""
        return [note for note in self.notes if note.state == "rendering"]

    def lost_s(self, moment: datetime) -> float:
        """Seconds of rendering that were in no checkpoint then."""
        saved = [*self.checkpoints, *(note.since for note in self.begun)]
        return max(0.0, min((moment - each).total_seconds() for each in saved if each <= moment))

    def resumed(self, moment: datetime) -> PairNote | None:
        """When it was gone on with, after it had been interrupted then."""
        return next((note for note in self.begun if note.since > moment), None)


@dataclass(frozen=True)
class Account:
    """Reads a manifest's folder, past the proxy. `settings` are those of all pairs."""

    client: Any
    bucket: str
    folder: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    def note(self, pair: str) -> PairNote | None:
        """The pair's note as it is now."""
        try:
            found = self.client.get_object(Bucket=self.bucket, Key=f"{self.folder}/.farm/{pair}.json")
        except self.client.exceptions.NoSuchKey:
            return None
        return PairNote.model_validate_json(found["Body"].read())

    def rendering(self, pairs: Sequence[str]) -> list[PairNote]:
        """Notes of the pairs that are being rendered."""
        return [note for note in map(self.note, pairs) if note is not None and note.state == "rendering"]

    def is_checkpointed(self, pair: str) -> bool:
        """Whether there is a checkpoint now."""
        prefix = f"{self.folder}/.checkpoints/{pair}-"
        return bool(self.client.list_objects_v2(Bucket=self.bucket, Prefix=prefix)["KeyCount"])

    def stories(self, pairs: Sequence[str]) -> list[Story]:
        """Of all that was ever written, from one look: moto never gives back the memory that it takes for one."""
        versions = self._versions()
        return [self._story(pair, versions) for pair in pairs]

    def _story(self, pair: str, versions: Sequence[Mapping[str, Any]]) -> Story:
        def of(name: str) -> list[Mapping[str, Any]]:
            return [each for each in versions if each["Key"].startswith(f"{self.folder}/{name}")]

        return Story(
            pair,
            tuple(PairNote.model_validate_json(self._read(each)) for each in of(f".farm/{pair}.json")),
            tuple(each["LastModified"] for each in of(f".checkpoints/{pair}-")),
            tuple(each["ETag"] for each in of(f"{pair}.png")),
            tuple(Record.model_validate_json(self._read(each)) for each in of(f"{pair}.json")),
        )

    def _versions(self) -> list[dict[str, Any]]:
        """Of everything in the folder, oldest first."""
        pages = self.client.get_paginator("list_object_versions").paginate(
            Bucket=self.bucket, Prefix=f"{self.folder}/"
        )
        versions = [version for page in pages for version in page.get("Versions", [])]
        return versions[::-1]  # of each key the newest come first

    def _read(self, version: Mapping[str, Any]) -> bytes:
        found = self.client.get_object(Bucket=self.bucket, Key=version["Key"], VersionId=version["VersionId"])
        return bytes(found["Body"].read())
