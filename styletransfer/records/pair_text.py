"""A pair as text to paste: its entry of a manifest, and the command that renders it alone.

Locations are cut to what anybody may see, as everywhere beside the pictures.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from styletransfer import storage
from styletransfer.manifest.pairs import Pair, PairStyle
from styletransfer.manifest.plain_yaml import plain_yaml
from styletransfer.manifest.weights_source import WeightsSource
from styletransfer.pictures.formats import extension
from styletransfer.records.records import public_settings

_OF_MANIFESTS: Final = frozenset({"gpus", "checkpoint_s", "trace"})  # settings that `image` has no option for


def pair_yaml(pair: Pair, asked: Collection[str] = ()) -> str:
    """The pair as an entry of `pairs`. Settings that are `asked` for somewhere in the manifest are told also where
    they have the program's default: the manifest's may be another."""
    return plain_yaml([pair_entry(pair, asked)])


def pair_entry(pair: Pair, asked: Collection[str] = ()) -> dict[str, Any]:
    """The same as plain values, in the order of a manifest."""
    styles = [_style_entry(style) for style in pair.styles]
    alone = len(styles) == 1 and len(styles[0]) == 1
    entry: dict[str, Any] = {
        "id": pair.id,
        "content": storage.public(pair.content),
        **({"style": styles[0]["image"]} if alone else {"styles": styles}),
        "keep": storage.public(pair.keep) if pair.keep else None,
        "format": pair.format,
        "dpi": pair.dpi,
        "requires": sorted(pair.requires),
        "settings": _told_defaults(pair, asked) | _settings(pair),
    }
    return {key: value for key, value in entry.items() if value}


def _told_defaults(pair: Pair, asked: Collection[str]) -> dict[str, Any]:
    """Those settings of these, but for a shorthand that the pair has not, and for what its own stands for."""
    names, weights = {*asked, *pair.swept}, ("content_weight", "strength")
    if not names.isdisjoint(weights):
        names.update(weights)
    stood_for = weights[0] if pair.settings.strength is not None else weights[1]
    every = pair.settings.model_dump(mode="json", include=names - {stood_for, "quality"})
    return public_settings(every)


def image_command(pair: Pair, weights: WeightsSource) -> str:
    """The command that renders the pair by itself, into the folder where it is typed. It can't give a `dpi`."""
    pictures = [pair.content, *(style.image for style in pair.styles)]
    words = ["styletransfer", "image", *map(_place, pictures)]
    words += ["-o", _argument(pair.id + extension(pair.format))]
    if any(style.weight != 1 for style in pair.styles):
        words += ["--style-weights", *(f"{style.weight!r}" for style in pair.styles)]
    for number, style in enumerate(pair.styles, 1):
        masks = {"--region": style.region, "--from": style.sample}
        words += [
            word
            for option, mask in masks.items()
            if mask
            for word in (option, f"{number}={storage.public(mask)}")
        ]
    if pair.keep is not None:
        words += ["--keep", _place(pair.keep)]
    if pair.embed_inputs:
        words.append("--embed-inputs")
    if weights.source != "imagenet":
        words += ["--weights", _argument(weights.shown)]
    for name, value in _settings(pair).items():
        if name not in _OF_MANIFESTS:
            words += [f"--{name.replace('_', '-')}", *_as_words(value)]
    return shlex.join(words)


def _place(url: str) -> str:
    return _argument(storage.public(url))


def _argument(text: str) -> str:
    """So that no name of a file is taken for an option."""
    return f"./{text}" if text.startswith("-") else text


def _style_entry(style: PairStyle) -> dict[str, Any]:
    entry: dict[str, Any] = {"image": storage.public(style.image)}
    if style.weight != 1:
        entry["weight"] = style.weight
    masks = {"region": style.region, "from": style.sample}
    return entry | {key: storage.public(mask) for key, mask in masks.items() if mask is not None}


def _settings(pair: Pair) -> dict[str, Any]:
    return public_settings(pair.settings.differences())


def _as_words(value: Any) -> Iterator[str]:
    """A setting's value as `image` takes it."""
    if isinstance(value, Mapping) and "image" in value:
        place = _argument(str(value["image"]))
        yield place if "." in place or "/" in place else f"./{place}"  # else it is no name of a file
    elif isinstance(value, Mapping):
        yield from (f"{name}={part!r}" for name, part in value.items())
    elif isinstance(value, list):
        yield from map(str, value)
    else:
        yield _argument(str(value))
