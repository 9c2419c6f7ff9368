"""YAML to checked pairs.

A manifest is read strictly and in one go: whatever is wrong with it, all of it is reported, each fault with
its place and line. What comes out is complete: absolute locations, settings over defaults, an id for each
pair. Whether the inputs exist is found out later, by `renders`; only globs are looked up here.
"""

from __future__ import annotations

import itertools
import math
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path as LocalPath
from typing import Any, TypeVar

from styletransfer import storage
from styletransfer.errors import Fault, ManifestError, StorageError
from styletransfer.limits import MANIFEST_BYTES
from styletransfer.manifest import strict_yaml
from styletransfer.manifest.ids import Draft, default_id, settle_ids
from styletransfer.manifest.locations import Locations
from styletransfer.manifest.names import name_fault, slug
from styletransfer.manifest.pair_settings import PairSettings, Variant, checked_overrides
from styletransfer.manifest.pairs import Manifest, Pair, PairStyle
from styletransfer.manifest.schema import GridEntry, ManifestFile, PairEntry, StyleEntry, check_entry, shown
from styletransfer.manifest.strict_yaml import Document, Path, place
from styletransfer.manifest.weights_source import WeightsSource, seed_fault
from styletransfer.settings import SWEEPABLE, Settings

MOST_PAIRS = 10_000
"""Of one manifest, its grids and sweeps included."""


def load_manifest(
    location: str,
    *,
    output: str | None = None,
    weights: str | WeightsSource | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Manifest:
    """The manifest at a path or URL; `output`, `weights` and `settings` win over what it says, for every pair.

    A list in place of a setting's value, there or here, is a sweep.

    Raises ManifestError with all its faults, SettingsError for `settings` that are wrong, and StorageError
    when the manifest can't be read, or a folder that a glob names can't be for the moment.
    """
    location = storage.resolve(".", location)
    text = storage.read(location, limit_bytes=MANIFEST_BYTES)
    return parse_manifest(text, location, output=output, weights=weights, settings=settings)


def parse_manifest(
    text: str | bytes,
    location: str,
    *,
    output: str | None = None,
    weights: str | WeightsSource | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Manifest:
    """The manifest with this text, as if it were read from `location`; see `load_manifest`.

    What is given as an argument is relative to the working folder, what the text says to `location`.
    """
    location = storage.resolve(".", location)
    reader = _Reader(strict_yaml.load(text), location, checked_overrides(settings or {}))
    manifest = reader.read()
    if manifest is None:
        raise ManifestError(_in_order(reader.faults), storage.name(location))
    if output is not None:
        manifest = replace(manifest, output=storage.resolve(".", output))
    if weights is not None:
        asked = WeightsSource(weights) if isinstance(weights, str) else weights
        if fault := seed_fault(asked.source):
            raise ManifestError([Fault("weights", f"is {shown(asked.source)}; {fault}")])
        manifest = replace(manifest, weights=asked.located())
    return manifest


def _in_order(faults: Iterable[Fault]) -> list[Fault]:
    """Each fault once, from top to bottom."""
    return sorted(dict.fromkeys(faults), key=lambda fault: fault.line or 0)


_Entry = TypeVar("_Entry", PairEntry, GridEntry)


class _Reader:
    """One manifest's way from YAML to pairs; gathers faults on the way."""

    def __init__(self, document: Document, location: str, overrides: Mapping[str, Any]) -> None:
        self.document = document
        self.faults = list(document.faults)
        self.location = location
        self.locations = Locations(storage.parent(location), self.fault)
        self.overrides = overrides
        self._asked = 0

    def read(self) -> Manifest | None:
        value = self.document.value
        if not isinstance(value, dict):
            if not self.faults:
                self.fault((), f"is {shown(value)}; must be a mapping with `version`, `pairs` and more")
            return None
        head = self._head(value)
        name, output, weights = self._name(head), self._output(head), self._weights(head)
        settings = PairSettings(head.defaults, self.overrides, self.locations, self.fault)
        drafts = [*self._pairs(value, head, settings), *self._grids(value, head, settings)]
        if not drafts and not self.faults:
            self.fault((), "asks for no renders; give it `pairs` or a `grid`")
        pairs = settle_ids(drafts, self.fault, self.locations.relative)
        if self.faults:
            return None
        priority, notes = head.priority or "normal", (*self._notes(value), *dict.fromkeys(self.locations.notes))
        return Manifest(name, self.location, output, weights, pairs, priority, notes, head.max_failed)

    def fault(self, path: Path, message: str) -> None:
        self.faults.append(Fault(place(path) or "manifest", message, self.document.line(path)))

    # The top level

    def _head(self, value: dict[str, Any]) -> ManifestFile:
        """The top level without its pairs; a key with a fault counts as not given."""
        head = {key: part for key, part in value.items() if key not in ("pairs", "grid")}
        checked = check_entry(ManifestFile, head, (), self.document, self.faults)
        if checked is not None:
            return checked
        sound = {key: part for key, part in head.items() if self._is_sound({"version": 1, key: part})}
        return ManifestFile.model_validate({"version": 1, **sound})

    def _is_sound(self, head: dict[str, Any]) -> bool:
        return check_entry(ManifestFile, head, (), self.document, []) is not None

    def _name(self, head: ManifestFile) -> str:
        if head.name is None:
            return slug(LocalPath(storage.name(self.location)).stem)
        name = unicodedata.normalize("NFC", head.name)
        if fault := name_fault(name):
            self.fault(("name",), f"is {shown(name)}; it {fault}")
        return name

    def _output(self, head: ManifestFile) -> str:
        output = self.locations.resolve(("output",), head.output)
        if storage.scheme(output) in ("http", "https"):
            self.fault(("output",), "is a web address; results go to a path or to s3://BUCKET/FOLDER")
        return output

    def _weights(self, head: ManifestFile) -> WeightsSource:
        sha256 = head.weights.sha256
        asked = WeightsSource(head.weights.source, sha256.lower() if sha256 else None)
        if fault := seed_fault(asked.source):
            self.fault(("weights",), f"is {shown(asked.source)}; {fault}")
            return asked
        try:
            return asked.located(self.locations.folder)
        except StorageError as error:
            self.fault(("weights",), f"leads nowhere: {error}")
            return asked

    def _notes(self, value: dict[str, Any]) -> tuple[str, ...]:
        entries = [value, *(value.get("pairs") or []), *(value.get("grid") or [])]
        keys = ("priority", "requires", "max_failed")
        asked = [key for key in keys if any(entry.get(key) is not None for entry in entries)]
        return tuple(f"`{key}` has an effect on a farm only" for key in asked)

    # Pairs and grids

    def _entries(
        self, value: dict[str, Any], key: str, model: type[_Entry], settings: PairSettings
    ) -> Iterator[tuple[Path, _Entry]]:
        """The sound entries of a list of the top level, with their paths; of the others the settings are judged."""
        entries = value.get(key, [])
        if not isinstance(entries, list):
            self.fault((key,), f"is {shown(entries)}; must be a list")
            return
        for number, entry in enumerate(entries):
            path: Path = (key, number)
            checked = check_entry(model, entry, path, self.document, self.faults)
            if checked is not None:
                yield path, checked
            elif isinstance(entry, dict) and isinstance(own := entry.get("settings"), dict):
                settings.of(own, (*path, "settings"))

    def _pairs(self, value: dict[str, Any], head: ManifestFile, settings: PairSettings) -> Iterator[Draft]:
        for path, entry in self._entries(value, "pairs", PairEntry, settings):
            content = self.locations.resolve((*path, "content"), entry.content)
            if entry.style is not None:
                styles = [PairStyle(self.locations.resolve((*path, "style"), entry.style))]
            else:
                styles = list(self._styles(path, entry.styles or []))
            variants = settings.of(entry.settings, (*path, "settings"))
            size = f"makes {len(variants):,} renders" if len(variants) > 1 else "is one render too many"
            if self._has_room(len(variants), path, size):
                for variant in variants:
                    yield self._draft(entry, head, path, content, styles, variant)

    def _styles(self, path: Path, entries: Iterable[StyleEntry]) -> Iterator[PairStyle]:
        for number, entry in enumerate(entries):
            where = (*path, "styles", number)
            image = self.locations.resolve((*where, "image"), entry.image)
            region = self._optional((*where, "region"), entry.region)
            yield PairStyle(image, entry.weight, region, self._optional((*where, "from"), entry.sample))

    def _optional(self, path: Path, location: str | None) -> str | None:
        return None if location is None else self.locations.resolve(path, location)

    def _grids(self, value: dict[str, Any], head: ManifestFile, settings: PairSettings) -> Iterator[Draft]:
        for path, entry in self._entries(value, "grid", GridEntry, settings):
            contents = self.locations.find((*path, "contents"), entry.contents)
            styles = self.locations.find((*path, "styles"), entry.styles)
            variants = settings.of(entry.settings, (*path, "settings"))
            sizes = [len(contents), len(styles), *([len(variants)] if len(variants) > 1 else [])]
            size = f"makes {' x '.join(f'{size:,}' for size in sizes)} renders"
            if self._has_room(math.prod(sizes), path, size):
                for content, style, variant in itertools.product(contents, styles, variants):
                    yield self._draft(entry, head, path, content, [PairStyle(style)], variant)

    def _lines(self, path: Path, styles: int) -> dict[str, int]:
        """Lines of the keys that name inputs; a key that isn't there has the entry's."""
        keys: list[Path] = [("content",), ("contents",), ("styles",), ("keep",)]
        keys += [("settings", "proof"), ("settings", "init", "image")]
        for number in range(styles):
            keys += [("styles", number), ("styles", number, "region"), ("styles", number, "from")]
        lines = {place(key): self.document.line((*path, *key)) for key in keys}
        return {**lines, "style": max(self.document.line((*path, "style")), lines["styles[0]"])}

    def _has_room(self, renders: int, path: Path, message: str) -> bool:
        """Counts renders; those that are too many are a fault, once, and are not made."""
        before, self._asked = self._asked, self._asked + renders
        if before <= MOST_PAIRS < self._asked:
            self.fault(path, f"{message}; a manifest may ask for {MOST_PAIRS:,} at most")
        return self._asked <= MOST_PAIRS

    def _draft(
        self,
        entry: PairEntry | GridEntry,
        head: ManifestFile,
        path: Path,
        content: str,
        styles: list[PairStyle],
        variant: Variant,
    ) -> Draft:
        asked = entry.id if isinstance(entry, PairEntry) else None
        pair = Pair(
            id=default_id(content, styles, variant.label) if asked is None else _swept_id(asked, variant.label),
            content=content,
            styles=tuple(styles),
            settings=variant.settings or Settings(),
            format=entry.format or head.format,
            dpi=entry.dpi or head.dpi,
            priority=entry.priority or head.priority or "normal",
            place=place(path),
            line=self.document.line(path),
            lines=self._lines(path, len(styles)),
            keep=self._optional((*path, "keep"), entry.keep if isinstance(entry, PairEntry) else None),
            swept=_in_order_of_labels(variant.swept, entry.swept if isinstance(entry, PairEntry) else ()),
            embed_inputs=head.embed_inputs,
            requires=frozenset((head.requires or ()) if entry.requires is None else entry.requires),
            keep_versions=head.keep_versions,
        )
        return Draft(pair, path, explicit=asked is not None, sound=variant.settings is not None)


def _in_order_of_labels(*names: Iterable[str]) -> tuple[str, ...]:
    found = set(itertools.chain(*names))
    return tuple(name for name in SWEEPABLE if name in found)


def _swept_id(asked: str, label: str) -> str:
    """The id that is asked for, and what a sweep calls this one of its renders."""
    name = unicodedata.normalize("NFC", asked)
    return f"{name}-{label}" if label else name
