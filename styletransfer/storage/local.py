"""Files of this host, and of what is mounted on it."""

from __future__ import annotations

import errno
import os
import secrets
import stat as stat_flags
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from styletransfer.storage.faults import Refused
from styletransfer.storage.local_glob import matching
from styletransfer.storage.stats import Stat, check_size

PARTIAL_SUFFIX = ".partial"
"""Ends the hidden name of a local file that is still being written; only a killed process leaves one."""


def read(path: Path, limit_bytes: int) -> bytes:
    """As many bytes as the file had when it was opened."""
    if _regular_size(path.stat()) == 0:
        return b""  # unopened: the kernel's files in /proc claim to be regular and empty, and may never end
    with opened(path) as file:
        size = _regular_size(os.fstat(file.fileno()))
        check_size(size, limit_bytes)
        return file.read(size)


def opened(path: Path) -> BinaryIO:
    """The file, to read, if it is a regular one: opening a device may do something, a pipe may never end."""
    _regular_size(path.stat())
    file = open(path, "rb", opener=_without_waiting)  # noqa: SIM115  (Path.open has no opener)
    try:
        _regular_size(os.fstat(file.fileno()))  # it may be another by now
    except BaseException:
        file.close()
        raise
    return file


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def _regular_size(status: os.stat_result) -> int:
    if stat_flags.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, "is a folder")
    if not stat_flags.S_ISREG(status.st_mode):
        raise Refused("it is not a regular file", "name a file")
    return status.st_size


def write(path: Path, contents: bytes | bytearray | memoryview, *, private: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # In the same folder, since a rename is atomic only within a file system; hidden from patterns.
    partial = path.parent / f".{secrets.token_hex(8)}{PARTIAL_SUFFIX}"
    try:
        with open(partial, "xb", opener=_for_owner if private else None) as file:
            file.write(contents)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _for_owner(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _sync_folder(folder: Path) -> None:
    """Make a rename survive a power cut, where the file system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def stat(path: Path) -> Stat:
    status = path.stat()
    if stat_flags.S_ISDIR(status.st_mode):
        raise FileNotFoundError(errno.ENOENT, "is a folder", str(path))
    modified = datetime.fromtimestamp(status.st_mtime_ns // 1000 / 1e6, UTC)
    return Stat(status.st_size, f"ctime-{status.st_ctime_ns:x}", modified)


def glob(pattern: str) -> list[str]:
    """Paths of the files that match."""
    return [path for path in matching(pattern) if Path(path).is_file()]
