"""Where results land: names that are safe as file names, and the place of each file of a manifest.

    <output>/<manifest name>/<id>.<ext>, <id>.json, summary.json, index.html, index-2.html ...,
                             .checkpoints/<id>-<fingerprint>.safetensors, .thumbnails/<id>.jpg, .farm/<id>.json,
                             .farm/<run>.so-far, .<id>.preview.jpg, .<id>.preview.json,
                             .history/<id>/<fingerprint>.<ext>, .history/<id>/<fingerprint>.json

Ids become file names on local disks, on S3 and on network shares that ignore case, so they are kept plain.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from styletransfer import storage
from styletransfer.errors import StorageError
from styletransfer.manifest.names import LONGEST_NAME_BYTES, name_fault, shorten_with_hash
from styletransfer.pictures.formats import Format, extension

PAIRS_A_PAGE: Final = 500
"""Of the contact sheet: some 8 MB."""


@dataclass(frozen=True)
class OutputPlaces:
    """URLs of everything that a manifest's renders leave behind.

    Raises StorageError for a manifest name or an id that could lead out of the folder; the manifest's own
    checks find these first, with their line.
    """

    output: str
    manifest_name: str

    @property
    def folder(self) -> str:
        return storage.join(self.output, _safe(self.manifest_name))

    @property
    def summary(self) -> str:
        return storage.join(self.folder, "summary.json")

    @property
    def index(self) -> str:
        """The contact sheet's first page."""
        return self.page(1)

    def page(self, number: int) -> str:
        """One page of the contact sheet, from 1."""
        return storage.join(self.folder, page_name(number))

    @property
    def checkpoints(self) -> str:
        return storage.join(self.folder, ".checkpoints")

    @property
    def thumbnails(self) -> str:
        return storage.join(self.folder, ".thumbnails")

    @property
    def notes(self) -> str:
        return storage.join(self.folder, ".farm")

    def picture(self, pair_id: str, picture_format: Format) -> str:
        return storage.join(self.folder, _safe(pair_id) + extension(picture_format))

    def record(self, pair_id: str) -> str:
        return storage.join(self.folder, f"{_safe(pair_id)}.json")

    def preview(self, pair_id: str) -> str:
        """The picture of the first scales of a render that is to go on. No id begins with a dot."""
        return storage.join(self.folder, f".{_safe(pair_id)}.preview.jpg")

    def preview_record(self, pair_id: str) -> str:
        return storage.join(self.folder, f".{_safe(pair_id)}.preview.json")

    def checkpoint(self, pair_id: str, fingerprint: str) -> str:
        return storage.join(self.checkpoints, f"{_safe(pair_id)}-{_safe(fingerprint)}.safetensors")

    def thumbnail(self, pair_id: str) -> str:
        return storage.join(self.thumbnails, f"{_safe(pair_id)}.jpg")

    @property
    def history(self) -> str:
        """Former pictures of all pairs."""
        return storage.join(self.folder, ".history")

    def versions(self, pair_id: str) -> str:
        """The folder of the pair's former pictures."""
        return storage.join(self.history, _safe(pair_id))

    def version(self, pair_id: str, fingerprint: str, picture_format: Format) -> str:
        """A former picture of the pair."""
        return storage.join(self.versions(pair_id), _safe(fingerprint) + extension(picture_format))

    def version_record(self, pair_id: str, fingerprint: str) -> str:
        """Its record."""
        return storage.join(self.versions(pair_id), f"{_safe(fingerprint)}.json")

    def note(self, pair_id: str) -> str:
        """What a farm notes about the pair as long as it is not done."""
        return storage.join(self.notes, f"{_safe(pair_id)}.json")

    def so_far(self, run: str) -> str:
        """What there is to see of a farm's render run, by the run's id, as long as it renders."""
        return storage.join(self.notes, f"{_safe(run)}.so-far")


def page_name(number: int) -> str:
    """File name of the contact sheet's page, from 1: `index.html`, `index-2.html`."""
    return "index.html" if number == 1 else f"index-{number}.html"


def page_count(pairs: int) -> int:
    """Of a contact sheet of so many pairs; one of none has a page, too."""
    return max(1, math.ceil(pairs / PAIRS_A_PAGE))


class PicturePlaces(OutputPlaces):
    """Those of pictures that no manifest names: right in `output`, by their file names as ids.

    <id>, <id>.json, .history/<id>/, and while it is rendered .<id>-<fingerprint>.safetensors
    """

    @property
    def folder(self) -> str:
        return self.output

    def picture(self, pair_id: str, picture_format: Format) -> str:  # noqa: ARG002  (the id says it)
        return storage.join(self.folder, pair_id)

    def record(self, pair_id: str) -> str:
        return storage.join(self.folder, f"{pair_id}.json")

    def checkpoint(self, pair_id: str, fingerprint: str) -> str:
        return storage.join(self.folder, f".{_short(pair_id)}-{_safe(fingerprint)}.safetensors")

    def versions(self, pair_id: str) -> str:
        return storage.join(self.history, pair_id)


def _short(name: str) -> str:
    """The name, or so much of it as an id may have, with a hash of the whole."""
    if len(name.encode()) <= LONGEST_NAME_BYTES:
        return name
    return shorten_with_hash(name, LONGEST_NAME_BYTES, digits=16)


def _safe(name: str) -> str:
    fault = name_fault(name)
    if fault is not None:
        raise StorageError(f"{name!r} cannot name a file of the output: it {fault}")
    return name
