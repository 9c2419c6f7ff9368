"""A recipe as people use it: the manifest that makes the picture again, and the `image` command."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from styletransfer.manifest.names import id_of_file
from styletransfer.manifest.plain_yaml import plain_yaml
from styletransfer.manifest.weights_source import WeightsSource
from styletransfer.pictures.formats import extension
from styletransfer.renders.fingerprint import ALGORITHM_VERSION
from styletransfer.renders.recipe import Ingredient, Recipe, StyleIngredient


def manifest_text(recipe: Recipe, name: str) -> str:
    """The manifest (YAML) that makes a picture of this name again; comments tell the rest."""
    hashes = dict.fromkeys(f"#   {each.sha256}  {each.place}" for each in recipe.ingredients())
    lines = ["# The same picture, from inputs with these sha256:", *hashes]
    if len({each.place for each in recipe.ingredients()}) < len({each.sha256 for each in recipe.ingredients()}):
        lines.append("# Some of them have the same name: give each a name of its own, here and as a file")
    if not WeightsSource(recipe.weights.source).is_file:
        lines.append(f"# and weights {recipe.weights.identity}")
    if recipe.algorithm != ALGORITHM_VERSION:
        versions = f"version {recipe.algorithm} of the algorithm made it, this is version {ALGORITHM_VERSION}"
        lines.append(f"# {versions}: it will differ")
    if recipe.dpi is None:
        lines.append(f"# {shlex.join(image_command(recipe, name))}")
    return "\n".join(lines) + "\n" + plain_yaml(_document(recipe, name))


def image_command(recipe: Recipe, name: str) -> list[str]:
    """The words of the command that makes a picture of this name again, but for a `dpi`, which it can't give."""
    styles = recipe.styles
    words = ["styletransfer", "image", *(_argument(each.place) for each in (recipe.content, *styles))]
    words += ["-o", _argument(f"{id_of_file(name)}{extension(recipe.format)}")]
    if any(style.weight != styles[0].weight for style in styles):
        words += ["--style-weights", *(f"{style.weight!r}" for style in styles)]
    for number, style in enumerate(styles, 1):
        masks = {"--region": style.region, "--from": style.sample}
        words += [word for option, mask in masks.items() if mask for word in (option, f"{number}={mask.place}")]
    if recipe.keep:
        words += ["--keep", _argument(recipe.keep.place)]
    if recipe.weights.source != "imagenet":
        words += ["--weights", _argument(recipe.weights.source)]
    for setting, value in recipe.checked_settings().differences().items():
        words += [f"--{setting.replace('_', '-')}", *_option_words(value)]
    return words


def _option_words(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping) and "image" in value:
        place = str(value["image"])
        yield place if "." in place or "/" in place else f"./{place}"
    elif isinstance(value, Mapping):
        yield from (f"{name}={part}" for name, part in value.items())
    elif isinstance(value, Sequence) and not isinstance(value, str):
        yield from map(str, value)
    else:
        yield _argument(str(value))


def _argument(place: str) -> str:
    """So that no name of a file is taken for an option."""
    return f"./{place}" if place.startswith("-") else place


def _document(recipe: Recipe, name: str) -> dict[str, Any]:
    pair: dict[str, Any] = {"id": id_of_file(name), "content": recipe.content.place}
    only, *others = recipe.styles
    if not (others or only.region or only.sample):
        pair["style"] = only.place
    else:
        pair["styles"] = [_style(style) for style in recipe.styles]
    if recipe.keep:
        pair["keep"] = recipe.keep.place
    pair["format"] = recipe.format
    if recipe.dpi is not None:
        pair["dpi"] = recipe.dpi
    if settings := recipe.checked_settings().differences():
        pair["settings"] = settings
    return {"version": 1, "weights": _weights(recipe), "pairs": [pair]}


def _style(style: StyleIngredient) -> dict[str, Any]:
    masks: dict[str, Ingredient | None] = {"region": style.region, "from": style.sample}
    named = {key: mask.place for key, mask in masks.items() if mask}
    return {"image": style.place, "weight": style.weight, **named}


def _weights(recipe: Recipe) -> str | dict[str, str]:
    source, digest = recipe.weights.source, recipe.weights.identity.removeprefix("sha256:")
    if not WeightsSource(source).is_file:
        return source
    return {"source": source, "sha256": digest}
