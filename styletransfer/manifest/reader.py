"""YAML to checked pairs.

A manifest is read strictly and in one go: whatever is wrong with it, all of it is reported, each fault with
its place and line. What comes out is complete: absolute locations, settings over defaults, an id for each
pair. Whether the inputs exist is found out later, by `renders`; only globs are looked up here.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path as LocalPath
from typing import Any, TypeVar

from styletransfer import storage
from styletransfer.errors import Fault, ManifestError, SettingsError, StorageError
from styletransfer.limits import MANIFEST_BYTES
from styletransfer.manifest import strict_yaml
from styletransfer.manifest.names import LONGEST_NAME_BYTES, RESERVED, name_fault, name_key, shorten, slug
from styletransfer.manifest.schema import (
    GridEntry,
    ManifestFile,
    PairEntry,
    Priority,
    StyleEntry,
    check_entry,
    json_schema,
    shown,
)
from styletransfer.manifest.strict_yaml import Document, Path, place
from styletransfer.manifest.weights_source import WeightsSource, seed_fault
from styletransfer.pictures.formats import Format
from styletransfer.settings import PictureSettings, Settings, check_settings

__all__ = [
    "MOST_PAIRS",
    "Manifest",
    "Pair",
    "PairStyle",
    "Priority",
    "WeightsSource",
    "json_schema",
    "load_manifest",
    "parse_manifest",
]

MOST_PAIRS = 10_000
"""Of one manifest, its grids included."""

_HASH_DIGITS = 6
_LONGER_HASH_DIGITS = 16  # six digits of some thousand pairs meet by chance
_LONGEST_DEFAULT_ID_BYTES = LONGEST_NAME_BYTES - 1 - _LONGER_HASH_DIGITS
_LONGEST_SLUG_BYTES = 48


@dataclass(frozen=True)
class PairStyle:
    """A style picture and its part of the blend, greater than 0 and relative to the other weights."""

    image: str
    weight: float = 1.0


@dataclass(frozen=True)
class Pair:
    """One picture to make. All locations are absolute URLs; dpi None takes the content's.

    `place` (`pairs[3]`) and `line` say where the manifest asks for it, `lines` where each input is named.
    """

    id: str
    content: str
    styles: tuple[PairStyle, ...]
    settings: Settings
    format: Format
    dpi: float | None
    priority: Priority
    place: str
    line: int | None = None
    lines: Mapping[str, int] = field(default_factory=dict, repr=False, compare=False)

    def line_of(self, key: str) -> int | None:
        """Line of a key of the entry (`styles[1]`), or else of the entry."""
        return self.lines.get(key, self.line)


@dataclass(frozen=True)
class Manifest:
    """A named set of pairs. `notes` tell what it asks for that has an effect on a farm only."""

    name: str
    location: str
    output: str
    weights: WeightsSource
    pairs: tuple[Pair, ...]
    priority: Priority = "normal"
    notes: tuple[str, ...] = ()


def load_manifest(
    location: str,
    *,
    output: str | None = None,
    weights: str | WeightsSource | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Manifest:
    """The manifest at a path or URL; `output`, `weights` and `settings` win over what it says.

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
    reader = _Reader(strict_yaml.load(text), location, _check_overrides(settings or {}))
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


def _check_overrides(settings: Mapping[str, Any]) -> dict[str, Any]:
    proof = settings.get("proof")
    located = {"proof": storage.resolve(".", proof)} if isinstance(proof, str) and proof else {}
    check_settings(settings)
    return {**settings, **located}


def _in_order(faults: Iterable[Fault]) -> list[Fault]:
    """Each fault once, from top to bottom."""
    return sorted(dict.fromkeys(faults), key=lambda fault: fault.line or 0)


@dataclass(frozen=True)
class _Draft:
    """A pair whose id is not settled: `pair.id` is the one it asks for, or else its default.

    Without `sound` settings the pair has the program's, for want of better.
    """

    pair: Pair
    path: Path
    explicit: bool
    sound: bool


_Entry = TypeVar("_Entry", PairEntry, GridEntry)


class _Reader:
    """One manifest's way from YAML to pairs; gathers faults on the way."""

    def __init__(self, document: Document, location: str, overrides: Mapping[str, Any]) -> None:
        self.document = document
        self.faults = list(document.faults)
        self.location = location
        self.folder = storage.parent(location)
        self.overrides = overrides
        self.defaults: dict[str, Any] = {}
        self._asked = 0
        self._settings: dict[str, Settings | SettingsError] = {}
        self._found: dict[str, list[str]] = {}

    def read(self) -> Manifest | None:
        value = self.document.value
        if not isinstance(value, dict):
            if not self.faults:
                self.fault((), f"is {shown(value)}; must be a mapping with `version`, `pairs` and more")
            return None
        head = self._head(value)
        name, output, weights = self._name(head), self._output(head), self._weights(head)
        self.defaults = self._read_defaults(head)
        drafts = [*self._pairs(value, head), *self._grids(value, head)]
        if not drafts and not self.faults:
            self.fault((), "asks for no renders; give it `pairs` or a `grid`")
        pairs = self._settle_ids(drafts)
        if self.faults:
            return None
        return Manifest(name, self.location, output, weights, pairs, head.priority or "normal", self._notes(value))

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

    def _read_defaults(self, head: ManifestFile) -> dict[str, Any]:
        """The defaults whose values are sound by themselves; the others become faults here, once."""
        located = self._locate_proof(head.defaults, ("defaults",))
        checked = self._check(located)
        if isinstance(checked, Settings):
            return located
        self._add_settings_faults(checked, ("defaults",))
        faulty = {fault.place for fault in checked.faults}
        return {key: value for key, value in located.items() if key not in faulty}

    def _name(self, head: ManifestFile) -> str:
        if head.name is None:
            return slug(LocalPath(storage.name(self.location)).stem)
        name = unicodedata.normalize("NFC", head.name)
        if fault := name_fault(name):
            self.fault(("name",), f"is {shown(name)}; it {fault}")
        return name

    def _output(self, head: ManifestFile) -> str:
        output = self._resolve(("output",), head.output)
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
            return asked.located(self.folder)
        except StorageError as error:
            self.fault(("weights",), f"leads nowhere: {error}")
            return asked

    def _notes(self, value: dict[str, Any]) -> tuple[str, ...]:
        entries = [value, *(value.get("pairs") or []), *(value.get("grid") or [])]
        asked = sum(entry.get("priority") is not None for entry in entries)
        return ("`priority` has an effect on a farm only",) if asked else ()

    # Pairs and grids

    def _entries(self, value: dict[str, Any], key: str, model: type[_Entry]) -> Iterator[tuple[Path, _Entry]]:
        """The sound entries of a list of the top level, with their paths."""
        entries = value.get(key, [])
        if not isinstance(entries, list):
            self.fault((key,), f"is {shown(entries)}; must be a list")
            return
        for number, entry in enumerate(entries):
            path = (key, number)
            checked = check_entry(model, entry, path, self.document, self.faults)
            if checked is not None:
                yield path, checked

    def _pairs(self, value: dict[str, Any], head: ManifestFile) -> Iterator[_Draft]:
        for path, entry in self._entries(value, "pairs", PairEntry):
            content = self._resolve((*path, "content"), entry.content)
            if entry.style is not None:
                styles = [PairStyle(self._resolve((*path, "style"), entry.style))]
            else:
                styles = list(self._styles(path, entry.styles or []))
            settings = self._pair_settings(entry.settings, (*path, "settings"))
            if self._has_room(1, path, "is one render too many"):
                yield self._draft(entry, head, path, content, styles, settings)

    def _styles(self, path: Path, entries: Iterable[StyleEntry]) -> Iterator[PairStyle]:
        for number, entry in enumerate(entries):
            image = self._resolve((*path, "styles", number, "image"), entry.image)
            yield PairStyle(image, entry.weight)

    def _grids(self, value: dict[str, Any], head: ManifestFile) -> Iterator[_Draft]:
        for path, entry in self._entries(value, "grid", GridEntry):
            contents = self._find((*path, "contents"), entry.contents)
            styles = self._find((*path, "styles"), entry.styles)
            settings = self._pair_settings(entry.settings, (*path, "settings"))
            size = f"makes {len(contents):,} x {len(styles):,} renders"
            if self._has_room(len(contents) * len(styles), path, size):
                for content, style in itertools.product(contents, styles):
                    yield self._draft(entry, head, path, content, [PairStyle(style)], settings)

    def _lines(self, path: Path, styles: int) -> dict[str, int]:
        """Lines of the keys that name inputs; a key that isn't there has the entry's."""
        keys: list[Path] = [("content",), ("contents",), ("styles",), ("settings", "proof")]
        keys += [("styles", number) for number in range(styles)]
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
        settings: Settings | None,
    ) -> _Draft:
        asked = entry.id if isinstance(entry, PairEntry) else None
        pair = Pair(
            id=_default_id(content, styles) if asked is None else unicodedata.normalize("NFC", asked),
            content=content,
            styles=tuple(styles),
            settings=settings or Settings(),
            format=entry.format or head.format,
            dpi=entry.dpi or head.dpi,
            priority=entry.priority or head.priority or "normal",
            place=place(path),
            line=self.document.line(path),
            lines=self._lines(path, len(styles)),
        )
        return _Draft(pair, path, explicit=asked is not None, sound=settings is not None)

    # Settings

    def _pair_settings(self, own: Mapping[str, Any], path: Path) -> Settings | None:
        """A pair's settings over the defaults, or None where they are faulty."""
        merged = {**self.defaults, **self._locate_proof(own, path), **self.overrides}
        checked = self._check(merged)
        if isinstance(checked, Settings):
            return checked
        if own:  # else it is the defaults' fault, and reported there
            self._add_settings_faults(checked, path)
        return None

    def _check(self, values: Mapping[str, Any]) -> Settings | SettingsError:
        """Checked settings, or what is wrong; the same values are checked once for all pairs."""
        key = json.dumps(values, sort_keys=True, default=repr)
        if key not in self._settings:
            try:
                self._settings[key] = check_settings(values, "")
            except SettingsError as error:
                self._settings[key] = error
        return self._settings[key]

    def _add_settings_faults(self, error: SettingsError, path: Path) -> None:
        for fault in error.faults:
            self.fault((*path, *([fault.place] if fault.place else [])), fault.message)

    def _locate_proof(self, values: Mapping[str, Any], path: Path) -> dict[str, Any]:
        """The one setting that is a location, made absolute."""
        proof = values.get("proof")
        if not isinstance(proof, str) or not proof:
            return dict(values)
        return {**values, "proof": self._resolve((*path, "proof"), proof)}

    # Locations

    def _resolve(self, path: Path, location: str) -> str:
        return self._resolve_in(self.folder, path, location) or location

    def _resolve_in(self, folder: str, path: Path, location: str) -> str | None:
        try:
            return storage.resolve(folder, location)
        except StorageError as error:
            self.fault(path, f"leads nowhere: {error}")
            return None

    def _find(self, path: Path, patterns: Iterable[str]) -> list[str]:
        """Locations that the patterns of a grid stand for, each once, in their order."""
        found: dict[str, None] = {}
        for number, pattern in enumerate(patterns):
            found |= dict.fromkeys(self._glob((*path, number), pattern))
        return list(found)

    def _glob(self, path: Path, pattern: str) -> list[str]:
        if not storage.is_pattern(pattern):
            return [self._resolve(path, pattern)]
        url = self._resolve_in(storage.escape(self.folder), path, pattern)
        if url is None:
            return []
        try:
            return self._listed(url) or self._no_match(path, pattern)
        except StorageError as error:
            if error.transient:
                raise
            self.fault(path, f"cannot be looked up: {error}")
            return []

    def _listed(self, url: str) -> list[str]:
        if url not in self._found:
            self._found[url] = storage.glob(url)
        return self._found[url]

    def _no_match(self, path: Path, pattern: str) -> list[str]:
        self.fault(path, f"is {shown(pattern)}; no file matches it")
        return []

    # Ids

    def _settle_ids(self, drafts: list[_Draft]) -> tuple[Pair, ...]:
        """Every pair with an id of its own. Default ids give way to each other and to those asked for."""
        taken = self._check_explicit_ids(drafts)
        ids = {number: draft.pair.id for number, draft in enumerate(drafts)}
        for digits in (_HASH_DIGITS, _LONGER_HASH_DIGITS):
            for number in _clashing(drafts, ids, taken):
                pair = drafts[number].pair
                ids[number] = f"{pair.id}-{self._digest(pair)[:digits]}"
        first: dict[str, _Draft] = {}
        for number in _clashing(drafts, ids, taken):
            draft = drafts[number]
            if draft.sound and (other := first.setdefault(ids[number], draft)) is not draft:
                what = f"the same render as {other.pair.place} (line {other.pair.line}): {draft.pair.id}"
                self.fault(draft.path, f"asks for {what}; remove one, or give it an `id`")
        return tuple(replace(draft.pair, id=ids[number]) for number, draft in enumerate(drafts))

    def _check_explicit_ids(self, drafts: list[_Draft]) -> set[str]:
        taken: dict[str, Pair] = {}
        for draft in drafts:
            if not draft.explicit:
                continue
            pair, path, key = draft.pair, (*draft.path, "id"), name_key(draft.pair.id)
            if fault := name_fault(pair.id):
                self.fault(path, f"is {shown(pair.id)}; it {fault}")
            elif key in RESERVED:
                self.fault(path, f"is {shown(pair.id)}, which is taken; choose another")
            elif key in taken:
                other = taken[key]
                message = f"is {shown(pair.id)}, already the id of {other.place} (line {other.line})"
                self.fault(path, f"{message}; ids must differ in more than case")
            taken.setdefault(key, pair)
        return set(taken)

    def _digest(self, pair: Pair) -> str:
        """Hash of what the pair renders, the same wherever the folder of the manifest lies."""
        settings = pair.settings.differences()
        own = {name: value for name, value in settings.items() if name in PictureSettings.model_fields}
        if pair.settings.proof is not None:
            own["proof"] = self._relative(pair.settings.proof)
        styles = [[self._relative(style.image), style.weight] for style in pair.styles]
        parts = [self._relative(pair.content), styles, own]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def _relative(self, url: str) -> str:
        return storage.public(url).removeprefix(f"{self.folder}/")


def _default_id(content: str, styles: Iterable[PairStyle]) -> str:
    """`<content>--<style>[--<style>...]`, from the files' names."""
    urls = [content, *(style.image for style in styles)]
    slugs = [slug(LocalPath(storage.name(url)).stem, _LONGEST_SLUG_BYTES) for url in urls]
    return shorten("--".join(slugs), _LONGEST_DEFAULT_ID_BYTES)


def _clashing(drafts: list[_Draft], ids: Mapping[int, str], taken: set[str]) -> list[int]:
    """Pairs with a default id that another pair has as well."""
    sharing: dict[str, list[int]] = defaultdict(list)
    for number, draft in enumerate(drafts):
        if not draft.explicit:
            sharing[name_key(ids[number])].append(number)
    groups = ((key, numbers) for key, numbers in sharing.items() if len(numbers) > 1 or key in taken)
    return [number for _, numbers in groups for number in numbers]
