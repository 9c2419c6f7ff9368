"""The flow `clean`: what no run needs any more is found, and removed. Pictures and their records never are.

Old runs go with their artifacts and logs; checkpoints, notes and copies of manifests from the folders of results;
files of this host's caches beyond a size.
"""

from __future__ import annotations

import logging
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal, get_args
from uuid import UUID

from prefect import flow, get_client, get_run_logger
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    FlowRunFilter,
    FlowRunFilterEndTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
)
from prefect.client.schemas.objects import TERMINAL_STATES, State
from prefect.exceptions import ObjectNotFound
from prefect.states import Completed, Failed

from flows.farm import manifest_copy, names, submissions
from flows.farm.nights import schedules
from flows.farm.notes import read_notes
from styletransfer import storage
from styletransfer.errors import RecordError, StorageError, StyleTransferError
from styletransfer.renders.places import Places
from styletransfer.renders.plan import READERS
from styletransfer.renders.records import Record, now, read_record
from styletransfer.storage.cache import cache_folder

log = logging.getLogger(__name__)

Kind = Literal["run", "checkpoint", "note", "manifest", "partial file", "cache"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

ABANDONED: Final = timedelta(days=1)
"""A file that has been half written for so long belonged to a process that was killed."""

_CHECKPOINT = re.compile(r"(.+)-([0-9a-f]{64})\.safetensors")


@dataclass(frozen=True)
class Limits:
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


@flow(name=names.CLEAN_FLOW, flow_run_name="clean", persist_result=False)
def clean(
    older_than_s: int = 30 * 86_400,
    max_checkpoints: int = 100 * 10**9,
    max_cache: int = 10 * 10**9,
    outputs: list[str] | None = None,
) -> State[Any]:
    """Remove what no run needs any more; see `styletransfer clean --help`. Sizes in bytes, of each manifest's
    checkpoints and of this host's caches. Ends Failed if something could not be looked at or removed.
    """
    told = get_run_logger()
    limits = Limits(timedelta(seconds=older_than_s), max_checkpoints, max_cache)
    troubles: list[str] = []
    with get_client(sync_client=True) as client:
        found = find_waste(client, limits, outputs or [], troubles.append)
        for waste in found:
            told.info("%s %s: %s", waste.kind, waste.name or storage.public(waste.what), waste.why)
        remove_all(client, found, troubles.append)
    for trouble in troubles:
        told.error("%s", trouble)
    text = "\n".join([summed_up(found), *troubles])
    return Failed(message=text) if troubles else Completed(message=text)


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


# Finding


def find_waste(
    client: SyncPrefectClient, limits: Limits, outputs: Sequence[str], tell: Callable[[str], None]
) -> list[Waste]:
    """Everything to remove; what can't be looked at is told, and left alone."""
    before = now() - limits.age
    old = list(old_runs(client, before))
    going = {waste.what for waste in old}
    folders, used = known_folders(client, outputs, going, tell)
    found = old
    for places in folders:
        if _is_live(client, places):
            log.info("%s: left alone, something is being rendered into it", storage.public(places.folder))
            continue
        try:
            found += folder_waste(places, limits, used)
        except StorageError as error:
            tell(str(error))
    return [*found, *cache_waste(limits.cache)]


def old_runs(client: SyncPrefectClient, before: datetime) -> Iterator[Waste]:
    """Runs of ours that ended before a moment."""
    chosen = FlowRunFilter(
        tags=FlowRunFilterTags(all_=[names.TAG]),
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=list(TERMINAL_STATES))),
        end_time=FlowRunFilterEndTime.model_validate({"before_": before}),  # it has a type of its own
    )
    for run in submissions.pages(client, chosen):
        ended = f"{run.end_time:%Y-%m-%d}" if run.end_time else ""
        yield Waste("run", str(run.id), f"{submissions.state_text(run)}, ended {ended}", name=run.name)


def known_folders(
    client: SyncPrefectClient, outputs: Iterable[str], going: set[str], tell: Callable[[str], None]
) -> tuple[list[Places], set[str]]:
    """Folders of results: those of the server's drivers, and all in `outputs`. And the manifests still in use:
    of runs that stay, and of schedules. `going`: runs that won't stay, by id."""
    used = {str(each.parameters.get("source")) for each in schedules.read_all(client)}
    found: dict[str, Places] = {}
    read: set[str] = set()
    for run in submissions.with_tags(client, [names.TAG, names.DRIVER_TAG]):
        url = str(run.parameters.get("manifest"))
        if str(run.id) not in going:
            used.add(url)
        if url in read:
            continue
        read.add(url)
        try:
            manifest = submissions.manifest_of(run)
        except StyleTransferError as error:
            log.warning("%s: its folder is not cleaned: %s", run.name, str(error).partition("\n")[0])
            continue
        places = Places(manifest.output, manifest.name)
        found[places.folder] = places
    for output in outputs:
        try:
            found |= {places.folder: places for places in folders_in(output)}
        except StorageError as error:
            tell(str(error))
    return list(found.values()), used


def folders_in(output: str) -> list[Places]:
    """The folders of results in an output folder: those with a summary."""
    url = storage.resolve(".", output)
    summaries = storage.glob(storage.join(storage.escape(url), "*", "summary.json"))
    return [Places(url, storage.name(storage.parent(summary))) for summary in summaries]


def _is_live(client: SyncPrefectClient, places: Places) -> bool:
    return bool(submissions.with_tags(client, [names.TAG, names.output_tag(places)], states=submissions.AT_WORK))


def folder_waste(places: Places, limits: Limits, used: set[str]) -> list[Waste]:
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


# Removing


def remove_all(client: SyncPrefectClient, found: Iterable[Waste], tell: Callable[[str], None]) -> None:
    """Remove it all; what can't be removed is told, and left for the next time."""
    by_kind: dict[str, list[Waste]] = defaultdict(list)
    for waste in found:
        by_kind["run" if waste.kind == "run" else "file"].append(waste)
    with ThreadPoolExecutor(READERS, thread_name_prefix="clean") as removers:
        for trouble in removers.map(_remove_file, by_kind["file"]):
            if trouble:
                tell(trouble)
    for waste in by_kind["run"]:
        remove_run(client, UUID(waste.what))


def _remove_file(waste: Waste) -> str | None:
    try:
        storage.delete(waste.what)
    except StorageError as error:
        return str(error)
    return None


def remove_run(client: SyncPrefectClient, run_id: UUID) -> None:
    """Remove a run. Its logs go with it on the server; its artifacts would stay."""
    chosen = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run_id]))
    while artifacts := client.read_artifacts(artifact_filter=chosen, limit=submissions.PAGE):
        for artifact in artifacts:
            with suppress(ObjectNotFound):
                client.delete_artifact(artifact.id)
    with suppress(ObjectNotFound):
        client.delete_flow_run(run_id)
