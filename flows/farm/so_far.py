"""What there is to see of a render run meanwhile, its pictures so far included: `<folder>/.farm/<run>.so-far`.

Its run alone writes it. Once the run is over it says nothing any more: whoever ends a run forgets it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from styletransfer import storage
from styletransfer.contact_sheet.under_way import PairUnderWay, Preview
from styletransfer.errors import ImageError, StorageError
from styletransfer.limits import RECORD_BYTES
from styletransfer.pictures.decode import inspect
from styletransfer.records.output_places import OutputPlaces
from styletransfer.records.records import UtcTime, now
from styletransfer.records.thumbnails import LARGE_PX

log = logging.getLogger(__name__)


class _StoredPair(BaseModel):
    """A pair under way; `ends`: when it is expected to be through, if known; a JPEG."""

    model_config = ConfigDict(frozen=True, ser_json_bytes="base64", val_json_bytes="base64")

    at: str
    fraction: Annotated[float, Field(ge=0, le=1)]
    ends: UtcTime | None
    jpeg: bytes


class _StoredRun(BaseModel):
    pairs: dict[str, _StoredPair]


def write_so_far(places: OutputPlaces, run: str, pairs: Mapping[str, PairUnderWay]) -> None:
    """Write what there is to see of the run's pairs, by id, in place of what was; those without a picture are left
    out. Raises StorageError."""
    stored = {name: _stored(pair, pair.picture) for name, pair in pairs.items() if pair.picture}
    storage.write(places.so_far(run), _StoredRun(pairs=stored).model_dump_json().encode())


def _stored(pair: PairUnderWay, picture: Preview) -> _StoredPair:
    ends = None if pair.seconds_left is None else now() + timedelta(seconds=pair.seconds_left)
    return _StoredPair(at=pair.at, fraction=pair.fraction, ends=ends, jpeg=picture.jpeg)


def read_so_far(places: OutputPlaces, run: str) -> dict[str, PairUnderWay]:
    """What there is to see of the run's pairs, by id; nothing, and a line for debugging, where it can't be read."""
    try:
        contents = storage.read_if_exists(places.so_far(run), limit_bytes=RECORD_BYTES)
        stored = _StoredRun.model_validate_json(contents).pairs if contents else {}
        return {name: _seen(pair, f"{run}, {name}") for name, pair in stored.items()}
    except (ImageError, StorageError, ValidationError) as error:
        log.debug("run %s: nothing to be seen of it for now: %s", run, error)
        return {}


def _seen(pair: _StoredPair, name: str) -> PairUnderWay:
    """Raises ImageError for what is no small picture: anybody may have put it there."""
    width, height = inspect(pair.jpeg, name)
    if not pair.jpeg.startswith(b"\xff\xd8\xff") or max(width, height) > LARGE_PX:
        raise ImageError(f"{name}: is no JPEG of at most {LARGE_PX} px")
    left = None if pair.ends is None else max(0.0, (pair.ends - now()).total_seconds())
    return PairUnderWay(pair.at, pair.fraction, left, Preview(pair.jpeg, width, height))


def forget_so_far(places: OutputPlaces, run: str) -> None:
    """The run is over, or renders nothing for now. A storage that is away costs a line for debugging."""
    try:
        storage.delete(places.so_far(run))
    except StorageError as error:
        log.debug("run %s: what there was to see of it stays for now: %s", run, error)
