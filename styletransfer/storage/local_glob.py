"""Patterns looked up in folders of this host: every look-up ends, however links lead round in circles."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from glob import has_magic

from styletransfer.storage.patterns import check_listed, name_matches


def matching(pattern: str) -> list[str]:
    """Paths that match an absolute pattern, folders too, each once. Raises Refused where there is too much."""
    parts = pattern.strip("/").split("/")
    return sorted(set(_LookUp().matching("/", parts)))


def _devices_of_the_kernel() -> frozenset[int]:
    """Of file systems that hold no files, and lead back to all others."""
    found = []
    for path in ("/proc", "/sys"):
        with suppress(OSError):
            found.append(os.stat(path).st_dev)  # noqa: PTH116
    return frozenset(found) - {os.stat("/").st_dev}  # noqa: PTH116


class _LookUp:
    """One look-up, which counts the names it sees. Folders that can't be listed hold nothing, as in a shell."""

    def __init__(self) -> None:
        self._seen = 0
        self._left_out = _devices_of_the_kernel()
        self._last: tuple[str, list[os.DirEntry[str]]] = ("", [])  # `**` wants each folder twice

    def matching(self, folder: str, wanted: list[str]) -> Iterator[str]:
        """Paths below the folder that match, listing only folders that can hold a match."""
        first, rest = wanted[0], wanted[1:]
        if first == "**":
            while rest[:1] == ["**"]:  # the same, seen again and again
                rest = rest[1:]
            for inner in self._folders(folder):
                yield from self.matching(inner, rest or ["*"])
        elif rest:
            for inner in self._named(folder, first):
                yield from self.matching(inner, rest)
        else:
            yield from self._named(folder, first)

    def _named(self, folder: str, wanted: str) -> Iterator[str]:
        """What lies in the folder and has such a name."""
        path = os.path.join(folder, wanted)  # noqa: PTH118  (Path is slow for so many)
        if has_magic(wanted):
            yield from (entry.path for entry in self._entries(folder) if name_matches(entry.name, wanted))
        elif os.path.lexists(path):
            yield path

    def _folders(self, folder: str) -> Iterator[str]:
        """The folder and all below it, none hidden and none of the kernel's.

        A link to a folder that it lies in itself is not followed.
        """
        waiting: list[tuple[str, frozenset[tuple[int, int]]]] = [(folder, frozenset())]
        while waiting:
            path, around = waiting.pop()
            try:
                status = os.stat(path)  # noqa: PTH116
            except OSError:
                continue
            here = (status.st_dev, status.st_ino)
            if here not in around and status.st_dev not in self._left_out:
                yield path
                inner = (entry for entry in self._entries(path) if not entry.name.startswith("."))
                waiting += [(entry.path, around | {here}) for entry in inner if entry.is_dir()]

    def _entries(self, folder: str) -> list[os.DirEntry[str]]:
        if folder == self._last[0]:
            return self._last[1]
        try:
            with os.scandir(folder) as found:
                entries = list(found)
        except OSError:
            return []
        self._seen += len(entries)
        check_listed(self._seen)
        self._last = (folder, entries)
        return entries
