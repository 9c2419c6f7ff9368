"""Where results land: names that are safe as file names, and the place of each file of a manifest.

    <output>/<manifest name>/<id>.<ext>, <id>.json, summary.json, index.html,
                             .checkpoints/<id>-<fingerprint>.safetensors, .thumbnails/<id>.jpg, .farm/<id>.json

Ids become file names on local disks, on S3 and on network shares that ignore case, so they are kept plain.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from styletransfer import storage
from styletransfer.errors import StorageError
from styletransfer.formats import Format, extension

LONGEST_NAME_BYTES = 150
"""Of an id in UTF-8: `<id>-<fingerprint>.safetensors` stays under the 255 that file systems allow."""

RESERVED = frozenset({"summary", "index"})
"""Ids that are taken by `summary.json` and `index.html`."""

_NAME = re.compile(
    r"[^\W_][\w.-]*"
)  # letters and digits of any script, '_', '-', '.'; first a letter or digit
_NOT_IN_SLUGS = re.compile(r"[^\w]+")


def name_fault(name: str) -> str | None:
    """What a name must be, if it is not fit to be a file's or a folder's name; None if it is."""
    if not _NAME.fullmatch(name) or name.endswith("."):
        return "must be letters, digits, '-', '_' and '.', begin with a letter or digit and not end with '.'"
    if len(name.encode()) > LONGEST_NAME_BYTES:
        return f"must be at most {LONGEST_NAME_BYTES} bytes long"
    return None


def name_key(name: str) -> str:
    """Equal for names that are the same file somewhere: case and the encoding of accents don't count."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def slug(text: str, longest_bytes: int = LONGEST_NAME_BYTES) -> str:
    """The text as a plain lower-case name: `Große Welle (2).v1` becomes `große-welle-2-v1`. Never empty.

    `--` does not occur in it, so that it can stand between two slugs.
    """
    words = _NOT_IN_SLUGS.sub("-", unicodedata.normalize("NFKC", text).lower())
    return shorten(words.strip("-_"), longest_bytes) or "picture"


def shorten(name: str, longest_bytes: int) -> str:
    """The name cut to a number of bytes in UTF-8, without half a letter or a '-' at the end."""
    cut = name.encode()[:longest_bytes].decode(errors="ignore")
    return unicodedata.normalize("NFC", cut).rstrip("-_.")


@dataclass(frozen=True)
class Places:
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
        return storage.join(self.folder, "index.html")

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

    def checkpoint(self, pair_id: str, fingerprint: str) -> str:
        return storage.join(self.checkpoints, f"{_safe(pair_id)}-{_safe(fingerprint)}.safetensors")

    def thumbnail(self, pair_id: str) -> str:
        return storage.join(self.thumbnails, f"{_safe(pair_id)}.jpg")

    def note(self, pair_id: str) -> str:
        """What a farm notes about the pair as long as it is not done."""
        return storage.join(self.notes, f"{_safe(pair_id)}.json")


def _safe(name: str) -> str:
    fault = name_fault(name)
    if fault is not None:
        raise StorageError(f"{name!r} cannot name a file of the output: it {fault}")
    return name
