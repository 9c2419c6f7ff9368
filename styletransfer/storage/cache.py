"""Files that may be lost: bounded folders under the user's cache folder, shared by all processes of that user."""

from __future__ import annotations

import logging
import math
import os
import re
import stat
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from styletransfer import storage
from styletransfer.errors import StorageError
from styletransfer.limits import LARGEST_BYTES
from styletransfer.storage import local
from styletransfer.storage.faults import Refused

log = logging.getLogger(__name__)

FOLDER_VARIABLE = "STYLETRANSFER_CACHE_DIR"
LIMIT_VARIABLE = "STYLETRANSFER_CACHE_MB"
DEFAULT_LIMIT_MB = 1000

CACHES: Final = {"weights": (".weights", ".sha256"), "style-targets": (".safetensors",), "speeds": (".json",)}
"""Kind of the cache -> what the names of its files end with."""

_NAME = re.compile(r"[0-9a-f]{32}")
_PARTIAL = re.compile(rf"\.[0-9a-f]{{16}}{re.escape(storage.PARTIAL_SUFFIX)}")
_ABANDONED_S = 3600.0  # a file that has been half written for so long belonged to a process that was killed


def cache_folder(kind: str) -> Path:
    """Where files of this kind are kept: below STYLETRANSFER_CACHE_DIR, else the platform's cache folder."""
    if chosen := os.environ.get(FOLDER_VARIABLE):
        return Path(chosen).expanduser() / kind
    from platformdirs import user_cache_path

    return user_cache_path("styletransfer", appauthor=False) / kind


def is_cached_name(file_name: str, suffixes: Iterable[str]) -> bool:
    """Whether a cache names files so: 32 hex digits and a suffix. All others are somebody else's."""
    return any(
        file_name.endswith(suffix) and _NAME.fullmatch(file_name.removesuffix(suffix)) for suffix in suffixes
    )


def limit_bytes() -> int:
    """What STYLETRANSFER_CACHE_MB allows, 0 for nothing; the default where it says nothing or is no number."""
    asked = os.environ.get(LIMIT_VARIABLE, "").strip()
    if asked and not (asked.isascii() and asked.isdigit()):
        log.warning("%s is %r; must be a whole number of MB; taking %d", LIMIT_VARIABLE, asked, DEFAULT_LIMIT_MB)
        asked = ""
    return int(asked or DEFAULT_LIMIT_MB) * 10**6


class CachedFiles:
    """Files by name in one folder, so many bytes and so many files at most: the least recently used go first.
    A name is 32 hex digits, so that files of others in the folder are told apart, and stay.

    Several processes may use the folder at once: a file appears whole or not at all, and one that another process
    removes is as if it had never been there. A cache that can't be read or written only costs time.
    """

    def __init__(
        self, folder: Path, suffix: str, most_bytes: float = math.inf, most_files: float = math.inf
    ) -> None:
        self.folder, self.suffix, self.most_bytes, self.most_files = folder, suffix, most_bytes, most_files

    def read(self, name: str) -> bytes | None:
        """The file's bytes, or None. It counts as used."""
        if not self.most_bytes:
            return None
        path = self.path(name)
        with suppress(OSError, Refused):
            contents = local.read(path, int(min(self.most_bytes, LARGEST_BYTES)))
            with suppress(OSError):  # on a disk that can only be read
                os.utime(path)
            return contents
        return None

    def write(self, name: str, contents: bytes) -> None:
        """Keeps the file, and drops others as far as they are too many."""
        if len(contents) > self.most_bytes:
            return
        with suppress(StorageError, OSError):
            storage.write(str(self.path(name)), contents)
            self._shrink()

    def remove(self, name: str) -> None:
        with suppress(OSError):
            self.path(name).unlink(missing_ok=True)

    def path(self, name: str) -> Path:
        """Where the file is kept, if it is."""
        return self.folder / f"{name}{self.suffix}"

    def _shrink(self) -> None:
        """Remove the least recently used files beyond the limits, and what killed processes left."""
        kept_bytes = 0
        for number, (_, size, path) in enumerate(sorted(self._files(), reverse=True), 1):
            kept_bytes += size
            if kept_bytes > self.most_bytes or number > self.most_files:
                path.unlink(missing_ok=True)
        for path in self.folder.glob(f".*{storage.PARTIAL_SUFFIX}"):
            with suppress(FileNotFoundError):
                status = path.lstat()
                if _PARTIAL.fullmatch(path.name) and stat.S_ISREG(status.st_mode) and _is_abandoned(status):
                    path.unlink()

    def _files(self) -> list[tuple[int, int, Path]]:
        """When each file was last used, its size in bytes, its path."""
        found = []
        for path in self.folder.glob(f"*{self.suffix}"):
            with suppress(FileNotFoundError):  # another process was faster
                status = path.lstat()
                if is_cached_name(path.name, [self.suffix]) and stat.S_ISREG(status.st_mode):
                    found.append((status.st_mtime_ns, status.st_size, path))
        return found


def _is_abandoned(status: os.stat_result) -> bool:
    return time.time() - status.st_mtime > _ABANDONED_S
