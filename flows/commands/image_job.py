"""What `styletransfer image` is asked to do, checked: every wrong option is told at once."""

from __future__ import annotations

import argparse
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, get_args

from styletransfer import storage
from styletransfer.errors import Fault, ImageError, RecordError, SettingsError
from styletransfer.manifest.pairs import Pair, PairStyle
from styletransfer.manifest.schema import LARGEST_WEIGHT, VERSIONS
from styletransfer.manifest.weights_source import WeightsSource
from styletransfer.pictures.formats import Format, check_format_size, format_of
from styletransfer.planning.inputs import input_uses
from styletransfer.planning.plan import PlannedPair, plan_alone
from styletransfer.planning.same_file import FileKeys
from styletransfer.records.output_folder import folder_fault
from styletransfer.records.output_places import PicturePlaces
from styletransfer.records.records import Record, read_record
from styletransfer.settings import NamedInit, Settings, check_settings

_LONGEST_NAME_BYTES: Final = 255 - len(".json")


@dataclass(frozen=True)
class Job:
    """One picture to make, all options checked. Locations are absolute.

    `recorded`: a record is kept beside the picture, and checkpoints while it is made.
    """

    pair: Pair
    weights: WeightsSource
    output: str
    overwrite: bool
    recorded: bool
    preview: str | None
    preview_format: Format
    save_every: int

    @property
    def places(self) -> PicturePlaces:
        """Where its files go."""
        return _places(self.output)

    def what_is_what(self) -> str:
        """`content: a.png; styles: b.png (75 %), c.png (25 %)`: which picture was taken for what."""
        content, styles = storage.name(self.pair.content), self.pair.styles
        if len(styles) == 1:
            return f"content: {content}; style: {storage.name(styles[0].image)}"
        return f"content: {content}; styles: {', '.join(map(self._share_of, styles))}"

    def _share_of(self, style: PairStyle) -> str:
        """`b.png (75 % in sky.png)`: of the blend, or of that in its region."""
        total = sum(other.weight for other in self.pair.styles if other.region == style.region)
        where = f" in {storage.name(style.region)}" if style.region else ""
        return f"{storage.name(style.image)} ({style.weight / total * 100:.3g} %{where})"


def _places(output: str) -> PicturePlaces:
    return PicturePlaces(storage.parent(output), "")


def make_job(options: argparse.Namespace) -> Job:
    """The job that the options ask for; SettingsError with everything that is wrong with them."""
    faults: list[Fault] = []
    settings = _settings(options, faults)
    style_weights = _style_weights(options, faults)
    count = len(options.styles)
    regions, samples = (
        _masks(option, texts, count, faults)
        for option, texts in (("--region", options.regions), ("--from", options.samples))
    )
    keep = storage.resolve(".", options.keep) if options.keep else None
    file_format = _format("--output", options.output, faults)
    preview_format = _format("--preview", options.preview, faults) if options.preview else file_format
    save_every = _save_every(options.save_every, faults)
    content, *styles = (storage.resolve(".", location) for location in (options.content, *options.styles))
    output = storage.resolve(".", options.output)
    preview = storage.resolve(".", options.preview) if options.preview else None
    weights = WeightsSource(options.weights).located()
    named = [] if settings is None else [place for place in (settings.proof, settings.init_image) if place]
    named += [mask for mask in (*regions, *samples, keep) if mask]
    read = [content, *styles, *named, *([weights.source] if weights.is_file else [])]
    faults += _losing(output, preview, read, forgets=not options.no_record)
    if faults or settings is None:
        raise SettingsError(faults)
    pair = Pair(
        id=storage.name(output),
        content=content,
        styles=tuple(map(PairStyle, styles, style_weights, regions, samples)),
        settings=settings,
        format=file_format,
        dpi=None,
        priority="normal",
        place="",
        keep=keep,
        embed_inputs=options.embed_inputs,
        keep_versions=0 if options.no_record else VERSIONS,
    )
    return Job(
        pair=pair,
        weights=weights,
        output=output,
        overwrite=options.overwrite,
        recorded=not options.no_record,
        preview=preview,
        preview_format=preview_format,
        save_every=save_every,
    )


def plan_job(job: Job) -> PlannedPair:
    """What there is to do: nothing (`skipped`) where the picture is there and is the one that would be made.

    Raises SettingsError, ImageError, WeightsError or StorageError for all that can be found wrong beforehand.
    """
    _check_place(job)
    record = _own_record(job) if job.recorded else None
    planned = plan_alone(job.pair, job.places, job.weights, record, force=job.overwrite)
    _raise_faults(job, planned)
    if planned.state != "skipped" and not job.overwrite and storage.exists(job.output):
        there = f"is {storage.public(job.output)}, which is there already"
        if _is_unfinished(planned):
            raise SettingsError([Fault("--output", f"{there}, as far as it got; --overwrite goes on from there")])
        free = storage.name(_free_name(job.output))
        raise SettingsError([Fault("--output", f"{there}; --overwrite replaces it, and {free} is free")])
    return planned


def _is_unfinished(planned: PlannedPair) -> bool:
    """Whether a render of this very picture was stopped."""
    of_it = planned.fingerprint
    return of_it is not None and storage.exists(planned.places.checkpoint(planned.id, of_it))


def _check_place(job: Job) -> None:
    """SettingsError where no picture can be, or where its record would lie elsewhere."""
    fault = None
    if storage.is_local(job.output):
        fault = _local_fault(Path(job.output))
    elif "//" in job.output.partition("://")[2]:
        fault = f"is {storage.public(job.output)}; no part of it may be empty"
    if fault:
        raise SettingsError([Fault("--output", fault)])


def _local_fault(output: Path) -> str | None:
    if (length := len(output.name.encode())) > _LONGEST_NAME_BYTES:
        return f"has a name of {length} bytes; with its record's it must be at most {_LONGEST_NAME_BYTES}"
    if output.is_dir():
        return "is a folder; name a file in it"
    wrong = folder_fault(output.parent)
    return f"is {output}; {wrong}" if wrong else None


def _own_record(job: Job) -> Record | None:
    """The record of the picture's last render; SettingsError where another file has its place."""
    record, url = find_own_record(job), job.places.record(job.pair.id)
    if record is None and storage.exists(url):
        message = f"has its record in {storage.public(url)}, where another file is; move that, or give --no-record"
        raise SettingsError([Fault("--output", message)])
    return record


def find_own_record(job: Job) -> Record | None:
    """What there is of a picture at the job's place; a manifest's may have the same name there, and is none."""
    name = job.pair.id
    try:
        record = read_record(job.places.record(name))
    except RecordError:
        return None
    is_own = record is not None and (record.id, storage.name(record.output.url)) == (name, name)
    return record if is_own else None


def _raise_faults(job: Job, planned: PlannedPair) -> None:
    """What is wrong with inputs as an ImageError, with what options ask of them as a SettingsError."""
    asked = {".settings.end_scale": "--end-scale", ".settings.alpha": "--alpha"}
    options = [Fault(asked[fault.place], fault.message) for fault in planned.faults if fault.place in asked]
    if job.preview and planned.size:
        try:
            check_format_size(job.preview_format, planned.size)
        except ImageError as error:
            options.append(Fault("--preview", f"can't be written: {error}"))
    if options:
        raise SettingsError(options)
    if planned.faults:
        raise ImageError("\n".join(_told(job, fault) for fault in planned.faults))


def _told(job: Job, fault: Fault) -> str:
    """An input's fault, which begins with its name or else gets it."""
    inputs = {use.place: storage.public(use.url) for use in input_uses(job.pair)}
    name = inputs.get(fault.place, "")
    return fault.message if name in fault.message else f"{name} {fault.message}"


def _free_name(output: str) -> str:
    """The first of `name-2.png`, `name-3.png`... that is not there."""
    stem, dot, suffix = output.rpartition(".")
    numbered = (f"{stem}-{number}{dot}{suffix}" for number in itertools.count(2))
    return next(location for location in numbered if not storage.exists(location))


def _losing(output: str, preview: str | None, read: Iterable[str], *, forgets: bool) -> Iterator[Fault]:
    """What would be written over for good: what is read, and the result by its preview.

    Or removed: one that `forgets` keeps a number of former pictures, and no older ones.
    """
    keys = FileKeys()
    lost = {key for location in read for key in keys.of(location)}
    for option, location in (("--output", output), ("--preview", preview)):
        if location and not lost.isdisjoint(keys.of(location)):
            yield Fault(option, "is the same file as an input, which would be lost; it must be another one")
    versions = _places(output).versions(storage.name(output))
    if forgets and any(key.startswith(keys.place(storage.join(versions, "x"))[:-1]) for key in lost):
        kept = f"keeps what it replaces in {storage.public(versions)}, where an input is"
        yield Fault("--output", f"{kept}; copy that elsewhere")
    if preview and not set(keys.of(preview)).isdisjoint(keys.of(output)):
        yield Fault("--preview", "is the same file as --output; it must be another one")


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


def _masks(option: str, texts: Sequence[str], styles: int, faults: list[Fault]) -> list[str | None]:
    """The mask of each style, from `N=MASK`, or a mask alone where there is one style."""
    masks: dict[int, str] = {}
    for text in texts:
        number, mask = re.fullmatch(r"(?:(\d{1,6})=)?(.*)", text, re.DOTALL).groups()  # type: ignore[union-attr]
        style = int(number) if number else 1 if styles == 1 else 0
        if not mask or not 1 <= style <= styles:
            faults.append(Fault(option, f"is {text!r}; must be N=MASK, N the number of a style (1 to {styles})"))
        elif style in masks:
            faults.append(Fault(option, f"is given twice for style {style}; a style has one"))
        else:
            masks[style] = storage.resolve(".", mask)
    return [masks.get(style) for style in range(1, styles + 1)]


def _save_every(text: str, faults: list[Fault]) -> int:
    iterations = _plain(text)
    if isinstance(iterations, int) and iterations >= 1:
        return iterations
    faults.append(Fault("--save-every", f"is {iterations!r}; must be a whole number >= 1"))
    return 1


def _format(option: str, location: str, faults: list[Fault]) -> Format:
    try:
        return format_of(storage.name(storage.resolve(".", location)))
    except ImageError as error:
        faults.append(Fault(option, str(error)))
        return "png"
