"""Names that are safe as file names: of manifests, and of their pairs.

Ids become file names on local disks, on S3 and on network shares that ignore case, so they are kept plain.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata

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


def id_of_file(name: str) -> str:
    """The name of a picture's file without its ending, as an id; `picture` where it can't be one."""
    stem = name.rpartition(".")[0] or name
    return stem if name_fault(stem) is None and name_key(stem) not in RESERVED else "picture"


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


def shorten_with_hash(name: str, longest_bytes: int, digits: int, whole: str | None = None) -> str:
    """The name's beginning, and so many digits of a hash of the `whole`, or else of the name."""
    digest = hashlib.sha256((name if whole is None else whole).encode()).hexdigest()[:digits]
    return f"{shorten(name, longest_bytes - 1 - digits)}-{digest}"
