"""What a picture was made of, in a few lines that travel inside its file: settings, and inputs by name and sha256.

The same picture has the same recipe whenever and wherever it is made: no times, no devices, no places, unless these
were asked for. A recipe that is read may have been written by anybody.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, ValidationError

from styletransfer import storage
from styletransfer.errors import RecordError
from styletransfer.manifest.pairs import Pair
from styletransfer.manifest.schema import LARGEST_WEIGHT
from styletransfer.manifest.weights_source import WeightsSource
from styletransfer.pictures.embedded_recipe import embedded_recipe
from styletransfer.pictures.formats import Format
from styletransfer.records.fingerprint import ALGORITHM_VERSION, canonical_json
from styletransfer.records.records import Digest, WeightsRecord, first_fault
from styletransfer.settings import Settings, check_settings

RECIPE_VERSION: Final = 1
_LONGEST_NAME: Final = 255


def _plain_name(name: str) -> str:
    """Of a file, not a way to one: whoever makes the picture again says where the files are."""
    if name != _as_name(name):
        raise ValueError("is no name of a file")
    return name


def _as_name(name: str) -> str:
    """The name with what no terminal should be shown, and what would lead elsewhere, left out."""
    plain = "".join(letter if letter.isprintable() and letter != "/" else "_" for letter in name)
    return plain[:_LONGEST_NAME] if plain.strip(".") else "unnamed"


def _public(url: str) -> str:
    if url != storage.public(url) or not url.isprintable():
        raise ValueError("is no location that anybody may see")
    return url


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("holds what no terminal should be shown")
    return text


def _without_places(settings: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """What a setting names is an ingredient, whose name is checked."""
    if "proof" in settings or not isinstance(settings.get("init", ""), str):
        raise ValueError("names a file")
    return settings


_Name = Annotated[str, AfterValidator(_plain_name)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class Ingredient(_Part):
    """One input: the name of its file, the sha256 of its bytes, and where it was if that was to be told."""

    name: _Name
    sha256: Digest
    url: Annotated[str, Field(max_length=8192), AfterValidator(_public)] | None = None

    @property
    def place(self) -> str:
        """As a manifest names it."""
        return self.url or self.name


class StyleIngredient(Ingredient):
    """A style, with its masks."""

    weight: Annotated[float, Field(gt=0, le=LARGEST_WEIGHT)] = 1.0
    region: Ingredient | None = None
    sample: Ingredient | None = None


class WeightsIngredient(_Part):
    """The network's weights: `imagenet`, `random:SEED` or a file's name, and what they are."""

    source: _Name
    identity: Annotated[str, Field(max_length=1024), AfterValidator(_printable)]


class Recipe(_Part):
    """All that makes a picture again. `settings` are those that change it, all of them, without places."""

    recipe: Literal[1] = RECIPE_VERSION
    algorithm: int
    fingerprint: Digest
    settings: Annotated[dict[str, JsonValue], AfterValidator(_without_places)]
    content: Ingredient
    styles: Annotated[tuple[StyleIngredient, ...], Field(min_length=1, strict=False)]
    keep: Ingredient | None = None
    init: Ingredient | None = None
    proof: Ingredient | None = None
    weights: WeightsIngredient
    format: Format
    dpi: Annotated[float, Field(gt=0, le=100_000)] | None = None

    def ingredients(self) -> Iterator[Ingredient]:
        """Every input, in the manifest's order."""
        masks = (mask for style in self.styles for mask in (style.region, style.sample))
        all_of_them = (self.content, *self.styles, *masks, self.keep, self.init, self.proof)
        return (each for each in all_of_them if each is not None)

    def checked_settings(self) -> Settings:
        """With places where a manifest has them. Raises SettingsError for those that this program doesn't know."""
        values: dict[str, Any] = dict(self.settings)
        if self.proof is not None:
            values["proof"] = self.proof.place
        if self.init is not None:
            values["init"] = {"image": self.init.place}
        return check_settings(values)

    def text(self) -> str:
        """As it is put into a picture: JSON in ASCII, on one line."""
        told = self.model_dump(mode="json", exclude_none=True)
        return json.dumps(told, separators=(",", ":"), sort_keys=True)


def recipe_of(pair: Pair, hashes: Mapping[str, str], weights: WeightsRecord, fingerprint: str) -> Recipe:
    """The recipe of a pair's picture. `hashes` of the inputs' bytes are by location."""
    source = WeightsSource(weights.source)

    def named(url: str | None) -> dict[str, Any] | None:
        if url is None:
            return None
        public = storage.public(url)
        told = {"url": public} if pair.embed_inputs and public.isprintable() else {}
        return {"name": _as_name(storage.name(public)), "sha256": hashes[url], **told}

    settings = {name: value for name, value in pair.settings.picture().items() if name != "proof"}
    if pair.settings.init_image is not None:
        del settings["init"]
    return Recipe.model_validate(
        {
            "algorithm": ALGORITHM_VERSION,
            "fingerprint": fingerprint,
            "settings": json.loads(canonical_json(settings)),
            "content": named(pair.content),
            "styles": [
                {
                    **(named(style.image) or {}),
                    "weight": style.weight,
                    "region": named(style.region),
                    "sample": named(style.sample),
                }
                for style in pair.styles
            ],
            "keep": named(pair.keep),
            "init": named(pair.settings.init_image),
            "proof": named(pair.settings.proof),
            "weights": {
                "source": _as_name(storage.name(source.source)) if source.is_file else source.source,
                "identity": weights.identity,
            },
            "format": pair.format,
            "dpi": pair.dpi,
        }
    )


def read_recipe(data: bytes, name: str) -> Recipe:
    """The recipe in a picture's bytes.

    Raises ImageError for what is no picture, RecordError where it has no recipe, or one that can't be read.
    """
    text = embedded_recipe(data, name)
    if text is None:
        others = "was stopped in the middle, is a preview, was made by an older version or saved by another program"
        raise RecordError(f"{name}: has no recipe inside: it {others}")
    try:
        return Recipe.model_validate_json(text)
    except ValidationError as error:
        raise RecordError(f"{name}: its recipe can't be read: {first_fault(error)}") from error
