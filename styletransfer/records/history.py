"""Former pictures of a pair, each with its record, in `.history/<id>/`: kept when it is replaced, and brought back.

Every step writes a whole file under the name of its fingerprint, a picture before its record, and nothing is
removed before what takes its place stands. So after a crash at any step a picture that was there still is, in its
place or in the history; and none is restored beside the record of another.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Container, Iterable, Sequence
from itertools import pairwise
from typing import Any, Final

from styletransfer import storage
from styletransfer.errors import RecordError, StorageError
from styletransfer.limits import PICTURE_BYTES
from styletransfer.manifest.pairs import Pair
from styletransfer.pictures.formats import FORMATS
from styletransfer.records.fingerprint import changed_parts
from styletransfer.records.output_folder import find_record, picture_is_there
from styletransfer.records.output_places import OutputPlaces
from styletransfer.records.records import FormerVersion, Record, now, read_record, write_record
from styletransfer.settings import Settings

log = logging.getLogger(__name__)


def find_versions(places: OutputPlaces, pair_id: str) -> list[Record]:
    """Records of the pair's former pictures, the newest first; what is no record of one is passed over."""
    pattern = storage.join(storage.escape(places.versions(pair_id)), "*.json")
    found = [record for url in storage.glob(pattern) if (record := _version_at(url, pair_id)) is not None]
    # One that was brought back, or taken over, was rendered long before.
    return sorted(found, key=lambda record: record.kept or record.finished, reverse=True)


def _version_at(url: str, pair_id: str) -> Record | None:
    try:
        record = read_record(url)
    except RecordError as error:
        log.warning("%s: history: %s", pair_id, error)
        return None
    if record is None or record.id != pair_id or storage.name(url) != f"{record.fingerprint}.json":
        return None
    return record


def keep_version(places: OutputPlaces, record: Record) -> bool:
    """Copy the pair's picture and its record, which is this one, into the history.

    False where the picture is gone, or is not the record's: then there is nothing to keep.
    """
    kept = places.version(record.id, record.fingerprint, record.output.format)
    contents = contents_of(places.picture(record.id, record.output.format), record)
    if contents is None:
        return False
    storage.write(kept, contents)
    record = record.model_copy(update={"former": (), "kept": now()})
    write_record(places.version_record(record.id, record.fingerprint), record)
    return True


def contents_of(url: str, record: Record) -> bytes | None:
    """The record's picture, if it is there and is that one. Raises StorageError."""
    contents = storage.read_if_exists(url, limit_bytes=PICTURE_BYTES)
    return contents if contents is not None and _sha256(contents) == record.output.sha256 else None


def _sha256(contents: bytes) -> str:
    return hashlib.sha256(contents).hexdigest()


def keep_replaced(
    places: OutputPlaces, pair: Pair, fingerprint: str, before: Record | None
) -> tuple[list[Record], list[Record]]:
    """Copy what a picture of this fingerprint is about to replace into the history, if the pair keeps versions.

    Returns the pair's former pictures, the newest first, and those that are too many.
    """
    asked, versions = pair.keep_versions, find_versions(places, pair.id)
    replaced = before if before is not None and before.fingerprint != fingerprint else None
    if asked and replaced is not None and keep_version(places, replaced):
        versions = [replaced, *(each for each in versions if each.fingerprint != replaced.fingerprint)]
    others = [each for each in versions if each.fingerprint != fingerprint]
    same = [each for each in versions if each.fingerprint == fingerprint]
    return others[:asked], [*others[asked:], *same]


def former_versions(present: Record, versions: Iterable[Record]) -> tuple[FormerVersion, ...]:
    """The former versions as the present picture's record tells of them."""
    return tuple(
        FormerVersion(
            fingerprint=older.fingerprint,
            format=older.output.format,
            sha256=older.output.sha256,
            width=older.output.width,
            height=older.output.height,
            finished=older.finished,
            seconds=older.seconds,
            changed=tuple(changes(older, newer)),
        )
        for newer, older in pairwise([present, *versions])
    )


_NAMED: Final = {"settings", "styles", "algorithm"}


def changes(before: Record, now: Record) -> list[str]:
    """What was changed from one version to the other: `content_weight: 0.015 -> 0.05`, `the style`."""
    if not all(record.fingerprint_parts.keys() >= _NAMED for record in (before, now)):
        return ["what an older record does not name"]
    return [_change(name, before, now) for name in changed_parts(before.fingerprint_parts, now.fingerprint_parts)]


def _change(name: str, before: Record, now: Record) -> str:
    plain = Settings().picture()
    if name not in plain or name in ("init", "proof"):
        return name
    strengths = before.settings.get("strength"), now.settings.get("strength")
    if name == "content_weight" and None not in strengths:
        return f"strength: {setting_text(strengths[0])} -> {setting_text(strengths[1])}"
    was, is_now = (_settings(record).get(name, plain[name]) for record in (before, now))
    return f"{name}: {setting_text(was)} -> {setting_text(is_now)}"


def _settings(record: Record) -> dict[str, Any]:
    settings = record.fingerprint_parts["settings"]
    return settings if isinstance(settings, dict) else {}


def setting_text(value: Any) -> str:
    """As a manifest has it."""
    return value if isinstance(value, str) else json.dumps(value)


def drop_versions(places: OutputPlaces, versions: Iterable[Record]) -> None:
    """Remove these from the history, a picture before its record. What can't be removed stays, with a warning."""
    for record in versions:
        try:
            storage.delete(places.version(record.id, record.fingerprint, record.output.format))
            storage.delete(places.version_record(record.id, record.fingerprint))
        except StorageError as error:
            log.warning("%s: history: a former picture stays: %s", record.id, error)


def restore(places: OutputPlaces, pair_id: str, version: Record, versions: Sequence[Record]) -> Record:
    """Bring one of the pair's `versions` back; returns its record. The present picture goes into the history.

    May be repeated after a crash. Raises StorageError, with nothing removed, where the version's picture is not
    what its record says, or a picture is in its place whose record is gone or another's.
    """
    present = find_record(places, pair_id)
    kept = {record.output.sha256 for record in (version, *versions)}
    place = places.picture(pair_id, version.output.format)
    if present is not None and present.fingerprint == version.fingerprint and picture_is_there(places, present):
        _remove_others(places, pair_id, place, kept)  # it was brought back, and the process died then
        drop_versions(places, [version])
        return present
    contents = contents_of(places.version(pair_id, version.fingerprint, version.output.format), version)
    if contents is None:
        raise StorageError(f"{pair_id}: the picture of version {version.fingerprint[:8]} is gone, or was changed")
    if present is not None and present.fingerprint != version.fingerprint and keep_version(places, present):
        kept.add(present.output.sha256)
        versions = [present, *(each for each in versions if each.fingerprint != present.fingerprint)]
    if present is None and storage.exists(places.record(pair_id)):
        raise StorageError(f"{storage.public(places.record(pair_id))} is no record of it; move it elsewhere")
    _check_is_kept(place, kept, recorded=present is not None)
    storage.delete(places.record(pair_id))
    storage.write(place, contents)
    left = [each for each in versions if each.fingerprint != version.fingerprint]
    record = version.model_copy(update={"former": former_versions(version, left), "kept": None})
    write_record(places.record(pair_id), record)
    _remove_others(places, pair_id, place, kept)
    drop_versions(places, [version])
    return record


def _remove_others(places: OutputPlaces, pair_id: str, place: str, kept: Container[str]) -> None:
    """Pictures of the pair in other formats, if the history has them."""
    for url in (places.picture(pair_id, each) for each in FORMATS):
        if url != place and _digest(url) in kept:
            storage.delete(url)


def _check_is_kept(url: str, kept: Container[str], *, recorded: bool) -> None:
    """StorageError if a picture would be written over that is not in the history."""
    digest = _digest(url)
    if digest is not None and digest not in kept:
        why = "is not the picture of its record" if recorded else "has no record, as when its render was stopped"
        raise StorageError(f"{storage.public(url)} {why}; move it elsewhere")


def _digest(url: str) -> str | None:
    contents = storage.read_if_exists(url, limit_bytes=PICTURE_BYTES)
    return None if contents is None else _sha256(contents)
