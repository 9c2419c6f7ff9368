"""What of a folder of results, and of this host's caches, no run needs any more. Pictures and records never are.

Checkpoints and notes of pairs that are done, or too old; copies of manifests; what killed processes left half
written; files of caches beyond a size. Only what this program makes counts, by its name and its place; links are
not followed. Whatever else lies in the same folders is named in the log, and left.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final, Literal, get_args

from flows.farm import manifest_copy
from flows.farm.pair_notes import read_note
from styletransfer import storage
from styletransfer.errors import RecordError, StorageError
from styletransfer.manifest.names import name_fault
from styletransfer.planning.plan import READERS
from styletransfer.records.output_places import OutputPlaces
from styletransfer.records.records import Record, now, read_record
from styletransfer.storage.cache import CACHES, cache_folder, is_cached_name
from styletransfer.storage.plain_files import listed

log = logging.getLogger(__name__)

Kind = Literal["run", "checkpoint", "note", "manifest", "partial file", "cache"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

ABANDONED: Final = timedelta(days=1)
"""A file that has been half written for so long belonged to a process that was killed."""

_CHECKPOINT = re.compile(r"(.+)-([0-9a-f]{64})\.safetensors(?:\.unreadable)?")
_DIGEST = re.compile(r"[0-9a-f]{12}")
_SO_FAR = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\.so-far")
_PARTIAL = re.compile(rf"\.[0-9a-f]{{16}}{re.escape(storage.PARTIAL_SUFFIX)}")


@dataclass(frozen=True)
class KeepLimits:
    """What may stay: runs, checkpoints and copies younger than `age`; so many bytes of checkpoints, of caches."""

    age: timedelta
    checkpoints: int
    cache: int


@dataclass(frozen=True)
class Waste:
    """Something to remove: a run by its id, anything else by its URL. `why` in a few words.

    `base`: the folder of a local file below which no link is followed on the way to it.
    """

    kind: Kind
    what: str
    why: str
    bytes: int = 0
    name: str = ""
    base: str = ""


@dataclass(frozen=True)
class _File:
    url: str
    bytes: int
    modified: datetime
    base: str = ""

    @property
    def name(self) -> str:
        return storage.name(self.url)


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


def folder_waste(places: OutputPlaces, limits: KeepLimits, used: set[str]) -> list[Waste]:
    """What no run needs in a manifest's folder; nothing of one that is a link. Raises StorageError."""
    if storage.is_local(places.folder):
        here = listed(places.output, places.manifest_name)
        _tell_odd(odd for odd in here.odd if odd[0] == places.folder or _PARTIAL.fullmatch(storage.name(odd[0])))
        if not (here.files or here.folders):
            return []
    before = now() - limits.age
    records = _Records(places)
    return [
        *checkpoint_waste(places, limits.checkpoints, before, records),
        *note_waste(places, before, records),
        *_old(_copies(places), "manifest", before, used),
        *_partial_waste(places),
    ]


class _Records:
    """Records of a folder's pairs, each read once."""

    def __init__(self, places: OutputPlaces) -> None:
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


def checkpoint_waste(places: OutputPlaces, limit: int, before: datetime, records: _Records) -> Iterator[Waste]:
    """Those of pairs that are done; those not written since `before`; the oldest beyond the limit in bytes."""
    kept = 0
    files = _own(_list(places, places.checkpoints), lambda file: _pair_and_fingerprint(file) is not None)
    for file in sorted(files, key=lambda file: file.modified, reverse=True):
        made_for = _pair_and_fingerprint(file)
        if made_for and records.done(*made_for, file.modified):
            yield _waste("checkpoint", file, "its pair is done")
        elif file.modified < before:
            yield _waste("checkpoint", file, f"not written since {file.modified:%Y-%m-%d}")
        elif kept + file.bytes > limit:
            yield _waste("checkpoint", file, f"more than {size_text(limit)} of them")
        else:
            kept += file.bytes


def _pair_and_fingerprint(file: _File) -> tuple[str, str] | None:
    match = _CHECKPOINT.fullmatch(file.name)
    return (match[1], match[2]) if match and name_fault(match[1]) is None else None


def note_waste(places: OutputPlaces, before: datetime, records: _Records) -> Iterator[Waste]:
    for file in _own(_list(places, places.notes), _has_pairs_or_runs_name):
        if _SO_FAR.fullmatch(file.name):
            yield from _old([file], "note", before, set())
            continue
        pair_id = file.name.removesuffix(".json")
        note = read_note(places, pair_id)
        if note is None or note.pair != pair_id:
            continue
        if records.done(pair_id, note.fingerprint, note.since):
            yield Waste("note", file.url, "its pair is done", base=file.base)
        elif note.since < before:
            yield Waste("note", file.url, f"{note.state} since {note.since:%Y-%m-%d}", base=file.base)


def _has_pairs_or_runs_name(file: _File) -> bool:
    if _SO_FAR.fullmatch(file.name):
        return True
    return file.name.endswith(".json") and name_fault(file.name.removesuffix(".json")) is None


def _copies(places: OutputPlaces) -> list[_File]:
    """Copies of the manifest: `<12 hex digits>/<manifest name>.yaml`."""

    def is_copy(file: _File) -> bool:
        digest = storage.name(storage.parent(file.url))
        return bool(_DIGEST.fullmatch(digest)) and file.name == f"{places.manifest_name}.yaml"

    folder = manifest_copy.copies(places)
    if not storage.is_local(folder):
        return _own(_look_at_all(storage.glob(f"{storage.escape(folder)}/*/*")), is_copy)
    base, parts = _way_to(places, folder)
    below = listed(base, *parts)
    _tell_odd(below.odd)
    digests = [name for name in below.folders if _DIGEST.fullmatch(name)]
    return [file for name in digests for file in _own(_list(places, storage.join(folder, name)), is_copy)]


def _partial_waste(places: OutputPlaces) -> Iterator[Waste]:
    """What killed processes left half written; S3 shows no such files."""
    if storage.is_local(places.folder):
        base, parts = _way_to(places, places.history)
        histories = [storage.join(places.history, name) for name in listed(base, *parts).folders]
        for folder in (places.folder, places.checkpoints, places.notes, places.thumbnails, *histories):
            files = _list(places, folder, tell=folder == places.thumbnails)  # of the others all is told by now
            partials = (file for file in files if _PARTIAL.fullmatch(file.name))
            yield from _old(partials, "partial file", now() - ABANDONED, set())


def _old(files: Iterable[_File], kind: Kind, before: datetime, used: set[str]) -> Iterator[Waste]:
    for file in files:
        if file.modified < before and file.url not in used:
            yield _waste(kind, file, f"of {file.modified:%Y-%m-%d}")


def _waste(kind: Kind, file: _File, why: str) -> Waste:
    return Waste(kind, file.url, why, file.bytes, base=file.base)


def _own(files: Iterable[_File], is_own: Callable[[_File], bool]) -> list[_File]:
    """The files that this program made, by their names; of the others the log tells how many there are."""
    found = list(files)
    own = [file for file in found if is_own(file)]
    others = [file for file in found if not is_own(file) and not _PARTIAL.fullmatch(file.name)]
    if others:
        more = f" and {len(others) - 1} more" if len(others) > 1 else ""
        log.warning("%r%s: left alone, named like nothing that is made here", storage.public(others[0].url), more)
    return own


def _tell_odd(odd: Iterable[tuple[str, str]]) -> None:
    for path, reason in odd:
        log.warning("%r: left alone, %s", path, reason)


def _way_to(places: OutputPlaces, folder: str) -> tuple[str, list[str]]:
    """The output folder, and the names of the folders that lead from there to one of the manifest's."""
    below = folder.removeprefix(places.folder).strip("/")
    return places.output, [places.manifest_name, *below.split("/")] if below else [places.manifest_name]


def _list(places: OutputPlaces, folder: str, *, tell: bool = True) -> list[_File]:
    """Files in a folder of the manifest's, with size and age; none through a link."""
    if not storage.is_local(folder):
        return _look_at_all(storage.glob(f"{storage.escape(folder)}/*"))
    base, parts = _way_to(places, folder)
    found = listed(base, *parts)
    if tell:
        _tell_odd(found.odd)
    return [
        _File(storage.join(folder, file.name), file.bytes, datetime.fromtimestamp(file.modified, UTC), base)
        for file in found.files
    ]


def _look_at_all(urls: Iterable[str]) -> list[_File]:
    """Stored files with size and age; those that vanish meanwhile are left out."""
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
    """Files of this host's caches beyond a size in bytes: those not used for longest. Raises StorageError."""
    waste, kept = [], 0
    for file in sorted(_cached(), key=lambda file: (file.modified, file.bytes, file.url), reverse=True):
        kept += file.bytes
        if kept > limit:
            waste.append(_waste("cache", file, f"more than {size_text(limit)} in caches"))
    return waste


def _cached() -> Iterator[_File]:
    """Files that our caches keep; of each the time of its last use, not of its change."""
    for kind, suffixes in CACHES.items():
        folder = cache_folder(kind)
        found = listed(str(folder.parent), kind)
        _tell_odd(found.odd)
        files = [
            _File(str(folder / file.name), file.bytes, datetime.fromtimestamp(file.used, UTC), str(folder.parent))
            for file in found.files
        ]
        yield from _own(files, partial(_is_cached, suffixes))


def _is_cached(suffixes: tuple[str, ...], file: _File) -> bool:
    return is_cached_name(file.name, suffixes)
