"""What is known of a stored file without reading it, and how large a file may be that is read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from styletransfer.storage.faults import Refused


@dataclass(frozen=True)
class Stat:
    """What is known of a stored file without reading it: two equal ones mean unchanged contents.

    size in bytes, -1 where a web server does not tell; etag: S3's or the web server's, for a local file its
    change time (it moves even where a copy keeps the modification time), else None; modified: UTC, or None.
    """

    size: int
    etag: str | None
    modified: datetime | None


def check_size(size: int, limit_bytes: int) -> None:
    """Raises Refused for a file that is too large to be read, or has already sent more than may be."""
    if size > limit_bytes:
        raise Refused(f"it has {size:,} bytes or more; at most {limit_bytes:,} are read here")
