"""Whether two locations lead to the same file: one rule for all that must not be written over."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from styletransfer import storage
from styletransfer.manifest.names import name_key


class FileKeys:
    """What locations have in common that lead to the same file: their resolved place, or their inode.

    Names that differ only in case count as the same, as they are on some file systems; links of both kinds are
    followed. Remembers where folders lead.
    """

    def __init__(self) -> None:
        self._folders: dict[str, str] = {}

    def place(self, url: str) -> str:
        """Where the file's name stands, whatever it leads to."""
        if not storage.is_local(url):
            return name_key(storage.public(url))
        folder, name = os.path.split(url)
        if folder not in self._folders:
            self._folders[folder] = os.path.realpath(folder)
        return name_key(f"{self._folders[folder]}{os.sep}{name}")

    def of(self, url: str) -> Iterator[str]:
        """All keys of a location; one that another has, too, tells that the two lead to the same file."""
        yield self.place(url)
        if storage.is_local(url):
            path = Path(url)
            with suppress(OSError):  # not there, or a name that no file can have
                if path.is_symlink():
                    yield name_key(os.path.realpath(path))
                status = path.stat()
                yield f"inode {status.st_dev}:{status.st_ino}"
