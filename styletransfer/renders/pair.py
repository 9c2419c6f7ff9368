"""One pair, in three separate steps: fetch its inputs, stylize, store the picture and its record.

Each step hands on a frozen value and can be repeated by itself: retrying a store never renders again, and
only the middle step needs a device. Network faults leave as a `StorageError` whose `transient` says that
a retry can help.
"""

from __future__ import annotations

import hashlib
import logging
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from importlib import metadata
from typing import TYPE_CHECKING

from styletransfer import storage
from styletransfer.errors import Cancelled, RecordError, StorageError
from styletransfer.limits import checkpoint_bytes
from styletransfer.machine.devices import available_devices, describe, slots
from styletransfer.machine.hardware import CPU
from styletransfer.manifest.pairs import Manifest, Pair
from styletransfer.pictures.decode import decode
from styletransfer.pictures.encode import encode, from_tensor
from styletransfer.pictures.formats import SHOWN_BY_BROWSERS, Format
from styletransfer.pictures.masks import decode_mask, is_stretched
from styletransfer.pictures.picture import Dpi, Picture
from styletransfer.pictures.soft_proof import soft_proof
from styletransfer.renders.checkpoints import Checkpoints, remove_all
from styletransfer.renders.fingerprint import fingerprint, fingerprint_parts
from styletransfer.renders.history import drop_versions, keep_replaced, told
from styletransfer.renders.inputs import MASKS, InputUse, input_uses, largest_bytes
from styletransfer.renders.output_folder import find_record, picture_is_there
from styletransfer.renders.plan import PlannedPair, plan_manifest
from styletransfer.renders.recipe import recipe_of
from styletransfer.renders.records import (
    InputRecord,
    OutputRecord,
    Record,
    WeightsRecord,
    now,
    write_record,
)
from styletransfer.renders.thumbnails import BEFORE_PX, VIEWED_PX, Thumbnails
from styletransfer.renders.weights_loading import load_weights

if TYPE_CHECKING:
    from torch import Tensor

    from styletransfer.network.vgg_weights import Weights
    from styletransfer.transfer.report import ScaleReport
    from styletransfer.transfer.state import State
    from styletransfer.transfer.stylizer import Progress, Stylizer

log = logging.getLogger(__name__)

_STORE_TRIES = 5
"""Of picture and record, where another render writes the same picture at the same time."""

_PACKAGES = ("styletransfer", "torch", "numpy", "pillow", "pyvips")


@dataclass(frozen=True)
class Fetched:
    """A pair's inputs, decoded and soft-proofed. `hashes` of the bytes read, and `masks`, are by location."""

    planned: PlannedPair
    content: Picture
    styles: tuple[Picture, ...]
    start: Picture | None
    inputs: tuple[InputRecord, ...]
    hashes: Mapping[str, str]
    started: datetime
    masks: Mapping[str, Picture] = field(default_factory=dict)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was left out on reading, each once, and which masks don't suit."""
        pictures = (self.content, *self.styles, *([self.start] if self.start else []), *self.masks.values())
        warnings = (warning for picture in pictures for warning in picture.warnings)
        return tuple(dict.fromkeys([*warnings, *(fit for fit, gross in _mask_fits(self) if gross)]))


@dataclass(frozen=True, eq=False)
class Rendered:
    """A finished picture, not yet stored: `image` (1, 3, H, W), floats in [0, 1], on the CPU.

    `started`: when its device began with it, in this process; its inputs were fetched before. `share`: of its GPU.
    """

    fetched: Fetched
    image: Tensor = field(repr=False)
    fingerprint: str
    weights: WeightsRecord
    scales: tuple[ScaleReport, ...]
    devices: tuple[str, ...]
    precision: str
    seconds: float
    started: datetime
    share: float = 1.0

    @property
    def recipe(self) -> str:
        """What makes the picture again, as text that goes into its file."""
        pair, hashes = self.fetched.planned.pair, self.fetched.hashes
        return recipe_of(pair, hashes, self.weights, self.fingerprint).text()


def fetch(planned: PlannedPair) -> Fetched:
    """Read and decode the pair's inputs. Raises StorageError or ImageError; writes nothing."""
    pair, started = planned.pair, now()
    contents = {use.url: _read_input(use) for use in input_uses(pair)}
    pictures = {
        use.url: decode(contents[use.url].contents, storage.public(use.url), alpha=pair.settings.alpha)
        for use in input_uses(pair)
        if use.role not in ("proof", *MASKS)
    }
    masks = {
        use.url: decode_mask(contents[use.url].contents, storage.public(use.url))
        for use in input_uses(pair)
        if use.role in MASKS
    }
    if pair.settings.proof is not None:
        profile = contents[pair.settings.proof].contents
        name = storage.public(pair.settings.proof)
        pictures = {url: soft_proof(picture, profile, name) for url, picture in pictures.items()}
    fetched = Fetched(
        planned,
        pictures[pair.content],
        tuple(pictures[style.image] for style in pair.styles),
        pictures[pair.settings.init_image] if pair.settings.init_image is not None else None,
        tuple(_input_record(use, contents[use.url], (masks | pictures).get(use.url)) for use in input_uses(pair)),
        {url: read.sha256 for url, read in contents.items()},
        started,
        masks,
    )
    for style in fetched.styles:
        _ = style.digest  # targets are looked up by it; hashed here, while the device works on another pair
    for warning in fetched.warnings:
        log.warning("%s: fetch: %s", pair.id, warning)
    for fit, gross in _mask_fits(fetched):
        if not gross:
            log.info("%s: fetch: %s", pair.id, fit)
    return fetched


def _mask_fits(fetched: Fetched) -> Iterator[tuple[str, bool]]:
    """What is to be said of masks that have another size than what they are laid over, and whether it is gross."""
    pair = fetched.planned.pair
    laid = [(style.region, "content", fetched.content) for style in pair.styles]
    laid += [(style.sample, "style", picture) for style, picture in zip(pair.styles, fetched.styles, strict=True)]
    for url, what, picture in [*laid, (pair.keep, "content", fetched.content)]:
        mask = fetched.masks[url].size if url is not None else picture.size
        if url is not None and mask != picture.size:
            sizes = "is {}x{} px, the {} {}x{} px".format(*mask, what, *picture.size)
            gross = is_stretched(mask, picture.size)
            yield f"{storage.public(url)}: {sizes}; it is {'stretched' if gross else 'resized'} to it", gross


@dataclass(frozen=True)
class _Read:
    """Bytes of one input, with the stat from before they were read: if they changed meanwhile, it won't
    match."""

    contents: bytes = field(repr=False)
    stat: storage.Stat
    sha256: str


def _read_input(use: InputUse) -> _Read:
    stat = storage.stat(use.url)
    contents = storage.read(use.url, limit_bytes=largest_bytes(use.role))
    return _Read(contents, stat, hashlib.sha256(contents).hexdigest())


def _input_record(use: InputUse, read: _Read, picture: Picture | None) -> InputRecord:
    width, height = picture.size if picture else (None, None)
    return InputRecord(
        role=use.role,
        url=use.url,
        sha256=read.sha256,
        size=len(read.contents),
        etag=read.stat.etag,
        modified=read.stat.modified,
        width=width,
        height=height,
        weight=use.weight,
    )


def stylize_pair(
    fetched: Fetched,
    weights: Weights,
    *,
    devices: Sequence[str] = (CPU,),
    share: float = 1.0,
    callback: Callable[[Progress], None] | None = None,
    resumable: bool = True,
) -> Rendered:
    """Render the pair on `devices`, or its `share` of one; from its checkpoint if one fits. Writes checkpoints.

    Of a pair planned for its first scales only, the picture so far and what it took. Without `resumable` there are
    no checkpoints, and no such pairs. What `callback` raises stops the render; Cancelled keeps a last
    checkpoint. Raises DeviceError, ImageError or WeightsError.
    """
    from styletransfer.renders.stylize import make_stylizer  # loads torch: only when something is rendered

    pair, started = fetched.planned.pair, now()
    made = _fingerprint(fetched, weights.identity)
    stylizer = make_stylizer(weights, pair.settings, devices)
    try:
        if resumable:
            image = _run_resumably(stylizer, fetched, _checkpoints(fetched.planned, made), callback)
        else:
            image = _run(stylizer, fetched, callback)
        reports = stylizer.scales_report
        seconds = sum(report.seconds for report in reports)  # also those before it was resumed
    except _FarEnough as stopped:
        image, reports, seconds = stopped.image, stopped.reports, stopped.seconds
    return Rendered(
        fetched,
        image,
        made,
        WeightsRecord(source=weights.source, identity=weights.identity),
        tuple(replace(report, seconds=round(report.seconds, 3)) for report in reports),
        tuple(describe(device) for device in devices),
        stylizer.precision,
        seconds,
        started,
        share,
    )


class _FarEnough(Cancelled):
    """The scales that were asked for are done: how far the render is."""

    def __init__(self, progress: Progress) -> None:
        super().__init__("the scales that were asked for are done")
        self.image, self.reports, self.seconds = progress.image(), progress.reports, progress.seconds


def _is_far_enough(planned: PlannedPair, progress: Progress) -> bool:
    """Whether all of the first scales is done; a checkpoint may be beyond them."""
    last = len(planned.scales) - 1
    ends = progress.scale_index == last and progress.iteration == progress.iterations
    return bool(planned.whole) and (ends or progress.scale_index > last)


def _checkpoints(planned: PlannedPair, made: str) -> Checkpoints:
    url = planned.places.checkpoint(planned.id, made)
    return Checkpoints(url, planned.id, planned.pair.settings.checkpoint_s)


def _run(
    stylizer: Stylizer,
    fetched: Fetched,
    callback: Callable[[Progress], None] | None,
    resume: State | None = None,
) -> Tensor:
    """The finished picture, from the start or from where a state stands."""
    from styletransfer.renders import stylize

    pair = fetched.planned.pair
    return stylize.run(
        stylizer,
        fetched.content,
        fetched.styles,
        [style.weight for style in pair.styles],
        start=fetched.start,
        regions=[fetched.masks[style.region] if style.region else None for style in pair.styles],
        samples=[fetched.masks[style.sample] if style.sample else None for style in pair.styles],
        keep=fetched.masks[pair.keep] if pair.keep else None,
        callback=callback,
        resume=resume,
    )


def _run_resumably(
    stylizer: Stylizer,
    fetched: Fetched,
    checkpoints: Checkpoints,
    callback: Callable[[Progress], None] | None,
) -> Tensor:
    """The same from where a checkpoint stands, if there is one that fits; writes checkpoints."""
    pair = fetched.planned.pair

    def watch(progress: Progress) -> None:
        try:
            if callback is not None:
                callback(replace(progress, fraction=min(progress.fraction / fetched.planned.share, 1.0)))
        except Cancelled:
            checkpoints.save(progress)
            raise
        if _is_far_enough(fetched.planned, progress):
            checkpoints.save(progress, always=True)
            raise _FarEnough(progress)
        checkpoints.reached(progress)

    size = fetched.planned.size or fetched.content.size
    state = checkpoints.load(limit_bytes=checkpoint_bytes(size))
    if state is not None:
        try:
            where = f"iteration {state.iteration} of scale number {state.scale_index + 1}"
            log.info("%s: stylize: going on behind %s", pair.id, where)
            return _run(stylizer, fetched, watch, state)
        except RecordError as error:
            named = storage.public(checkpoints.url)
            log.warning("%s: stylize: %s, in %s; it begins anew", pair.id, error, named)
    return _run(stylizer, fetched, watch)


def _fingerprint(fetched: Fetched, weights_identity: str) -> str:
    """The fingerprint of what was really rendered: an input may have changed since it was planned."""
    planned = fetched.planned
    made = fingerprint(planned.pair, fetched.hashes, weights_identity)
    if planned.fingerprint not in (None, made):
        log.warning("%s: stylize: an input or the weights changed since the plan was made", planned.id)
    return made


def store(rendered: Rendered, *, attempts: int = 1) -> Record:
    """Write the picture, then the record that marks the pair done; returns the record.

    May be repeated: where this very picture has been stored since the render began (by an earlier try, or
    by another host), that is left alone. What it replaces goes into the history first, if versions are kept; a
    picture of the pair's former format goes last. Raises StorageError.
    """
    fetched = rendered.fetched
    planned = fetched.planned
    before = find_record(planned.places, planned.id)
    if before is not None and _stored_meanwhile(before, rendered):
        return before
    contents = encoded(fetched, rendered.image, planned.pair.format, rendered.recipe)
    url = planned.places.picture(planned.id, planned.pair.format)
    record = record_of(rendered, url, contents, attempts)
    _keep_thumbnails(rendered, record)
    return put(planned, contents, record, before)


def put(planned: PlannedPair, contents: bytes, record: Record, before: Record | None) -> Record:
    """Write a picture of these contents for the pair, then its record, which is returned; what is there goes into
    the history first. Raises StorageError."""
    versions, surplus = keep_replaced(planned.places, planned.pair, record.fingerprint, before)
    record = record.model_copy(update={"former": told(record, versions)})
    url = planned.places.picture(planned.id, record.output.format)
    _write_both(url, contents, record, planned.places.record(planned.id))
    remove_all(planned.places, planned.id, record.fingerprint)
    if before is not None and before.output.format != record.output.format:
        _remove_former(planned, before)
    drop_versions(planned.places, surplus)
    return record


def encoded(fetched: Fetched, image: Tensor, picture_format: Format, recipe: str | None = None) -> bytes:
    """The file of an image (1, 3, H, W), finished or not, with the content's transparency where that is kept."""
    height, width = image.shape[-2:]
    return encode(image, picture_format, _dpi(fetched), fetched.content.alpha_at((width, height)), recipe)


def _stored_meanwhile(record: Record, rendered: Rendered) -> bool:
    return (
        record.fingerprint == rendered.fingerprint
        and record.finished >= rendered.fetched.started
        and picture_is_there(rendered.fetched.planned.places, record)
    )


def _dpi(fetched: Fetched) -> Dpi | None:
    asked = fetched.planned.pair.dpi
    return fetched.content.dpi if asked is None else (asked, asked)


def _write_both(url: str, contents: bytes, record: Record, record_url: str) -> None:
    """Write the picture, then its record; anew if another was put in the picture's place in between.

    Two renders may store the same pair at once, one of them of settings of before. Whoever writes the last record
    sees whose picture is there then, and does not leave it with a record of another.
    """
    for _ in range(_STORE_TRIES):
        written = _write_picture(url, contents)
        write_record(record_url, record)
        if storage.stat(url) == written:
            return
        log.warning("%s: store: something else has written its picture, too; it is written again", record.id)


def _write_picture(url: str, contents: bytes) -> storage.Stat:
    """Write, and make sure before the record vouches for it; what is known of it then."""
    storage.write(url, contents)
    found = storage.stat(url)
    if found.size != len(contents):
        raise StorageError(
            f"{storage.public(url)} has {found.size} bytes after {len(contents)} were written; "
            "something else writes there too",
            transient=True,
        )
    return found


def record_of(rendered: Rendered, url: str, contents: bytes, attempts: int = 1) -> Record:
    """All about the picture that was rendered and whose file, of these contents, is at `url`."""
    fetched, pair = rendered.fetched, rendered.fetched.planned.pair
    height, width = rendered.image.shape[-2:]
    return Record(
        id=pair.id,
        fingerprint=rendered.fingerprint,
        fingerprint_parts=fingerprint_parts(pair, fetched.hashes, rendered.weights.identity),
        settings=pair.settings.model_dump(mode="json"),
        inputs=fetched.inputs,
        weights=rendered.weights,
        precision=rendered.precision,
        devices=rendered.devices,
        versions=versions(),
        scales=rendered.scales,
        output=OutputRecord(
            url=url,
            sha256=hashlib.sha256(contents).hexdigest(),
            size=len(contents),
            format=pair.format,
            width=width,
            height=height,
            dpi=_dpi(fetched),
        ),
        started=rendered.started,
        finished=now(),
        seconds=round(rendered.seconds, 3),
        share=rendered.share,
        attempts=attempts,
        warnings=fetched.warnings,
    )


def _keep_thumbnails(rendered: Rendered, record: Record) -> None:
    """Make the contact sheet's small pictures while the large ones are at hand."""
    thumbnails = Thumbnails(rendered.fetched.planned.places)
    result = from_tensor(rendered.image)
    thumbnails.keep(record.output.sha256, result)
    if record.output.format not in SHOWN_BY_BROWSERS:
        thumbnails.keep(record.output.sha256, result, VIEWED_PX)
    if rendered.fetched.planned.pair.settings.proof is not None:
        return  # what is at hand is the proof, not the file that the hash is of
    pictures = (rendered.fetched.content, *rendered.fetched.styles)
    for entry, picture in zip(record.inputs, pictures, strict=False):  # a start is not on the sheet
        if picture.alpha is None:  # else its hidden colours are not the file's
            thumbnails.keep(entry.sha256, picture)
            if entry.role == "content":
                thumbnails.keep(entry.sha256, picture, BEFORE_PX)


def _remove_former(planned: PlannedPair, former: Record) -> None:
    """Delete the picture in the format that the pair had before. The new one stands, so a failure only
    warns."""
    try:
        storage.delete(planned.places.picture(planned.id, former.output.format))
    except StorageError as error:
        log.warning("%s: store: the former picture stays: %s", planned.id, error)


@cache
def versions() -> dict[str, str]:
    """Versions of Python and of the packages that a picture depends on."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:  # run from a checkout that is not installed
            found[package] = "unknown"
    return found


def render_pair(
    manifest: Manifest,
    pair_id: str,
    *,
    weights: Weights | None = None,
    devices: Sequence[str] | None = None,
    force: bool = False,
    callback: Callable[[Progress], None] | None = None,
) -> Record:
    """Render one pair of a manifest, unless it is done, and store it; returns its record.

    `weights` default to the manifest's, `devices` to as many of this machine's as the pair's `gpus` asks
    for. Raises ManifestError with every fault found before rendering, else what fetch, stylize and store
    raise.
    """
    plan = plan_manifest(manifest, force=force, only=[pair_id])
    plan.check()
    (planned,) = plan.pairs
    if planned.state == "skipped" and planned.record is not None:
        return planned.record
    fetched = fetch(planned)
    if weights is None:
        weights = _load_weights(manifest, planned.pair)
    if devices is None:
        devices = slots(available_devices(), planned.pair.settings.gpus)[0].devices
    return store(stylize_pair(fetched, weights, devices=devices, callback=callback))


def _load_weights(manifest: Manifest, pair: Pair) -> Weights:
    from styletransfer.vgg_layers import last_layer

    return load_weights(
        manifest.weights.source, sha256=manifest.weights.sha256, last_layer=last_layer(pair.settings.layers())
    )
