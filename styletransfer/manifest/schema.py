"""The manifest as it is written: its keys, their types, its JSON Schema, and in words what is wrong.

One set of models is the source of the checks and of the schema that editors complete from. What the written
form means (ids, globs, places, settings over defaults) is `reader.py`'s business.

`python -m styletransfer.manifest.schema > manifests/manifest.schema.json` publishes the schema.
"""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, ErrorDetails, PydanticCustomError

from styletransfer.errors import Fault
from styletransfer.hints import hint
from styletransfer.manifest.max_failed import SHARE, MaxFailed, parse_max_failed
from styletransfer.manifest.strict_yaml import Document, Path, place
from styletransfer.manifest.tags import TAG, parse_tag
from styletransfer.pictures.formats import Format
from styletransfer.settings import SWEEPABLE, Settings

Priority = Literal["low", "normal", "high"]


def _max_failed(value: object) -> object:
    """As `parse_max_failed` has it."""
    try:
        return None if value is None else parse_max_failed(value)
    except ValueError as error:
        raise PydanticCustomError("max_failed", f"is {shown(value)}; {error}") from error


_MaxFailed = Annotated[
    MaxFailed,
    BeforeValidator(_max_failed),
    WithJsonSchema(
        {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "string", "pattern": SHARE}]},
    ),
]


def _tag(value: object) -> str:
    """As `parse_tag` has it."""
    try:
        return parse_tag(value)
    except ValueError as error:
        raise PydanticCustomError("tag", f"is {shown(value)}; {error}") from error


_Tags = list[Annotated[str, BeforeValidator(_tag), WithJsonSchema({"type": "string", "pattern": TAG})]]

# Settings are checked on their own, merged with the defaults; here they are any mapping.
_SettingsMapping = dict[str, Any]
_Location = Annotated[str, Field(min_length=1)]
# Of `names.name_fault`, what regular expressions of every dialect can say.
_Name = Annotated[str, WithJsonSchema({"type": "string", "pattern": r"^[^\s/\\._-][^\s/\\]*$"})]
_Dpi = Annotated[float, Field(gt=0, le=100_000, allow_inf_nan=False)]
LARGEST_WEIGHT = 1e100
"""Of a style; so that sums of weights are numbers, too."""

VERSIONS = 3
"""Former pictures that are kept unless another number is asked for."""

_Weight = Annotated[float, Field(gt=0, le=LARGEST_WEIGHT, allow_inf_nan=False)]


def _whole_number(value: object) -> object:
    """As it is; `true` and `1.0`, which Python takes for 1, are none."""
    if isinstance(value, bool | float):
        raise PydanticCustomError("literal_error", "is no whole number")
    return value


def _sweepable(name: str) -> str:
    if name not in SWEEPABLE:
        raise PydanticCustomError("swept", f"is {shown(name)}; no setting that is swept{hint(name, SWEEPABLE)}")
    return name


_Swept = Annotated[str, AfterValidator(_sweepable), WithJsonSchema({"enum": [*SWEEPABLE]})]


class _Checked(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    noun: ClassVar[str]
    short: ClassVar[str | None] = None  # the key that a plain text stands for

    @model_validator(mode="before")
    @classmethod
    def _unfold(cls, value: object) -> object:
        return {cls.short: value} if cls.short and isinstance(value, str) else value

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = handler.resolve_ref_schema(handler(core))
        return {"anyOf": [{"type": "string", "minLength": 1}, schema]} if cls.short else schema


class StyleEntry(_Checked):
    """A style and its part of the blend; a plain path is a style of weight 1."""

    noun: ClassVar[str] = "a style"
    short: ClassVar[str | None] = "image"

    image: _Location
    weight: _Weight = Field(1.0, description="its part of the blend, relative to the other weights")
    region: _Location | None = Field(
        None, description="mask over the content, white where the style applies; without, where no other's is"
    )
    sample: _Location | None = Field(
        None, alias="from", description="mask over the style picture, white where it counts"
    )


class WeightsEntry(_Checked):
    """The network's weights: `imagenet`, `random`, `random:SEED`, or a file, which a sha256 can pin."""

    noun: ClassVar[str] = "the weights"
    short: ClassVar[str | None] = "source"

    source: _Location
    sha256: Annotated[str, Field(pattern="^[0-9a-fA-F]{64}$")] | None = None


class _Rendered(_Checked):
    """What pairs and grid entries have in common."""

    settings: _SettingsMapping = Field({}, description="settings of these renders, over `defaults`")
    format: Format | None = Field(None, description="file format of the result, instead of the manifest's")
    dpi: _Dpi | None = Field(None, description="resolution noted in the result; default: the content's")
    priority: Priority | None = Field(None, description="on a farm: of these renders, over the manifest's")
    requires: _Tags | None = Field(
        None, description="on a farm: tags of slots, in place of the manifest's; only slots with all of them render"
    )


class PairEntry(_Rendered):
    """One content with one style, or with a blend of weighted styles."""

    noun: ClassVar[str] = "a pair"

    id: _Name | None = Field(None, description="file name of the result; default: content--style")
    content: _Location = Field(description="picture to render: a path relative to the manifest, or a URL")
    style: _Location | None = Field(None, description="picture whose style is taken")
    styles: list[StyleEntry] | None = Field(None, min_length=1, description="a blend, instead of `style`")
    keep: _Location | None = Field(
        None, description="mask over the content, white where it stays as photographed"
    )
    swept: list[_Swept] = Field(
        [], description="settings that are axes of the contact sheet; a sweep's are without being named here"
    )

    @model_validator(mode="after")
    def _check_styles(self) -> Self:
        if (self.style is None) == (self.styles is None):
            found = "neither `style` nor" if self.style is None else "both `style` and"
            raise PydanticCustomError("styles", "has {found} `styles`; one is needed", {"found": found})
        return self


class GridEntry(_Rendered):
    """Every content with every style. Globs (`*`, `?`, `[...]`, `**`) work locally and on S3."""

    noun: ClassVar[str] = "a grid entry"

    contents: list[_Location] = Field(min_length=1, description="paths, URLs or globs")
    styles: list[_Location] = Field(min_length=1, description="paths, URLs or globs")


class ManifestFile(_Checked):
    """A named set of renders."""

    noun: ClassVar[str] = "a manifest"

    version: Annotated[Literal[1], BeforeValidator(_whole_number)] = Field(description="of this format")
    name: _Name | None = Field(
        None, description="folder of the results in `output`; default: the file's name"
    )
    output: _Location = Field("renders", description="a path relative to the manifest, or s3://BUCKET/FOLDER")
    weights: WeightsEntry = Field(WeightsEntry(source="imagenet"), description="of the network")
    format: Format = Field("png", description="file format of the results")
    dpi: _Dpi | None = Field(None, description="resolution noted in the results; default: each content's")
    priority: Priority | None = Field(None, description="on a farm: who is rendered first; default: normal")
    requires: _Tags | None = Field(
        None, description="on a farm: tags that a slot must have, all of them, to render the pairs"
    )
    max_failed: _MaxFailed | None = Field(
        None, description="on a farm: stop once so many pairs have failed; default: 20, if none is done by then"
    )
    embed_inputs: bool = Field(
        False, description="whether the recipe inside each result tells where its inputs were, not only their names"
    )
    keep_versions: int = Field(
        VERSIONS, ge=0, le=1000, description="former pictures of each pair that are kept when it is rendered anew"
    )
    defaults: _SettingsMapping = Field({}, description="settings of all renders")
    pairs: list[PairEntry] = Field([], description="renders, one by one")
    grid: list[GridEntry] = Field([], description="renders as cross products, added to `pairs`")


def json_schema() -> dict[str, Any]:
    """The manifest's JSON Schema, with every setting described."""
    schema = ManifestFile.model_json_schema()
    definitions: dict[str, Any] = schema["$defs"]
    settings = Settings.model_json_schema(ref_template="#/$defs/{model}")
    definitions |= {"Settings": settings, **settings.pop("$defs", {})}
    settings["description"] = "Settings of a render. What is not given has its default; a list is a sweep."
    for name in SWEEPABLE:
        settings["properties"][name] = _one_or_several(settings["properties"][name])
    for model, key in (
        (schema, "defaults"),
        (definitions["PairEntry"], "settings"),
        (definitions["GridEntry"], "settings"),
    ):
        description = model["properties"][key]["description"]
        model["properties"][key] = {"$ref": "#/$defs/Settings", "description": description}
    definitions["PairEntry"]["oneOf"] = [
        _needs("style", {"type": "string"}),
        _needs("styles", {"type": "array"}),
    ]
    schema["anyOf"] = [_needs("pairs", {"minItems": 1}), _needs("grid", {"minItems": 1})]
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Style transfer manifest"}
    return {**schema, **head}


def _one_or_several(schema: dict[str, Any]) -> dict[str, Any]:
    """A setting's schema, or a list of what that takes."""
    told: dict[str, Any] = {key: schema[key] for key in ("default", "description", "title") if key in schema}
    one = {key: part for key, part in schema.items() if key not in told}
    several = {"type": "array", "items": one, "minItems": 1, "uniqueItems": True}
    return {**told, "anyOf": [*one.get("anyOf", [one]), several]}


def _needs(key: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"required": [key], "properties": {key: schema}}


# Checking

_Entry = TypeVar("_Entry", bound=_Checked)


def check_entry(
    model: type[_Entry], value: object, path: Path, document: Document, faults: list[Fault]
) -> _Entry | None:
    """`value`, found at `path`, as a model; None, and everything that is wrong added to `faults`."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        for details in error.errors(include_url=False):
            where = (*path, *details["loc"])
            faults.append(Fault(place(where), _describe(model, details), document.line(where)))
        return None


def shown(value: object) -> str:
    """A value as a message quotes it: as YAML would have it, and not too long."""
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


# What a value must be, by pydantic's name for what it isn't; the braces take pydantic's own figures.
_MUST = {
    "string_type": "text",
    "string_too_short": "text, not empty",
    "string_pattern_mismatch": "64 hexadecimal digits",
    "literal_error": "{expected}",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "greater_than_equal": ">= {ge:g}",
    "greater_than": "> {gt:g}",
    "less_than_equal": "<= {le:g}",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}
# Where a list, or a mapping, is given for one.
_SEVERAL = {"style": "; a blend is `styles: [{image, weight}]`", "content": "; several make a `grid`"}
_MORE = {"style": "; one with a weight or a region is `styles: [{image, weight, region}]`"}


def _describe(model: type[_Checked], details: ErrorDetails) -> str:
    kind = details["type"]
    if details["loc"] == ("version",):
        found = "is missing" if kind == "missing" else f"is {shown(details['input'])}"
        return f"{found}; this program reads version 1 (`version: 1`)"
    if kind == "missing":
        return "is missing"
    if kind == "extra_forbidden":
        return _describe_unknown(_model_at(model, details["loc"]), str(details["loc"][-1]))
    if kind == "too_short":
        return "is an empty list; must have at least one entry"
    if kind in _MUST:
        must = _MUST[kind].format(**details.get("ctx", {}))
        return f"is {shown(details['input'])}; must be {must}{_hint_at_several(details)}"
    return details["msg"]


def _hint_at_several(details: ErrorDetails) -> str:
    where = details["loc"]  # empty for an entry that is one itself
    hints = _SEVERAL if isinstance(details["input"], list) else _MORE
    return hints.get(str(where[-1]), "") if where and isinstance(details["input"], list | dict) else ""


def _describe_unknown(model: type[_Checked], key: str) -> str:
    if key in Settings.model_fields:
        return f"is a setting; write it below {'defaults' if model is ManifestFile else 'settings'}"
    keys = [field.alias or name for name, field in model.model_fields.items()]
    return f"is not a key of {model.noun}{hint(key, keys)}; allowed: {', '.join(keys)}"


def _model_at(model: type[_Checked], location: tuple[int | str, ...]) -> type[_Checked]:
    """The model of the mapping that holds the last key of a location."""
    inner: dict[str, type[_Checked]] = {"weights": WeightsEntry, "styles": StyleEntry}
    return inner.get(str(location[0]), model) if len(location) > 1 else model


if __name__ == "__main__":
    sys.stdout.write(json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n")
