"""What `styletransfer image` is asked to do, checked: every wrong option is told at once."""

from __future__ import annotations

import argparse
import itertools
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from styletransfer import storage
from styletransfer.errors import Fault, ImageError, SettingsError
from styletransfer.manifest.schema import LARGEST_WEIGHT
from styletransfer.manifest.weights_source import WeightsSource
from styletransfer.pictures.decode import MAX_MEGAPIXELS
from styletransfer.pictures.formats import Format, check_format_alpha, check_format_size, extension
from styletransfer.renders.same_file import FileKeys
from styletransfer.settings import NamedInit, Settings, check_settings
from styletransfer.sizes import Size

_FORMATS: Mapping[str, Format] = {
    **{extension(name): name for name in get_args(Format)},
    ".jpeg": "jpeg",
    ".tiff": "tiff",
}


@dataclass(frozen=True)
class Job:
    """One picture to make, all options checked. Locations are absolute."""

    content: str
    styles: tuple[str, ...]
    style_weights: tuple[float, ...]
    settings: Settings
    weights: str
    output: str
    format: Format
    preview: str | None
    preview_format: Format
    save_every: int

    def what_is_what(self) -> str:
        """`content: a.png; styles: b.png (75 %), c.png (25 %)`: which picture was taken for what."""
        total = sum(self.style_weights)
        content, *styles = map(storage.name, (self.content, *self.styles))
        if len(styles) == 1:
            return f"content: {content}; style: {styles[0]}"
        weighted = zip(styles, self.style_weights, strict=True)
        shown = ", ".join(f"{style} ({weight / total * 100:.3g} %)" for style, weight in weighted)
        return f"content: {content}; styles: {shown}"


def make_job(options: argparse.Namespace) -> Job:
    """The job that the options ask for; SettingsError with everything that is wrong with them."""
    faults: list[Fault] = []
    settings = _settings(options, faults)
    style_weights = _style_weights(options, faults)
    file_format = _format("--output", options.output, faults)
    preview_format = _format("--preview", options.preview, faults) if options.preview else file_format
    save_every = _save_every(options.save_every, faults)
    content, *styles = (storage.resolve(".", location) for location in (options.content, *options.styles))
    output = storage.resolve(".", options.output)
    preview = storage.resolve(".", options.preview) if options.preview else None
    weights = WeightsSource(options.weights).located()
    named = [] if settings is None else [place for place in (settings.proof, settings.init_image) if place]
    read = [content, *styles, *named, *([weights.source] if weights.is_file else [])]
    if settings is not None and settings.alpha == "keep":
        faults += _without_alpha(file_format)
    faults += _overwriting(output, preview, read, overwrite=options.overwrite)
    if faults or settings is None:
        raise SettingsError(faults)
    return Job(
        content=content,
        styles=tuple(styles),
        style_weights=style_weights,
        settings=settings,
        weights=options.weights,
        output=output,
        format=file_format,
        preview=preview,
        preview_format=preview_format,
        save_every=save_every,
    )


def check_size(job: Job, size: Size) -> None:
    """SettingsError when a result of `size` (width, height in px) is too large to render, or to be written."""
    (width, height), faults = size, []
    if width * height > MAX_MEGAPIXELS * 1e6:
        message = f"makes a picture of {width}x{height} px; at most {MAX_MEGAPIXELS} megapixels are rendered"
        faults.append(Fault("--end-scale", message))
    for option, file_format in (("--output", job.format), ("--preview", job.preview and job.preview_format)):
        try:
            if file_format:
                check_format_size(file_format, size)
        except ImageError as error:
            faults.append(Fault(option, f"can't be written: {error}"))
    if faults:
        raise SettingsError(faults)


def _free_name(output: str) -> str:
    """The first of `name-2.png`, `name-3.png`... that is not there."""
    stem, dot, suffix = output.rpartition(".")
    numbered = (f"{stem}-{number}{dot}{suffix}" for number in itertools.count(2))
    return next(location for location in numbered if not storage.exists(location))


def _without_alpha(file_format: Format) -> Iterator[Fault]:
    try:
        check_format_alpha(file_format)
    except ImageError as error:
        yield Fault("--alpha", f"is 'keep', but {error}")


def _overwriting(output: str, preview: str | None, read: Iterable[str], *, overwrite: bool) -> Iterator[Fault]:
    """What would be written over: what is read, the result by its preview, what is there by the result."""
    keys = FileKeys()
    lost = {key for location in read for key in keys.of(location)}
    for option, location in (("--output", output), ("--preview", preview)):
        if location and not lost.isdisjoint(keys.of(location)):
            yield Fault(option, "is the same file as an input, which would be lost; it must be another one")
    if preview and not set(keys.of(preview)).isdisjoint(keys.of(output)):
        yield Fault("--preview", "is the same file as --output; it must be another one")
    if not overwrite and lost.isdisjoint(keys.of(output)) and storage.exists(output):
        there = f"is {storage.public(output)}, which is there already"
        free = storage.name(_free_name(output))
        yield Fault("--output", f"{there}; --overwrite replaces it, and {free} is free")


def _settings(options: argparse.Namespace, faults: list[Fault]) -> Settings | None:
    given = {name: text for name, text in vars(options).items() if name in Settings.model_fields}
    values = {name: _value(name, text) for name, text in given.items() if text is not None}
    try:
        return check_settings(values, "")
    except SettingsError as error:
        for fault in error.faults:
            place = f"--{fault.place.replace('_', '-')}" if fault.place else "settings:"
            faults.append(Fault(place, fault.message))
        return None


def _value(name: str, text: Any) -> Any:
    """What a setting's option says, as the manifest's YAML would say it."""
    if name == "proof":
        return storage.resolve(".", text)
    if name == "init" and text not in get_args(NamedInit) and ("." in text or "/" in text):
        return {"image": storage.resolve(".", text)}
    if name == "style_layers":
        return {layer: _plain(weight) for layer, _, weight in (part.partition("=") for part in text)}
    return text if isinstance(text, list) else _plain(text)


def _plain(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _style_weights(options: argparse.Namespace, faults: list[Fault]) -> tuple[float, ...]:
    if not options.style_weights:
        return (1.0,) * len(options.styles)
    weights = [_plain(text) for text in options.style_weights]
    place, styles = "--style-weights", len(options.styles)
    if len(weights) != styles:
        faults.append(Fault(place, f"has {len(weights)} values; must have one for each style ({styles})"))
    wrong = [weight for weight in weights if isinstance(weight, str) or not 0 < weight <= LARGEST_WEIGHT]
    faults += [Fault(place, f"has {weight!r}; must be finite numbers > 0") for weight in wrong]
    return tuple(float(weight) for weight in weights if not isinstance(weight, str))


def _save_every(text: str, faults: list[Fault]) -> int:
    iterations = _plain(text)
    if isinstance(iterations, int) and iterations >= 1:
        return iterations
    faults.append(Fault("--save-every", f"is {iterations!r}; must be a whole number >= 1"))
    return 1


def _format(option: str, location: str, faults: list[Fault]) -> Format:
    suffix = os.path.splitext(storage.name(storage.resolve(".", location)))[1].lower()  # noqa: PTH122 (a URL's)
    if suffix not in _FORMATS:
        faults.append(Fault(option, f"ends in {suffix!r}; must end in {', '.join(_FORMATS)}"))
    return _FORMATS.get(suffix, "png")
