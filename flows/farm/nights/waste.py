"""What of a folder of results, and of this host's caches, no run needs any more. Pictures and records never are.

Checkpoints and notes of pairs that are done, or too old; copies of manifests; what killed processes left half
written; files of caches beyond a size.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Literal, get_args

from flows.farm import manifest_copy
from flows.farm.notes import read_notes
from styletransfer import storage
from styletransfer.errors import RecordError, StorageError
from styletransfer.renders.places import Places
from styletransfer.renders.plan import READERS
from styletransfer.renders.records import Record, now, read_record
from styletransfer.storage.cache import cache_folder

Kind = Literal["run", "checkpoint", "note", "manifest", "partial file", "cache"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

ABANDONED: Final = timedelta(days=1)
"""A file that has been half written for so long belonged to a process that was killed."""

_CHECKPOINT = re.compile(r"(.+)-([0-9a-f]{64})\.safetensors")


@dataclass(frozen=True)
class KeepLimits:
    """What may stay: runs, checkpoints and copies younger than `age`; so many bytes of checkpoints, of caches."""

    age: timedelta
    checkpoints: int
    cache: int


@dataclass(frozen=True)
class Waste:
    """Something to remove: a run by its id, anything else by its URL. `why` in a few words."""

    kind: Kind
    what: str
    why: str
    bytes: int = 0
    name: str = ""


@dataclass(frozen=True)
class _File:
    url: str
    bytes: int
    modified: datetime


def summed_up(found: Iterable[Waste]) -> str:
    """`12 runs, 3 checkpoints (1.2 GB)`."""
    counts, sizes = Counter[Kind](), Counter[Kind]()
    for waste in found:
        counts[waste.kind] += 1
        sizes[waste.kind] += waste.bytes
    texts = []
    for kind in KINDS:
        if counts[kind]:
            size = f" ({size_text(sizes[kind])})" if sizes[kind] else ""
            texts.append(f"{counts[kind]} {kind}{'s' * (counts[kind] > 1)}{size}")
    return ", ".join(texts) or "nothing"


def size_text(count: int) -> str:
    """`340 B`, `1.2 GB`: powers of ten, as disks are sold."""
    value, units = float(count), ["B", "kB", "MB", "GB", "TB"]
    while value >= 1000 and len(units) > 1:
        value, units = value / 1000, units[1:]
    return f"{value:.3g} {units[0]}"


def folder_waste(places: Places, limits: KeepLimits, used: set[str]) -> list[Waste]:
    """What no run needs in a manifest's folder. Raises StorageError."""
    before = now() - limits.age
    records = _Records(places)
    return [
        *checkpoint_waste(places, limits.checkpoints, before, records),
        *note_waste(places, before, records),
        *_old(_list(manifest_copy.copies(places), "*/*.yaml"), "manifest", before, used),
        *_partial_waste(places),
    ]


class _Records:
    """Records of a folder's pairs, each read once."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._read: dict[str, Record | None] = {}

    def done(self, pair_id: str, fingerprint: str | None, since: datetime) -> bool:
        """Whether the pair was finished with this fingerprint later than something was written."""
        if pair_id not in self._read:
            self._read[pair_id] = self._record(pair_id)
        record = self._read[pair_id]
        return record is not None and record.fingerprint == fingerprint and record.finished >= since

    def _record(self, pair_id: str) -> Record | None:
        with suppress(RecordError):
            return read_record(self._places.record(pair_id))
        return None


def checkpoint_waste(places: Places, limit: int, before: datetime, records: _Records) -> Iterator[Waste]:
    """Those of pairs that are done; those not written since `before`; the oldest beyond the limit in bytes."""
    kept = 0
    for file in sorted(_list(places.checkpoints, "*.safetensors"), key=lambda file: file.modified, reverse=True):
        match = _CHECKPOINT.fullmatch(storage.name(file.url))
        if match and records.done(match[1], match[2], file.modified):
            yield _waste("checkpoint", file, "its pair is done")
        elif file.modified < before:
            yield _waste("checkpoint", file, f"not written since {file.modified:%Y-%m-%d}")
        elif kept + file.bytes > limit:
            yield _waste("checkpoint", file, f"more than {size_text(limit)} of them")
        else:
            kept += file.bytes


def note_waste(places: Places, before: datetime, records: _Records) -> Iterator[Waste]:
    for pair_id, note in read_notes(places).items():
        url = places.note(pair_id)
        if records.done(pair_id, note.fingerprint, note.since):
            yield Waste("note", url, "its pair is done")
        elif note.since < before:
            yield Waste("note", url, f"{note.state} since {note.since:%Y-%m-%d}")


def _partial_waste(places: Places) -> Iterator[Waste]:
    """What killed processes left half written; S3 shows no such files."""
    if storage.is_local(places.folder):
        for folder in (places.folder, places.checkpoints, places.notes, places.thumbnails):
            yield from _old(_list(folder, f".*{storage.PARTIAL_SUFFIX}"), "partial file", now() - ABANDONED, set())


def _old(files: Iterable[_File], kind: Kind, before: datetime, used: set[str]) -> Iterator[Waste]:
    for file in files:
        if file.modified < before and file.url not in used:
            yield _waste(kind, file, f"of {file.modified:%Y-%m-%d}")


def _waste(kind: Kind, file: _File, why: str) -> Waste:
    return Waste(kind, file.url, why, file.bytes)


def _list(folder: str, pattern: str) -> list[_File]:
    """Files in a folder, with size and age; those that vanish meanwhile are left out."""
    urls = storage.glob(f"{storage.escape(folder)}/{pattern}")
    with ThreadPoolExecutor(READERS, thread_name_prefix="clean") as readers:
        return [file for file in readers.map(_look, urls) if file is not None]


def _look(url: str) -> _File | None:
    try:
        stat = storage.stat(url)
    except StorageError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return None
        raise
    return _File(url, stat.size, stat.modified or now())


def cache_waste(limit: int) -> list[Waste]:
    """Files of this host's caches beyond a size in bytes: those not used for longest."""
    files: list[tuple[float, int, Path]] = []
    for path in cache_folder("weights").parent.rglob("*"):
        with suppress(OSError):  # another process was faster
            if path.is_file():
                status = path.stat()
                files.append((max(status.st_mtime, status.st_atime), status.st_size, path))
    found, kept = [], 0
    for _, size, path in sorted(files, reverse=True):
        kept += size
        if kept > limit:
            found.append(Waste("cache", str(path), f"more than {size_text(limit)} in caches", size))
    return found
