"""A rendered pair stored: the picture, what it replaces into the history, then the record that marks it done."""

from __future__ import annotations

import hashlib
import logging
from typing import TYPE_CHECKING

from styletransfer import storage
from styletransfer.errors import StorageError
from styletransfer.pictures.encode import encode, from_tensor
from styletransfer.pictures.formats import SHOWN_BY_BROWSERS, Format
from styletransfer.pictures.picture import Dpi
from styletransfer.planning.plan import PlannedPair
from styletransfer.records.fingerprint import fingerprint_parts
from styletransfer.records.history import drop_versions, former_versions, keep_replaced
from styletransfer.records.output_folder import find_record, picture_is_there
from styletransfer.records.records import OutputRecord, Record, now, versions, write_record
from styletransfer.records.thumbnails import BEFORE_PX, VIEWED_PX, Thumbnails
from styletransfer.renders.checkpoints import remove_all
from styletransfer.renders.fetching import Fetched
from styletransfer.renders.rendering import Rendered

if TYPE_CHECKING:
    from torch import Tensor

log = logging.getLogger(__name__)

_STORE_TRIES = 5
"""Of picture and record, where another render writes the same picture at the same time."""


def store(rendered: Rendered, *, attempts: int = 1) -> Record:
    """Write the picture, then the record that marks the pair done; returns the record.

    May be repeated: where this very picture has been stored since the render began (by an earlier try, or
    by another host), that is left alone. What it replaces goes into the history first, if versions are kept; a
    picture of the pair's former format goes last. Raises StorageError.
    """
    fetched = rendered.fetched
    planned = fetched.planned
    before = find_record(planned.places, planned.id)
    if before is not None and _stored_meanwhile(before, rendered):
        return before
    contents = encoded(fetched, rendered.image, planned.pair.format, rendered.recipe)
    url = planned.places.picture(planned.id, planned.pair.format)
    record = record_of(rendered, url, contents, attempts)
    _keep_thumbnails(rendered, record)
    return put(planned, contents, record, before)


def put(planned: PlannedPair, contents: bytes, record: Record, before: Record | None) -> Record:
    """Write a picture of these contents for the pair, then its record, which is returned; what is there goes into
    the history first. Raises StorageError."""
    versions, surplus = keep_replaced(planned.places, planned.pair, record.fingerprint, before)
    record = record.model_copy(update={"former": former_versions(record, versions)})
    url = planned.places.picture(planned.id, record.output.format)
    _write_both(url, contents, record, planned.places.record(planned.id))
    remove_all(planned.places, planned.id, record.fingerprint)
    if before is not None and before.output.format != record.output.format:
        _remove_former(planned, before)
    drop_versions(planned.places, surplus)
    return record


def encoded(fetched: Fetched, image: Tensor, picture_format: Format, recipe: str | None = None) -> bytes:
    """The file of an image (1, 3, H, W), finished or not, with the content's transparency where that is kept."""
    height, width = image.shape[-2:]
    return encode(image, picture_format, _dpi(fetched), fetched.content.alpha_at((width, height)), recipe)


def _stored_meanwhile(record: Record, rendered: Rendered) -> bool:
    return (
        record.fingerprint == rendered.fingerprint
        and record.finished >= rendered.fetched.started
        and picture_is_there(rendered.fetched.planned.places, record)
    )


def _dpi(fetched: Fetched) -> Dpi | None:
    asked = fetched.planned.pair.dpi
    return fetched.content.dpi if asked is None else (asked, asked)


def _write_both(url: str, contents: bytes, record: Record, record_url: str) -> None:
    """Write the picture, then its record; anew if another was put in the picture's place in between.

    Two renders may store the same pair at once, one of them of settings of before. Whoever writes the last record
    sees whose picture is there then, and does not leave it with a record of another.
    """
    for _ in range(_STORE_TRIES):
        written = _write_picture(url, contents)
        write_record(record_url, record)
        if storage.stat(url) == written:
            return
        log.warning("%s: store: something else has written its picture, too; it is written again", record.id)


def _write_picture(url: str, contents: bytes) -> storage.Stat:
    """Write, and make sure before the record vouches for it; what is known of it then."""
    storage.write(url, contents)
    found = storage.stat(url)
    if found.size != len(contents):
        raise StorageError(
            f"{storage.public(url)} has {found.size} bytes after {len(contents)} were written; "
            "something else writes there too",
            transient=True,
        )
    return found


def record_of(rendered: Rendered, url: str, contents: bytes, attempts: int = 1) -> Record:
    """All about the picture that was rendered and whose file, of these contents, is at `url`."""
    fetched, pair = rendered.fetched, rendered.fetched.planned.pair
    height, width = rendered.image.shape[-2:]
    return Record(
        id=pair.id,
        fingerprint=rendered.fingerprint,
        fingerprint_parts=fingerprint_parts(pair, fetched.hashes, rendered.weights.identity),
        settings=pair.settings.model_dump(mode="json"),
        inputs=fetched.inputs,
        weights=rendered.weights,
        precision=rendered.precision,
        devices=rendered.devices,
        versions=versions(),
        scales=rendered.scales,
        output=OutputRecord(
            url=url,
            sha256=hashlib.sha256(contents).hexdigest(),
            size=len(contents),
            format=pair.format,
            width=width,
            height=height,
            dpi=_dpi(fetched),
        ),
        started=rendered.started,
        finished=now(),
        seconds=round(rendered.seconds, 3),
        share=rendered.share,
        attempts=attempts,
        warnings=fetched.warnings,
    )


def _keep_thumbnails(rendered: Rendered, record: Record) -> None:
    """Make the contact sheet's small pictures while the large ones are at hand."""
    thumbnails = Thumbnails(rendered.fetched.planned.places)
    result = from_tensor(rendered.image)
    thumbnails.keep(record.output.sha256, result)
    if record.output.format not in SHOWN_BY_BROWSERS:
        thumbnails.keep(record.output.sha256, result, VIEWED_PX)
    if rendered.fetched.planned.pair.settings.proof is not None:
        return  # what is at hand is the proof, not the file that the hash is of
    pictures = (rendered.fetched.content, *rendered.fetched.styles)
    for entry, picture in zip(record.inputs, pictures, strict=False):  # a start is not on the sheet
        if picture.alpha is None:  # else its hidden colours are not the file's
            thumbnails.keep(entry.sha256, picture)
            if entry.role == "content":
                thumbnails.keep(entry.sha256, picture, BEFORE_PX)


def _remove_former(planned: PlannedPair, former: Record) -> None:
    """Delete the picture in the format that the pair had before. The new one stands, so a failure only
    warns."""
    try:
        storage.delete(planned.places.picture(planned.id, former.output.format))
    except StorageError as error:
        log.warning("%s: store: the former picture stays: %s", planned.id, error)
