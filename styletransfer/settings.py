"""Every setting of a render, checked, in one place.

`PictureSettings` change the picture and are part of its fingerprint; `ExecutionSettings` say how it is made.
Everything is checked before any picture is read or any weight is loaded, and every wrong value is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from styletransfer.errors import Fault, SettingsError
from styletransfer.hints import did_you_mean, hint
from styletransfer.sizes import parse_safe_scale, pyramid
from styletransfer.vgg_layers import LAYERS, smallest_input

Pooling = Literal["max", "average", "l2"]
Optimizer = Literal["adam", "lbfgs"]
Schedule = Literal["original", "fast"]
NamedInit = Literal["content", "gray", "uniform", "normal", "style_stats"]
Alpha = Literal["ignore", "keep"]
Colours = Literal["style", "content", "matched"]
Quality = Literal["draft", "good", "print"]
Precision = Literal["auto", "float32", "float64"]
Split = Literal["picture", "layers"]

LARGEST_SCALE_PX = 65_536
"""Above any picture format's limit; a larger number is a slip of the hand."""


def _check_end_scale(value: int | str) -> int | str:
    number = _parse_end_scale(value)
    if not 1 <= number <= LARGEST_SCALE_PX:
        raise PydanticCustomError(
            "end_scale", "must be 1 to {largest} px, or that with a '+'", {"largest": LARGEST_SCALE_PX}
        )
    return value


def _parse_end_scale(value: int | str) -> int:
    try:
        return value if isinstance(value, int) else parse_safe_scale(value)
    except ValueError:
        raise PydanticCustomError(
            "end_scale", "must be a whole number of px, or one followed by '+'"
        ) from None


def _check_layers(names: Iterable[str]) -> None:
    names = list(names)
    if not names:
        raise PydanticCustomError("layers", "must name at least one layer")
    if unknown := [name for name in names if name not in LAYERS]:
        raise PydanticCustomError(
            "layers",
            "names the unknown layer {unknown}{hint}; allowed: {allowed}",
            {"unknown": unknown[0], "hint": did_you_mean(unknown[0], LAYERS), "allowed": ", ".join(LAYERS)},
        )
    if len(set(names)) < len(names):
        raise PydanticCustomError("layers", "names a layer twice")


def _check_content_layers(layers: tuple[str, ...]) -> tuple[str, ...]:
    _check_layers(layers)
    return tuple(sorted(layers, key=LAYERS.__getitem__))


def _check_style_layers(layers: Mapping[str, float]) -> Mapping[str, float]:
    _check_layers(layers)
    if sum(layers.values()) <= 0:
        raise PydanticCustomError("layers", "must give at least one layer a weight above 0")
    return dict(sorted(layers.items(), key=lambda layer: LAYERS[layer[0]]))


NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Decay = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]
Iterations = Annotated[int, Field(ge=1, le=1_000_000)]
EndScale = Annotated[int | str, AfterValidator(_check_end_scale)]
ContentLayers = Annotated[tuple[str, ...], Field(strict=False), AfterValidator(_check_content_layers)]
StyleLayers = Annotated[
    Mapping[str, NotNegative], AfterValidator(_check_style_layers), PlainSerializer(dict, return_type=dict)
]


class _Checked(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class InitImage(_Checked):
    """A picture that the first scale starts from, by its place."""

    image: str = Field(min_length=1, description="a path relative to the manifest, or a URL")


Init = NamedInit | InitImage


class PictureSettings(_Checked):
    """Settings that change the picture."""

    end_scale: EndScale = Field(
        512,
        description="longest edge of the result in px; 'N+': as many pixels as a square of N px,"
        " whatever the shape",
    )
    min_scale: int = Field(
        128,
        ge=1,
        le=LARGEST_SCALE_PX,
        description="longest edge in px of the coarsest scale; scales grow by √2 from about there",
    )
    initial_iterations: Iterations = Field(
        1000, description="iterations at the coarsest scale; with schedule fast 250 unless given"
    )
    iterations: Iterations = Field(
        500, description="iterations at each other scale; with schedule fast 125 unless given"
    )
    content_weight: NotNegative = Field(0.015, description="how much the content counts")
    tv_weight: NotNegative = Field(2.0, description="how much smoothness (total variation) counts")
    content_layers: ContentLayers = Field(("relu4_2",), description="layers that compare content, in equal shares")
    style_layers: StyleLayers = Field(
        {"relu1_1": 256.0, "relu2_1": 64.0, "relu3_1": 16.0, "relu4_1": 4.0, "relu5_1": 1.0},
        description="layers that compare style, with their weights (divided by their sum)",
    )
    pooling: Pooling = Field("max", description="of the network: max, average or l2")
    optimizer: Optimizer = Field("adam", description="adam, or lbfgs (L-BFGS)")
    step_size: Positive = Field(0.02, description="Adam's learning rate")
    avg_decay: Decay = Field(0.99, description="decay of the moving average of iterates")
    schedule: Schedule = Field(
        "original",
        description="original: a constant step size; fast: steps that begin larger and shrink to nothing within"
        " each scale, for a quarter of the iterations",
    )
    init: Init = Field(
        "content",
        description="the first scale's start: content, gray, uniform, normal or style_stats; or a picture,"
        " {image: PLACE}, as an option its path or URL",
    )
    start_scale: int | None = Field(
        None,
        ge=1,
        le=LARGEST_SCALE_PX,
        description="longest edge in px of the first scale: those below are left out, and it takes `iterations`",
    )
    seed: int = Field(0, ge=0, lt=2**63, description="of random starts")
    style_scale_fac: Positive = Field(1.0, description="size of the styles relative to the scale")
    style_size: Annotated[int, Field(ge=1, le=LARGEST_SCALE_PX)] | None = Field(
        None, description="fixed longest edge of the styles in px; replaces style_scale_fac"
    )
    colours: Colours = Field(
        "style",
        description="style: the style's; content: the photograph's, put into the result; matched: the style's,"
        " matched to the photograph's before the render",
    )
    alpha: Alpha = Field(
        "ignore", description="the content's transparency: ignore, or keep: the result has it, too (not in JPEG)"
    )
    proof: str | None = Field(
        None, min_length=1, description="CMYK ICC profile that the inputs are soft-proofed with"
    )
    precision: Precision = Field(
        "auto",
        description="of the network: float32, float64, or auto: bfloat16 where the device has it in hardware (CUDA"
        " 8.0 and up, CPUs with AMX or AVX512-BF16), else float32. What is summed and stepped is float32 at least",
    )


class Shorthands(_Checked):
    """Settings that stand for others: what these then are tells the picture."""

    strength: Annotated[float, Field(ge=0, le=1)] | None = Field(
        None,
        description="how far from the photograph, evenly from 0 to 1; instead of content_weight, whose default"
        " is 0.5",
    )
    quality: Quality | None = Field(
        None, description="a set of settings: draft, good or print; what is given beside it wins"
    )


SWEEPABLE = (*PictureSettings.model_fields, *Shorthands.model_fields)
"""Settings in whose place a manifest may have a list of values, in the order of their labels."""


class ExecutionSettings(_Checked):
    """Settings that say how a picture is computed, not which."""

    gpus: int = Field(1, ge=1, le=64, description="GPUs that share one render")
    split: Split = Field(
        "picture",
        description="what GPUs share: picture, each a strip of it, at sizes where that is faster or one has no"
        " room; layers of the network, over two GPUs, which brings room, not speed",
    )
    tiles: Literal["auto", "off"] | Annotated[int, Field(ge=1, le=LARGEST_SCALE_PX)] = Field(
        "auto",
        description="auto: the picture is cut into tiles where it would not fit in memory whole; off; or a tile"
        " edge in px. Tiles give the same picture but for rounding",
    )
    checkpoint_s: Positive = Field(
        60.0, description="least seconds between two checkpoints, which also cost at most 2 % of the time"
    )
    trace: bool = Field(False, description="keep the loss of every iteration in the record")


MOST_FOR_LAYERS = 2
"""GPUs that the network's layers are shared by: one waits while the other works, and more would wait longer."""

FAST_ITERATIONS = {"initial_iterations": 250, "iterations": 125}
"""What `schedule: fast` takes where nothing else is asked for: a quarter of the original's."""


QUALITIES: Mapping[str, Mapping[str, Any]] = {
    "draft": {"end_scale": 256, "schedule": "fast", "initial_iterations": 60, "iterations": 25},
    "good": {"end_scale": 1024, "schedule": "fast"},
    "print": {"end_scale": "2896+", "schedule": "original"},
}
"""What `quality` stands for: a first look, a screen, and A4 at 300 dpi with all of the original's iterations."""

_CONTENT_WEIGHTS = (0.27, 0.14, 0.076, 0.044, 0.026, 0.015, 0.01, 0.0072, 0.005, 0.0035, 0.0011)
"""At even steps of `strength` from 0 to 1: the distance to the photograph, measured by `tests.bench.strength`, goes
evenly from 31 % of its most to 81 % at the default, and from there to 98 %."""


def content_weight_of(strength: float) -> float:
    """The `content_weight` that a `strength` stands for; between the measured ones by their logarithms."""
    place = strength * (len(_CONTENT_WEIGHTS) - 1)
    step = min(int(place), len(_CONTENT_WEIGHTS) - 2)
    below, above = _CONTENT_WEIGHTS[step : step + 2]
    return float(f"{below * (above / below) ** (place - step):.6g}")


def laid_over(base: Mapping[str, Any], *others: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with others over them. A strength takes a content weight's place, and the other way round."""
    merged = dict(base)
    for values in others:
        for name, replaced in (("strength", "content_weight"), ("content_weight", "strength")):
            if values.get(name) is not None:
                merged.pop(replaced, None)
        merged |= values
    return merged


class Settings(PictureSettings, Shorthands, ExecutionSettings):
    """All settings of one render. Frozen; every field has a default.

    >>> Settings(end_scale=1024, pooling="l2").differences()
    {'end_scale': 1024, 'pooling': 'l2'}
    """

    @model_validator(mode="before")
    @classmethod
    def _shorthands(cls, values: object) -> object:
        """With what `quality`, `strength` and `schedule: fast` stand for, where nothing else is asked for."""
        if not isinstance(values, Mapping):
            return values
        quality, strength = values.get("quality"), values.get("strength")
        if isinstance(quality, str) and quality in QUALITIES:
            values = {**QUALITIES[quality], **values}
        if isinstance(strength, int | float) and not isinstance(strength, bool) and 0 <= strength <= 1:
            values = {"content_weight": content_weight_of(strength), **values}
        return {**FAST_ITERATIONS, **values} if values.get("schedule") == "fast" else values

    @model_validator(mode="after")
    def _check_together(self) -> Settings:
        if self.strength is not None and self.content_weight != content_weight_of(self.strength):
            raise PydanticCustomError(
                "strength",
                "is {strength}, and content_weight is {weight}; one replaces the other: give one",
                {"strength": self.strength, "weight": self.content_weight},
            )
        if self.split == "layers" and self.gpus > MOST_FOR_LAYERS:
            raise PydanticCustomError(
                "gpus",
                "is {gpus}; must be at most {most} with split: layers",
                {"gpus": self.gpus, "most": MOST_FOR_LAYERS},
            )
        needed = smallest_input(self.layers())
        if isinstance(self.end_scale, int) and self.end_scale < needed:
            raise PydanticCustomError(
                "end_scale",
                "is {found}; must be at least {needed} for layers up to {last}",
                {"found": self.end_scale, "needed": needed, "last": self.layers()[-1]},
            )
        return self

    def layers(self) -> tuple[str, ...]:
        """Names of the layers used, shallow to deep."""
        return tuple(sorted({*self.content_layers, *self.style_layers}, key=LAYERS.__getitem__))

    def picture(self) -> dict[str, Any]:
        """The settings that change the picture, as plain values."""
        return self.model_dump(mode="json", include=set(PictureSettings.model_fields))

    @property
    def init_image(self) -> str | None:
        """Where the picture is that the first scale starts from, if that is one."""
        return self.init.image if isinstance(self.init, InitImage) else None

    def pyramid(self, end_scale: int) -> tuple[int, ...]:
        """The scales that lead to `end_scale` in px, from coarse to fine."""
        return pyramid(max(self.min_scale, self.start_scale or 0), end_scale)

    def style_limit(self, scale: int) -> int:
        """Longest edge in px that a style may have at this scale."""
        return self.style_size or max(1, round(min(scale * self.style_scale_fac, LARGEST_SCALE_PX)))

    def differences(self) -> dict[str, Any]:
        """The settings, as plain values, that differ from the defaults: they make the same settings again.

        What quality, strength and schedule stand for counts as a default; these themselves are told.
        """
        told = Settings(quality=self.quality, schedule=self.schedule, strength=self.strength)
        plain = {"quality": None, "strength": None, "schedule": Settings(quality=self.quality).schedule}
        base = told.model_dump(mode="json") | plain
        return {name: value for name, value in self.model_dump(mode="json").items() if value != base[name]}


Keys = tuple[str | int, ...]


def with_places(values: Mapping[str, Any], change: Callable[[Keys, str], str]) -> dict[str, Any]:
    """Plain settings with those that are places changed, each by its keys and what it is; also where lists of
    values stand in their place."""
    return {name: _with_places((name,), value, change) for name, value in values.items()}


def _with_places(keys: Keys, value: Any, change: Callable[[Keys, str], str]) -> Any:
    if keys[0] in ("proof", "init") and isinstance(value, list):
        return [_with_places((*keys, number), each, change) for number, each in enumerate(value)]
    if keys[0] == "proof" and isinstance(value, str) and value:
        return change(keys, value)
    if keys[0] == "init" and isinstance(value, Mapping) and isinstance(image := value.get("image"), str) and image:
        return {**value, "image": change((*keys, "image"), image)}
    return value


def check_settings(values: Mapping[str, Any], place: str = "settings") -> Settings:
    """`Settings` from plain values, as parsed from YAML; SettingsError lists every fault with its place."""
    try:
        return Settings.model_validate(dict(values))
    except ValidationError as error:
        raise SettingsError(settings_faults(error, place)) from error


def settings_faults(error: ValidationError, place: str) -> list[Fault]:
    """What pydantic found, in our words: one fault for each setting, however many ways it fails in."""
    faults: dict[str, Fault] = {}
    for details in error.errors(include_url=False):
        # what concerns several settings has no place of its own; its type names the one to change
        name = str((*details["loc"], details["type"])[0])
        field_place = ".".join(part for part in (place, name) if part)
        faults.setdefault(field_place, Fault(field_place, _describe(name, details)))
    return list(faults.values())


def _describe(name: str, details: ErrorDetails) -> str:
    if details["type"] in ("extra_forbidden", "invalid_key"):
        return f"is not a setting{hint(name, Settings.model_fields)}"
    if not details["loc"]:
        return details["msg"]
    if name in ("content_layers", "style_layers") and details["type"] == "layers":
        return details["msg"]
    found = details["input"]
    if len(details["loc"]) > 1 and isinstance(details["loc"][1], str) and name == "style_layers":
        return f"gives {details['loc'][1]} the weight {_quote(found)}; must be a finite number >= 0"
    return f"is {_quote(found)}; must be {_allowed(name)}"


def _quote(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


# What a setting may be, where its schema says less than is asked for.
_IN_WORDS = {
    "end_scale": f"a whole number of px from 1 to {LARGEST_SCALE_PX}, or one followed by '+'",
    "content_layers": "a list of layer names",
    "style_layers": "a mapping from layer names to weights",
    "init": f"{' or '.join(map(repr, get_args(NamedInit)))}, or {{image: PLACE}}",
    "proof": "the place of a CMYK ICC profile, or null",
}
_SIGNS = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}


def _allowed(name: str) -> str:
    """What a setting may be, from its field's own constraints."""
    return _IN_WORDS.get(name) or _in_words(_properties()[name])


@cache
def _properties() -> Mapping[str, Any]:
    """The schema of each setting; making it takes longer than all checks."""
    properties: Mapping[str, Any] = Settings.model_json_schema()["properties"]
    return properties


def _in_words(schema: Mapping[str, Any]) -> str:
    """What a part of a JSON Schema allows: choices, true or false, a number in its bounds, or two of these."""
    if "anyOf" in schema:
        first, last = map(_in_words, schema["anyOf"])
        return f"{first}, or null" if last == "null" else f"{first.replace(' or ', ', ')} or {last}"
    if "enum" in schema:
        return " or ".join(map(repr, schema["enum"]))
    if schema["type"] == "integer":
        return _whole_number(schema)
    if schema["type"] == "number":
        bounds = [f"{sign} {schema[key]:g}" for key, sign in _SIGNS.items() if key in schema]
        return f"a {'finite ' if len(bounds) == 1 else ''}number {' and '.join(bounds)}"
    return "true or false" if schema["type"] == "boolean" else str(schema["type"])


def _whole_number(schema: Mapping[str, Any]) -> str:
    largest = schema["maximum"] if "maximum" in schema else schema["exclusiveMaximum"] - 1
    unit = " of px" if largest == LARGEST_SCALE_PX else ""
    return f"a whole number{unit} from {schema['minimum']} to {'2**63 - 1' if largest == 2**63 - 1 else largest}"
