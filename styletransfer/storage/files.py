"""Files in and out, by URL: local paths, `s3://`, `http(s)://` (to read), `memory://`, others fsspec knows.

Nothing is cached between calls: what another host has just written is seen. Every function may be called from
any thread, and ends: sizes and times are bounded (`styletransfer.limits`). Every error leaves as a `StorageError`;
its `transient` says whether another try can help. Retries with growing delays are the caller's business, so in here
an S3 request is tried three times at most.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from styletransfer.errors import StorageError
from styletransfer.limits import LARGEST_BYTES
from styletransfer.redaction import public
from styletransfer.storage import local, s3, web
from styletransfer.storage.faults import Refused, explain
from styletransfer.storage.filesystems import filesystem_of
from styletransfer.storage.patterns import is_pattern, literal_folder, matches, unescape
from styletransfer.storage.stats import Stat, check_size
from styletransfer.storage.urls import SCHEME, check_utf8, is_local, is_s3, is_web, parent, scheme


def read(url: str, *, limit_bytes: int = LARGEST_BYTES) -> bytes:
    """The whole file. Raises StorageError, also when it is larger than `limit_bytes`."""
    with _translated("read", url):
        return _read(url, limit_bytes)


def read_if_exists(url: str, *, limit_bytes: int = LARGEST_BYTES) -> bytes | None:
    """The whole file, or None when there is none. Raises StorageError for anything else."""
    with _translated("read", url):
        try:
            return _read(url, limit_bytes)
        except (FileNotFoundError, NotADirectoryError):
            return None


def opened(path: Path) -> BinaryIO:
    """A local file, to read a part of it. Raises StorageError, also for what is no regular file."""
    with _translated("read", str(path)):
        return local.opened(path)


def write(url: str, contents: bytes | bytearray | memoryview, *, private: bool = False) -> None:
    """Store `contents` under `url`, in place of what was there, making folders as needed.

    Appears whole or not at all: a reader never sees a part, and a failure leaves the old file as it was. What is
    `private` only its owner may read on a disk; elsewhere the store's own rules hold.
    """
    with _translated("write", url):
        if is_local(url):
            local.write(Path(url), contents, private=private)
        elif is_web(url):
            raise Refused("web servers are only read from", "write to a path or to s3://")
        elif is_s3(url):
            s3.write(url, contents)
        else:
            filesystem = filesystem_of(scheme(url))
            filesystem.makedirs(parent(url), exist_ok=True)
            filesystem.pipe_file(url, bytes(contents))


def delete(url: str) -> None:
    """Remove the file; nothing happens when there is none."""
    with _translated("delete", url), suppress(FileNotFoundError, NotADirectoryError):
        if is_local(url):
            Path(url).unlink()
        elif is_web(url):
            raise Refused("web servers are only read from")
        else:
            filesystem_of(scheme(url)).rm_file(url)


def stat(url: str) -> Stat:
    """Size, ETag and time of change. Raises StorageError when there is no such file."""
    with _translated("look at", url):
        return _stat(url)


def exists(url: str) -> bool:
    """Whether the file is there. Raises StorageError where that cannot be told (no access, no connection)."""
    with _translated("look at", url):
        try:
            _stat(url)
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True


def glob(pattern: str) -> list[str]:
    """URLs of the files that match, sorted: `*`, `?`, `[...]` within a name, `**` for any folders.

    As in a shell, hidden names match only a pattern that begins with a dot itself. A pattern that matches
    nothing but is itself a file's name (`photo [2].jpg`) gives that file. No match at all gives [].
    """
    with _translated("list", pattern):
        if is_web(pattern):
            raise Refused("a web server cannot be listed", "name each file")
        found = _glob(pattern) if is_pattern(pattern) else []
        if not found:
            literal = unescape(pattern)
            with suppress(FileNotFoundError, NotADirectoryError):
                _stat(literal)
                found = [literal]
        return sorted(found)


def _glob(pattern: str) -> list[str]:
    if is_local(pattern):
        return local.glob(pattern)
    host, _, path = SCHEME.sub("", pattern, count=1).lstrip("/").partition("/")
    if is_s3(pattern):
        return s3.glob(host, path)
    found = [name.lstrip("/") for name in filesystem_of(scheme(pattern)).find(literal_folder(pattern))]
    wanted = [host, *path.split("/")]
    return [f"{scheme(pattern)}://{name}" for name in found if matches(name.split("/"), wanted)]


def _read(url: str, limit_bytes: int) -> bytes:
    if is_local(url):
        return local.read(Path(url), limit_bytes)
    if is_s3(url):
        return s3.read(url, limit_bytes)
    if is_web(url):
        return web.read(url, limit_bytes)
    filesystem = filesystem_of(scheme(url))
    check_size(int(filesystem.info(url)["size"] or 0), limit_bytes)
    return bytes(filesystem.cat_file(url))


def _stat(url: str) -> Stat:
    if is_local(url):
        return local.stat(Path(url))
    if is_s3(url):
        return s3.stat(url)
    if is_web(url):
        return web.stat(url)
    filesystem = filesystem_of(scheme(url))
    info = filesystem.info(url)
    if info["type"] != "file":
        raise FileNotFoundError(errno.ENOENT, "no such file", url)
    return Stat(int(info["size"] or 0), info.get("ETag") or info.get("etag"), _modified(filesystem, url))


def _modified(filesystem: Any, url: str) -> datetime | None:
    try:
        moment = filesystem.modified(url)
    except NotImplementedError:
        return None
    return moment.astimezone(UTC) if isinstance(moment, datetime) else None


@contextmanager
def _translated(action: str, url: str) -> Iterator[None]:
    """Turns whatever a backend raises into a StorageError that names the URL and says what to do."""
    try:
        check_utf8(url)
        yield
    except (StorageError, MemoryError):
        raise
    except Exception as error:
        what, advice, transient, of_host = explain(error, writing=action == "write")
        message = f"cannot {action} {public(url)}: {what}" + (f"; {advice}" if advice else "")
        raise StorageError(message, transient=transient, of_host=of_host) from error
