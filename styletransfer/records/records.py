"""What is written beside the pictures: `<id>.json` for each finished pair and `summary.json` for all of
them.

Both carry `schema_version`. A reader takes older documents (what they lack has a default) and newer ones
as far as it understands them. Times are UTC in ISO 8601, durations seconds, memory bytes, sizes px.
Nothing here can hold a credential: every location passes through `storage.public` on its way in, whoever
makes the record.
"""

from __future__ import annotations

import json
import platform
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from typing import Annotated, Literal, TypeVar, get_args

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    computed_field,
)

from styletransfer import storage
from styletransfer.errors import RecordError
from styletransfer.limits import RECORD_BYTES, SUMMARY_BYTES
from styletransfer.pictures.formats import Format
from styletransfer.settings import with_places
from styletransfer.transfer.report import ScaleReport

SCHEMA_VERSION = 1

PairState = Literal["queued", "rendering", "held", "done", "skipped", "failed", "cancelled"]
PAIR_STATES: tuple[PairState, ...] = get_args(PairState)

InputRole = Literal["content", "style", "proof", "init", "region", "from", "keep"]


def now() -> datetime:
    """This moment, in UTC."""
    return datetime.now(UTC)


def public_settings(settings: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """The settings with those that are locations cut to what anybody may see."""
    return with_places(settings, lambda _, url: storage.public(url))


def _finite(values: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """ValueError for numbers that JSON has not, however deep: `allow_inf_nan` looks at fields alone."""
    json.dumps(values, allow_nan=False)
    return values


def _comparable(parts: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """ValueError for parts of a fingerprint whose settings or styles can't be gone through."""
    if not all(isinstance(parts.get(name, {}), dict) for name in ("settings", "styles")):
        raise ValueError("has settings or styles that are no mapping")
    return parts


def _measured(scales: tuple[ScaleReport, ...]) -> tuple[ScaleReport, ...]:
    """ValueError for a scale without pixels or iterations, or with more than there can be."""
    numbers = (number for scale in scales for number in (scale.width, scale.height, scale.iterations))
    if not all(1 <= number < 2**31 for number in numbers):
        raise ValueError("has a scale that no picture has")
    return scales


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("is beyond all times in UTC") from error


PublicUrl = Annotated[str, AfterValidator(storage.public)]
UtcTime = Annotated[AwareDatetime, AfterValidator(_in_utc)]
Pixels = Annotated[int, Field(ge=1, lt=2**31)]  # no format goes further
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
JsonObject = Annotated[dict[str, JsonValue], AfterValidator(_finite)]
PlainSettings = Annotated[JsonObject, AfterValidator(public_settings)]
Parts = Annotated[JsonObject, AfterValidator(_comparable)]


class _Document(BaseModel):
    """Frozen; keys of a newer version are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class InputRecord(_Document):
    """One input as it was read. `size` with `etag` or `modified` tells later whether it is still the
    same."""

    role: InputRole
    url: PublicUrl
    sha256: str
    size: int = Field(ge=0)
    etag: str | None = None
    modified: UtcTime | None = None
    width: Pixels | None = None
    height: Pixels | None = None
    weight: float | None = None

    @property
    def dimensions(self) -> tuple[int, int] | None:
        """Width and height in px; None for a profile."""
        return None if self.width is None or self.height is None else (self.width, self.height)


class WeightsRecord(_Document):
    """The network's weights: where they came from and what they are."""

    source: PublicUrl
    identity: str


class OutputRecord(_Document):
    """The picture that was written."""

    url: PublicUrl
    sha256: str
    size: int = Field(ge=1)
    format: Format
    width: Pixels
    height: Pixels
    dpi: tuple[float, float] | None = None


class FormerVersion(_Document):
    """A picture that the pair had before, kept in `.history/`. `changed`: what the next one has otherwise."""

    fingerprint: str
    format: Format
    sha256: str
    width: Pixels
    height: Pixels
    finished: UtcTime
    seconds: float
    changed: tuple[str, ...] = ()


class Record(_Document):
    """`<id>.json`: everything about one finished pair. Written last, so that it marks the pair done.

    `fingerprint_parts` are what the fingerprint is the hash of; empty in older records. `share`: of its GPU that it
    was rendered with, beside others. `former` pictures that are kept, the newest first. `taken_from`: the pair
    that it was rendered for, if that was another. `kept`: of a former picture, when it went into the history.
    """

    schema_version: int = SCHEMA_VERSION
    id: str
    state: PairState = "done"
    fingerprint: Digest
    fingerprint_parts: Parts = {}
    settings: PlainSettings = {}
    inputs: tuple[InputRecord, ...]
    weights: WeightsRecord
    precision: str | None = None
    devices: tuple[str, ...] = ()
    versions: dict[str, str] = {}
    scales: Annotated[tuple[ScaleReport, ...], AfterValidator(_measured)] = ()
    output: OutputRecord
    started: UtcTime
    finished: UtcTime
    seconds: float
    share: float = Field(1.0, gt=0, le=1)
    attempts: int = 1
    warnings: tuple[str, ...] = ()
    former: tuple[FormerVersion, ...] = ()
    taken_from: str | None = None
    kept: UtcTime | None = None

    @property
    def slot_seconds(self) -> float:
        """Seconds that a slot has spent on it: of one that renders several pairs at once, their share."""
        return self.seconds * self.share

    def input(self, role: InputRole) -> InputRecord | None:
        """The first input with this role."""
        return next((entry for entry in self.inputs if entry.role == role), None)


class SummaryInput(_Document):
    """A picture that went into a pair, as far as known: a failed pair may have no sha256.

    A style's masks: `region`, where in the content it applies, and `sample`, what of it counts.
    """

    url: PublicUrl
    weight: float | None = None
    sha256: str | None = None
    region: SummaryInput | None = None
    sample: SummaryInput | None = None


class SummaryPair(_Document):
    """One pair's line of the summary. `reason` says why it failed, waits or is rendered at all; `sweep` has the
    settings that a sweep gave it; `expected_seconds`: what it was to take, as told before it was rendered; `keep`:
    mask of what stays as photographed."""

    id: str
    state: PairState
    reason: str | None = None
    content: SummaryInput
    styles: tuple[SummaryInput, ...]
    keep: SummaryInput | None = None
    settings: PlainSettings = {}
    sweep: PlainSettings = {}
    fingerprint: str | None = None
    picture: str | None = None
    sha256: str | None = None
    format: Format | None = None
    width: int | None = None
    height: int | None = None
    seconds: float | None = None
    expected_seconds: float | None = None
    finished: UtcTime | None = None
    devices: tuple[str, ...] = ()
    attempts: int = 0
    warnings: tuple[str, ...] = ()
    former: tuple[FormerVersion, ...] = ()

    @property
    def is_previewed(self) -> bool:
        """Whether it is held behind a preview, not by a farm: that tells of no render that has finished."""
        return self.state == "held" and self.finished is not None

    def inputs(self) -> Iterator[SummaryInput]:
        """Its pictures: the content, each style with its masks, the mask of what is kept."""
        styles = (part for style in self.styles for part in (style, style.region, style.sample))
        return (part for part in (self.content, *styles, self.keep) if part is not None)


class SlowPair(_Document):
    """A pair that took long."""

    id: str
    seconds: float


class FarmReport(_Document):
    """What a manifest took of a farm since it was submitted. `slot_hours`: of slots that rendered what is done.

    `slots` in service, on average; `utilisation`: the manifest's share of their time, 0 to 1; `cost`: of the
    slot-hours, with its currency; `forecast`: when all was to be through, as first told; `failed_on`: how many
    pairs a slot has failed at least once, by its name.
    """

    began: UtcTime
    ended: UtcTime
    forecast: UtcTime | None = None
    slot_hours: float
    slots: float
    utilisation: float | None = None
    cost: str | None = None
    slowest: tuple[SlowPair, ...] = ()
    failed_on: dict[str, int] = {}


class Summary(_Document):
    """`summary.json`: the state of every pair of a manifest. `settings` of a pair are those that differ
    from the defaults; `picture` is relative to the summary; `farm` is there once a farm is through with it."""

    schema_version: int = SCHEMA_VERSION
    manifest: str
    location: PublicUrl
    started: UtcTime
    updated: UtcTime
    pairs: tuple[SummaryPair, ...]
    farm: FarmReport | None = None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def counts(self) -> dict[PairState, int]:
        """How many pairs are in each state that occurs."""
        found = Counter(pair.state for pair in self.pairs)
        return {state: found[state] for state in PAIR_STATES if found[state]}


_Read = TypeVar("_Read", Record, Summary)


def read_record(url: str) -> Record | None:
    """The record at `url`, None if there is none. Raises RecordError for half or garbled ones,
    StorageError."""
    return _read(url, Record, RECORD_BYTES)


def read_summary(url: str) -> Summary | None:
    """The summary at `url`, None if there is none. Raises RecordError for half or garbled ones,
    StorageError."""
    return _read(url, Summary, SUMMARY_BYTES)


def write_record(url: str, record: Record) -> None:
    """Write `<id>.json` in one piece: a reader never sees half of it."""
    storage.write(url, to_json(record))


def write_summary(url: str, summary: Summary) -> None:
    """Write `summary.json` in one piece."""
    storage.write(url, to_json(summary))


def to_json(document: Record | Summary) -> bytes:
    """Indented JSON, for people and programs; what is not known is null."""
    return document.model_dump_json(indent=2).encode() + b"\n"


def _read(url: str, kind: type[_Read], limit_bytes: int) -> _Read | None:
    contents = storage.read_if_exists(url, limit_bytes=limit_bytes)
    if contents is None:
        return None
    try:
        return kind.model_validate_json(contents)
    except ValidationError as error:
        what = f"not a {kind.__name__.lower()} that can be read"
        raise RecordError(f"{storage.public(url)}: {what}: {first_fault(error)}") from error


def first_fault(error: ValidationError) -> str:
    """The first of what pydantic found in a document: `output.size: Field required`."""
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(map(str, first["loc"]))
    return f"{place}: {first['msg']}" if place else first["msg"]


_PACKAGES = ("styletransfer", "torch", "numpy", "pillow", "pyvips")


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
