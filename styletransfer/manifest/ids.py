"""Ids of pairs: those asked for, and default ids from the names of the pictures, each of them once."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path as LocalPath
from typing import Final

from styletransfer import storage
from styletransfer.manifest.names import LONGEST_NAME_BYTES, RESERVED, name_fault, name_key, shorten, slug
from styletransfer.manifest.pairs import Pair, PairStyle
from styletransfer.manifest.schema import shown
from styletransfer.manifest.strict_yaml import Path
from styletransfer.settings import ExecutionSettings, with_places

_HASH_DIGITS: Final = 6
_LONGER_HASH_DIGITS: Final = 16  # six digits of some thousand pairs meet by chance
_LONGEST_DEFAULT_ID_BYTES: Final = LONGEST_NAME_BYTES - 1 - _LONGER_HASH_DIGITS
_LONGEST_SLUG_BYTES: Final = 48


@dataclass(frozen=True)
class Draft:
    """A pair whose id is not settled: `pair.id` is the one it asks for, or else its default.

    Without `sound` settings the pair has the program's, for want of better.
    """

    pair: Pair
    path: Path
    explicit: bool
    sound: bool


def default_id(content: str, styles: Iterable[PairStyle], label: str = "") -> str:
    """`<content>--<style>[--<style>...][-<label>]`, from the files' names and what a sweep calls it."""
    urls = [content, *(style.image for style in styles)]
    slugs = [slug(LocalPath(storage.name(url)).stem, _LONGEST_SLUG_BYTES) for url in urls]
    behind = f"-{label}" if label else ""
    return shorten("--".join(slugs), _LONGEST_DEFAULT_ID_BYTES - len(behind.encode())) + behind


def settle_ids(
    drafts: list[Draft], fault: Callable[[Path, str], None], relative: Callable[[str], str]
) -> tuple[Pair, ...]:
    """Every pair with an id of its own. Default ids give way to each other and to those asked for."""
    taken = _check_explicit_ids(drafts, fault)
    ids = {number: draft.pair.id for number, draft in enumerate(drafts)}
    for digits in (_HASH_DIGITS, _LONGER_HASH_DIGITS):
        for number in _clashing(drafts, ids, taken):
            pair = drafts[number].pair
            ids[number] = f"{pair.id}-{_digest(pair, relative)[:digits]}"
    first: dict[str, Draft] = {}
    for number in _clashing(drafts, ids, taken):
        draft = drafts[number]
        if draft.sound and (other := first.setdefault(ids[number], draft)) is not draft:
            what = f"the same render as {other.pair.place} (line {other.pair.line}): {draft.pair.id}"
            fault(draft.path, f"asks for {what}; remove one, or give it an `id`")
    return tuple(replace(draft.pair, id=ids[number]) for number, draft in enumerate(drafts))


def _check_explicit_ids(drafts: list[Draft], fault: Callable[[Path, str], None]) -> set[str]:
    taken: dict[str, Pair] = {}
    for draft in drafts:
        if not draft.explicit:
            continue
        pair, path, key = draft.pair, (*draft.path, "id"), name_key(draft.pair.id)
        if wrong := name_fault(pair.id):
            fault(path, f"is {shown(pair.id)}; it {wrong}")
        elif key in RESERVED:
            fault(path, f"is {shown(pair.id)}, which is taken; choose another")
        elif key in taken:
            other = taken[key]
            message = f"is {shown(pair.id)}, already the id of {other.place} (line {other.line})"
            fault(path, f"{message}; ids must differ in more than case")
        taken.setdefault(key, pair)
    return set(taken)


def _digest(pair: Pair, relative: Callable[[str], str]) -> str:
    """Hash of what the pair renders, the same wherever the folder of the manifest lies."""
    settings = pair.settings.differences()
    own = {name: value for name, value in settings.items() if name not in ExecutionSettings.model_fields}
    own = with_places(own, lambda _, url: relative(url))
    styles = [[relative(style.image), style.weight] for style in pair.styles]
    parts: list[object] = [relative(pair.content), styles, own]
    masks = [pair.keep, *(mask for style in pair.styles for mask in (style.region, style.sample))]
    if any(masks):  # without, the hash is what it was before there were any
        parts.append([mask and relative(mask) for mask in masks])
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _clashing(drafts: list[Draft], ids: Mapping[int, str], taken: set[str]) -> list[int]:
    """Pairs with a default id that another pair has as well."""
    sharing: dict[str, list[int]] = defaultdict(list)
    for number, draft in enumerate(drafts):
        if not draft.explicit:
            sharing[name_key(ids[number])].append(number)
    groups = ((key, numbers) for key, numbers in sharing.items() if len(numbers) > 1 or key in taken)
    return [number for _, numbers in groups for number in numbers]
