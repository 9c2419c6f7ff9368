"""Small JPEGs of pictures, made once and kept in `.thumbnails/` under the sha256 of the picture's bytes.

A picture that changes has another sha256, so nothing kept here is ever out of date.
"""

from __future__ import annotations

import hashlib
import logging

from styletransfer import storage
from styletransfer.errors import ImageError, StorageError
from styletransfer.limits import PICTURE_BYTES, THUMBNAIL_BYTES
from styletransfer.pictures.decode import inspect
from styletransfer.pictures.picture import Picture
from styletransfer.pictures.thumbnail import thumbnail
from styletransfer.records.output_places import OutputPlaces
from styletransfer.storage.retries import is_transient

log = logging.getLogger(__name__)

LARGE_PX = 480
"""Longest edge of what is kept first; smaller ones are made from it."""

VIEWED_PX = 4096
"""Of what is looked at in place of a result that no browser shows."""

BEFORE_PX = 1600
"""Of what is looked at in place of a content."""

_JPEG = b"\xff\xd8\xff"
_MOST_KEPT = 10_000
_kept: set[str] = set()  # seen by this process: a style of 2,000 pairs need not be asked for as often


class Thumbnails:
    """The thumbnails of one output folder. Remembers what it has read; may be used from several threads."""

    def __init__(self, places: OutputPlaces) -> None:
        self._places = places
        self._known: dict[tuple[str, int], bytes | None] = {}
        self._stand_ins: dict[tuple[str, int], str | None] = {}

    def keep(self, sha256: str, picture: Picture, px: int = LARGE_PX) -> None:
        """Make and store the thumbnail of a picture that is at hand, unless it is there.

        A failure only warns: it can be made again.
        """
        url = self._url(sha256, px)
        if url in _kept:
            return
        try:
            if not storage.exists(url):
                storage.write(url, thumbnail(picture, px))
        except StorageError as error:
            log.warning("thumbnail not kept: %s", error)
        if len(_kept) < _MOST_KEPT:
            _kept.add(url)

    def find(self, sha256: str, url: str | None, px: int) -> bytes | None:
        """JPEG of the picture with this sha256, at `url` if it may be fetched, with its longest edge at most `px`.

        None, with a warning, where the picture is gone, has changed or can't be read.
        """
        key = (sha256, px)
        if key not in self._known:
            try:
                self._known[key] = self._read(sha256, px) or self._make(sha256, url, px)
            except (ImageError, StorageError) as error:
                log.warning("no thumbnail: %s", error)
                if is_transient(error):
                    return None  # but next time, perhaps
                self._known[key] = None
        return self._known[key]

    def stand_in(self, sha256: str, url: str | None, px: int) -> str | None:
        """Place, relative to the output folder, of a JPEG as `find` has it, made where it is not there yet."""
        key = (sha256, px)
        if key not in self._stand_ins:
            try:
                kept = self._url(sha256, px)
                there = storage.exists(kept) or self._make(sha256, url, px) is not None
                place = f"{storage.name(self._places.thumbnails)}/{storage.name(kept)}"
                self._stand_ins[key] = place if there else None
            except (ImageError, StorageError) as error:
                log.warning("no picture to look at: %s", error)
                if is_transient(error):
                    return None  # but next time, perhaps
                self._stand_ins[key] = None
        return self._stand_ins[key]

    def _read(self, sha256: str, px: int) -> bytes | None:
        """What is kept, if it is a picture of that size: anybody may have put it there."""
        url = self._url(sha256, px)
        kept = storage.read_if_exists(url, limit_bytes=THUMBNAIL_BYTES)
        try:
            return kept if kept and kept.startswith(_JPEG) and max(inspect(kept, url)) <= px else None
        except ImageError as error:
            log.warning("made anew: %s", error)
            return None

    def _make(self, sha256: str, url: str | None, px: int) -> bytes | None:
        larger = self._read(sha256, LARGE_PX) if px < LARGE_PX else None
        if url is None:
            return larger and thumbnail(larger, px, name=f"{sha256[:32]}-{LARGE_PX}")
        if larger is None:
            larger = storage.read(url, limit_bytes=PICTURE_BYTES)
            if hashlib.sha256(larger).hexdigest() != sha256:
                raise ImageError(f"{storage.public(url)}: is not the picture that was rendered, it has changed")
        small = thumbnail(larger, px, name=storage.public(url))
        try:
            storage.write(self._url(sha256, px), small)
        except StorageError as error:
            log.warning("thumbnail not kept: %s", error)
        return small

    def _url(self, sha256: str, px: int) -> str:
        return self._places.thumbnail(f"{sha256[:32]}-{px}")
