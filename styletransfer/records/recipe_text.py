"""A recipe as people use it: the manifest that makes the picture again, and the `image` command."""

from __future__ import annotations

from styletransfer.manifest.names import id_of_file
from styletransfer.manifest.pairs import Pair, PairStyle
from styletransfer.manifest.plain_yaml import plain_yaml
from styletransfer.manifest.weights_source import WeightsSource
from styletransfer.records.fingerprint import ALGORITHM_VERSION
from styletransfer.records.pair_text import image_command, pair_entry
from styletransfer.records.recipe import Ingredient, Recipe


def manifest_text(recipe: Recipe, name: str) -> str:
    """The manifest (YAML) that makes a picture of this name again; comments tell the rest."""
    pair, weights = _pair(recipe, name), WeightsSource(recipe.weights.source)
    hashes = dict.fromkeys(f"#   {each.sha256}  {each.place}" for each in recipe.ingredients())
    lines = ["# The same picture, from inputs with these sha256:", *hashes]
    if len({each.place for each in recipe.ingredients()}) < len({each.sha256 for each in recipe.ingredients()}):
        lines.append("# Some of them have the same name: give each a name of its own, here and as a file")
    if not weights.is_file:
        lines.append(f"# and weights {recipe.weights.identity}")
    if recipe.algorithm != ALGORITHM_VERSION:
        versions = f"version {recipe.algorithm} of the algorithm made it, this is version {ALGORITHM_VERSION}"
        lines.append(f"# {versions}: it will differ")
    if recipe.dpi is None:
        lines.append(f"# {image_command(pair, weights)}")
    document = {"version": 1, "weights": _weights(recipe), "pairs": [pair_entry(pair)]}
    return "\n".join(lines) + "\n" + plain_yaml(document)


def _pair(recipe: Recipe, name: str) -> Pair:
    """What a manifest beside the inputs would ask for. Raises SettingsError."""

    def place(mask: Ingredient | None) -> str | None:
        return mask.place if mask else None

    styles = tuple(
        PairStyle(style.place, style.weight, place(style.region), place(style.sample)) for style in recipe.styles
    )
    return Pair(
        id=id_of_file(name),
        content=recipe.content.place,
        styles=styles,
        settings=recipe.checked_settings(),
        format=recipe.format,
        dpi=recipe.dpi,
        priority="normal",
        place="recipe",
        keep=place(recipe.keep),
    )


def _weights(recipe: Recipe) -> str | dict[str, str]:
    source, digest = recipe.weights.source, recipe.weights.identity.removeprefix("sha256:")
    if not WeightsSource(source).is_file:
        return source
    return {"source": source, "sha256": digest}
