"""Paths, URLs and globs of a manifest, made absolute: what is relative is so to the manifest's folder."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from styletransfer import storage
from styletransfer.errors import StorageError
from styletransfer.manifest.schema import shown
from styletransfer.manifest.strict_yaml import Path
from styletransfer.settings import with_places


class Locations:
    """Of a manifest in `folder`. What leads nowhere is a `fault` at its path."""

    def __init__(self, folder: str, fault: Callable[[Path, str], None]) -> None:
        self.folder = folder
        self._fault = fault
        self._found: dict[str, list[str]] = {}
        self._patterns: dict[str, str] = {}
        self.notes: list[str] = []
        """On what a pattern leaves out though it may have been meant."""

    def resolve(self, path: Path, location: str) -> str:
        """The absolute URL; a location that leads nowhere stays as it is."""
        return self._resolve_in(self.folder, path, location) or location

    def in_settings(self, path: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Settings with those that are locations made absolute."""
        return with_places(settings, lambda keys, location: self.resolve((*path, *keys), location))

    def find(self, path: Path, patterns: Iterable[str]) -> list[str]:
        """Locations that the patterns of a grid stand for, each once, in their order."""
        found: dict[str, None] = {}
        for number, pattern in enumerate(patterns):
            found |= dict.fromkeys(self._glob((*path, number), pattern))
        self.notes += (note for pattern in patterns for note in self._other_case(pattern, found))
        return list(found)

    def _other_case(self, pattern: str, found: Collection[str]) -> Iterator[str]:
        """Of files on this host whose ending is written the other way, as cameras do."""
        head, _, ending = pattern.rpartition(".")
        url = self._patterns.get(pattern)
        if url is None or not storage.is_local(url) or not ending.isalpha():
            return
        more: list[str] = []
        other = ending.lower() if ending.isupper() else ending.upper()
        with suppress(StorageError):  # too much to look through, say, which is told of the pattern itself
            more = [each for each in self._listed(f"{url.rpartition('.')[0]}.{other}") if each not in found]
        if more:
            names = ", ".join(map(storage.name, more[:3])) + (" ..." if len(more) > 3 else "")
            yield f"{shown(pattern)} leaves out {names}, which {shown(f'{head}.{other}')} takes: case counts"

    def _glob(self, path: Path, pattern: str) -> list[str]:
        if not storage.is_pattern(pattern):
            return [self.resolve(path, pattern)]
        url = self._resolve_in(storage.escape(self.folder), path, pattern)
        if url is None:
            return []
        self._patterns[pattern] = url
        try:
            return self._listed(url) or self._no_match(path, pattern)
        except StorageError as error:
            if error.transient:
                raise
            self._fault(path, f"cannot be looked up: {error}")
            return []

    def _listed(self, url: str) -> list[str]:
        if url not in self._found:
            self._found[url] = storage.glob(url)
        return self._found[url]

    def _no_match(self, path: Path, pattern: str) -> list[str]:
        self._fault(path, f"is {shown(pattern)}; no file matches it")
        return []

    def relative(self, url: str) -> str:
        """The URL as it is written within the manifest's folder, without credentials."""
        return storage.public(url).removeprefix(f"{self.folder}/")

    def _resolve_in(self, folder: str, path: Path, location: str) -> str | None:
        try:
            return storage.resolve(folder, location)
        except StorageError as error:
            self._fault(path, f"leads nowhere: {error}")
            return None
