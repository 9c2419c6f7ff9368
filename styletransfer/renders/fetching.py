"""What a pair is made of: its inputs read, decoded and soft-proofed, with all that is to be said of them."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from styletransfer import storage
from styletransfer.pictures.decode import decode
from styletransfer.pictures.masks import decode_mask
from styletransfer.pictures.picture import Picture
from styletransfer.pictures.soft_proof import soft_proof
from styletransfer.planning.inputs import MASKS, InputUse, input_uses, largest_bytes
from styletransfer.planning.mask_fits import MaskFit, mask_fits
from styletransfer.planning.plan import PlannedPair
from styletransfer.records.records import InputRecord, now

log = logging.getLogger(__name__)


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
        return tuple(dict.fromkeys([*warnings, *(fit.text for fit in self.mask_fits() if fit.stretched)]))

    def mask_fits(self) -> Iterator[MaskFit]:
        """Of masks that have another size than what they are laid over."""
        pair = self.planned.pair
        sizes = {pair.content: self.content.size, **{url: mask.size for url, mask in self.masks.items()}}
        sizes |= {style.image: picture.size for style, picture in zip(pair.styles, self.styles, strict=True)}
        return mask_fits(pair, sizes.get)


def fetch(planned: PlannedPair) -> Fetched:
    """Read and decode the pair's inputs. Raises StorageError or ImageError; writes nothing."""
    pair, started, uses = planned.pair, now(), [*input_uses(planned.pair)]
    read = {use.url: _read_input(use) for use in uses}
    pictures = {
        use.url: decode(read[use.url].contents, storage.public(use.url), alpha=pair.settings.alpha)
        for use in uses
        if use.role not in ("proof", *MASKS)
    }
    masks = {
        use.url: decode_mask(read[use.url].contents, storage.public(use.url)) for use in uses if use.role in MASKS
    }
    if pair.settings.proof is not None:
        profile, name = read[pair.settings.proof].contents, storage.public(pair.settings.proof)
        pictures = {url: soft_proof(picture, profile, name) for url, picture in pictures.items()}
    decoded = masks | pictures
    fetched = Fetched(
        planned=planned,
        content=pictures[pair.content],
        styles=tuple(pictures[style.image] for style in pair.styles),
        start=pictures[pair.settings.init_image] if pair.settings.init_image is not None else None,
        inputs=tuple(_input_record(use, read[use.url], decoded.get(use.url)) for use in uses),
        hashes={url: each.sha256 for url, each in read.items()},
        started=started,
        masks=masks,
    )
    for style in fetched.styles:
        _ = style.digest  # targets are looked up by it; hashed here, while the device works on another pair
    for warning in fetched.warnings:
        log.warning("%s: fetch: %s", pair.id, warning)
    for fit in fetched.mask_fits():
        if not fit.stretched:
            log.info("%s: fetch: %s", pair.id, fit.text)
    return fetched


@dataclass(frozen=True)
class _Read:
    """Bytes of one input, with the stat from before they were read: if they changed meanwhile, it won't match."""

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
