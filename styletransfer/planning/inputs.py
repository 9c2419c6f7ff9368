"""A pair's inputs: where they are named, and what is at each location, found without decoding any pixels.

An input is known by the sha256 of its bytes. Reading every byte on every run would take too long, so
records keep each input's size with its ETag or time of change, and as long as these are the same the
recorded sha256 is taken as it is.
"""

from __future__ import annotations

import hashlib
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np

from styletransfer import storage
from styletransfer.errors import Fault, ImageError, StorageError
from styletransfer.limits import PICTURE_BYTES, PROFILE_BYTES
from styletransfer.manifest.pairs import Pair
from styletransfer.pictures.decode import inspect
from styletransfer.pictures.masks import decode_mask
from styletransfer.pictures.picture import Picture
from styletransfer.pictures.soft_proof import soft_proof
from styletransfer.records.records import InputRecord, InputRole, Record
from styletransfer.sizes import Size
from styletransfer.storage.retries import Retries

MASKS: tuple[InputRole, ...] = ("region", "from", "keep")
"""Inputs that are gray pictures laid over another."""

_PROBE = Picture(np.zeros((1, 1, 3), np.uint8))

_LARGE_BYTES = 32 * 2**20
_LARGE_READS = threading.BoundedSemaphore(2)  # so that many readers don't fill the memory with large files


@dataclass(frozen=True)
class InputUse:
    """One input of a pair: what for, where it is, and where (about) the manifest names it."""

    role: InputRole
    url: str
    place: str
    line: int | None
    weight: float | None = None

    def fault(self, message: str) -> Fault:
        return Fault(self.place, message, self.line)


@dataclass(frozen=True)
class FoundInput:
    """What is at one location: its stat, its hash and a picture's size in px; or else the fault.

    `alone`: the fault is a storage's, of a file that can't be reached for now or be named in a record, and keeps
    no other pair from being rendered. `of_host`: it may be this host's (`errors.may_be_of_host`).
    """

    stat: storage.Stat | None = None
    sha256: str | None = None
    size: Size | None = None
    fault: str | None = None
    alone: bool = False
    of_host: bool = False


def input_uses(pair: Pair) -> Iterator[InputUse]:
    """The pair's inputs: content, styles in their order, the profile of a soft proof, the start, and masks."""
    grid, several = pair.place.startswith("grid"), len(pair.styles) > 1

    def use(role: InputRole, url: str, key: str, weight: float | None = None) -> InputUse:
        return InputUse(role, url, f"{pair.place}.{key}", pair.line_of(key), weight)

    yield use("content", pair.content, "contents" if grid else "content")
    for number, style in enumerate(pair.styles):
        key = "styles" if grid else f"styles[{number}]" if several else "style"
        yield use("style", style.image, key, style.weight)
    if pair.settings.proof is not None:
        yield use("proof", pair.settings.proof, "settings.proof")
    if pair.settings.init_image is not None:
        yield use("init", pair.settings.init_image, "settings.init.image")
    for number, style in enumerate(pair.styles):
        if style.region is not None:
            yield use("region", style.region, f"styles[{number}].region")
        if style.sample is not None:
            yield use("from", style.sample, f"styles[{number}].from")
    if pair.keep is not None:
        yield use("keep", pair.keep, "keep")


def largest_bytes(role: InputRole) -> int:
    """How large an input may be."""
    return PROFILE_BYTES if role == "proof" else PICTURE_BYTES


def look_at_inputs(
    pairs: Iterable[Pair],
    records: Iterable[Record | None],
    readers: Executor,
    retries: Retries,
    before: Mapping[str, FoundInput],
) -> dict[str, FoundInput]:
    """What is at each distinct location that the pairs name, each looked at again where that may help.

    Records tell the hashes of inputs that have not changed since. A fault is a finding, too. Those that were looked
    at `before` are not again.
    """
    known: dict[str, list[InputRecord]] = defaultdict(list)
    for record in records:
        for entry in record.inputs if record else ():
            known[entry.url].append(entry)
    roles = {use.url: use.role for pair in pairs for use in input_uses(pair)}

    def look(url: str) -> FoundInput:
        return look_at_input(url, roles[url], known.get(storage.public(url), ()))

    looked = retries.gather(look, [url for url in roles if url not in before], readers)
    return {url: before[url] for url in roles if url in before} | {
        url: _unseen(found) if isinstance(found, StorageError) else found for url, found in looked.items()
    }


def _unseen(error: StorageError) -> FoundInput:
    return FoundInput(fault=str(error), alone=True, of_host=error.of_host)


def look_at_input(url: str, role: InputRole, known: Sequence[InputRecord] = ()) -> FoundInput:
    """What is at one location. Its bytes are read only if `known` has no entry with the same stat.

    A fault that will last is a finding; raises StorageError for one that may pass (`transient`), and for a name
    that is not UTF-8: a pattern may find such a file among good ones.
    """
    storage.check_utf8(url)
    try:
        stat = storage.stat(url)
        unchanged = next((entry for entry in known if _is_unchanged(url, role, entry, stat)), None)
        if unchanged is not None:
            return FoundInput(stat, unchanged.sha256, unchanged.dimensions)
        small = 0 <= stat.size <= _LARGE_BYTES and role not in MASKS  # these are decoded
        with nullcontext() if small else _LARGE_READS:
            return _examine(storage.read(url, limit_bytes=largest_bytes(role)), storage.public(url), role, stat)
    except ImageError as error:
        return FoundInput(fault=str(error))
    except StorageError as error:
        if error.transient:
            raise
        return FoundInput(fault=str(error), of_host=error.of_host)


def _is_unchanged(url: str, role: InputRole, entry: InputRecord, stat: storage.Stat) -> bool:
    """Whether a recorded input is still the same. A size alone proves nothing. Of a profile no pixels are known.

    Nor does the time of change where the URL has a query, which no record keeps: another may have been asked for.
    """
    told = stat.etag is not None or (stat.modified is not None and storage.public(url) == url)
    known = (entry.dimensions is None) == (role == "proof")
    return told and known and storage.Stat(entry.size, entry.etag, entry.modified) == stat


def _examine(contents: bytes, name: str, role: InputRole, stat: storage.Stat) -> FoundInput:
    digest = hashlib.sha256(contents).hexdigest()
    if role == "proof":
        soft_proof(_PROBE, contents, name)  # raises what it would raise later, for any picture
        return FoundInput(stat, digest)
    if role in MASKS:
        return FoundInput(stat, digest, decode_mask(contents, name).size)
    return FoundInput(stat, digest, inspect(contents, name))
