"""Sweeps: a list in place of a setting's value stands for as many renders as it has values.

Several lists make every combination. Only what changes the picture is swept. A setting that is a list itself
(`content_layers`) is swept by a list of lists. Each combination has a label for its id, made of its own values
alone, so that a value more or less renames no other render.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path as LocalPath
from typing import Any, Final

from styletransfer import storage
from styletransfer.manifest.names import shorten_with_hash, slug
from styletransfer.manifest.schema import shown
from styletransfer.manifest.strict_yaml import Path
from styletransfer.settings import SWEEPABLE

MOST_COMBINATIONS: Final = 1_000
"""Of the lists of one entry."""

_LONGEST_VALUE_BYTES: Final = 32
_LONGEST_LABEL_BYTES: Final = 72
_HASH_DIGITS: Final = 6
_LONG_HASH_DIGITS: Final = 16

# What stands before a value in a label; "" where the value's word says it.
_SHORT: Final = {
    "end_scale": "px",
    "min_scale": "min",
    "initial_iterations": "first",
    "iterations": "it",
    "content_weight": "cw",
    "tv_weight": "tv",
    "content_layers": "content",
    "style_layers": "layers",
    "optimizer": "",
    "step_size": "step",
    "avg_decay": "decay",
    "schedule": "",
    "start_scale": "start",
    "style_scale_fac": "fac",
    "style_size": "size",
    "quality": "",
}


@dataclass(frozen=True)
class Combination:
    """A value for each setting; `swept`: of those that have a list, the place in it; `label`: for an id, or ''."""

    values: Mapping[str, Any]
    swept: Mapping[str, int]
    label: str


def axes(values: Mapping[str, Any]) -> dict[str, list[Any]]:
    """The lists that stand in place of a setting's value, in the order of labels."""
    return {name: values[name] for name in SWEEPABLE if name in values and _is_sweep(name, values[name])}


def _is_sweep(name: str, value: object) -> bool:
    if not isinstance(value, list):
        return False
    return name != "content_layers" or (bool(value) and all(isinstance(each, list) for each in value))


def axis_faults(lists: Mapping[str, list[Any]]) -> Iterator[tuple[Path, str]]:
    """What is wrong with the lists themselves, each with the keys that lead there; () for all of them together."""
    for name, values in lists.items():
        if not values:
            yield (name,), "is an empty list; a sweep has at least one value"
        first: dict[str, int] = {}
        for place, value in enumerate(values):
            label = value_label(name, value)
            if first.setdefault(label, place) != place:
                told = shown(value) if isinstance(value, int | float | str) else f"named {label!r}"
                yield (name, place), f"is {told}, as {name}[{first[label]}] is; values of a sweep must differ"
    if (count := math.prod(map(len, lists.values()))) > MOST_COMBINATIONS:
        sizes = " x ".join(f"{name} {len(values):,}" for name, values in lists.items())
        yield (), f"makes {count:,} combinations ({sizes}); a sweep has {MOST_COMBINATIONS:,} at most"


def combinations(values: Mapping[str, Any], lists: Mapping[str, list[Any]]) -> Iterator[Combination]:
    """Every combination of the lists' values, each with what has no list; the last list's values come fastest."""
    for places in itertools.product(*(range(len(each)) for each in lists.values())):
        swept = dict(zip(lists, places, strict=True))
        chosen = {name: lists[name][place] for name, place in swept.items()}
        yield Combination({**values, **chosen}, swept, _label(chosen))


def _label(chosen: Mapping[str, Any]) -> str:
    """`cw0.005-fast`."""
    text = "-".join(value_label(name, value) for name, value in chosen.items())
    short = len(text.encode()) <= _LONGEST_LABEL_BYTES
    return text if short else shorten_with_hash(text, _LONGEST_LABEL_BYTES, _LONG_HASH_DIGITS)


def value_label(name: str, value: object) -> str:
    """A setting's value as a part of an id: `cw0.005`, `fast`, `init-sketch`, `size-none`."""
    short = _SHORT.get(name, name.replace("_", "-"))
    if isinstance(value, int | float) and not isinstance(value, bool):
        return short + repr(value).removesuffix(".0").replace("+", "")
    if value is None:
        return f"{short or name}-none"
    word = slug(_in_words(value).replace("+", "plus"))
    if len(word.encode()) > _LONGEST_VALUE_BYTES:
        whole = json.dumps(value, sort_keys=True, default=repr)
        word = shorten_with_hash(word, _LONGEST_VALUE_BYTES, _HASH_DIGITS, whole)
    if word[0].isdigit():
        return short + word
    return f"{short}-{word}" if short else word


def _in_words(value: object) -> str:
    if isinstance(value, dict) and isinstance(image := value.get("image"), str):
        return LocalPath(storage.name(image)).stem
    if isinstance(value, dict):
        return " ".join(f"{key} {part}" for key, part in value.items())
    if isinstance(value, list):
        return " ".join(map(str, value))
    text = str(value)
    return LocalPath(storage.name(text)).stem if "/" in text else text
