"""Pairs that a manifest names no more while their pictures are still in its output.

Of a sweep since narrowed, say, or of an id since changed. They are read from their records, which anybody may have
written; nothing is changed or removed.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, NamedTuple

from pydantic import BaseModel, ValidationError

from styletransfer import storage
from styletransfer.errors import RecordError, SettingsError, StorageError
from styletransfer.manifest.names import RESERVED, name_fault, name_key
from styletransfer.manifest.pairs import Manifest, Pair, PairStyle
from styletransfer.manifest.weights_source import WeightsSource
from styletransfer.renders.output_folder import lasting_fault
from styletransfer.renders.output_places import OutputPlaces
from styletransfer.renders.plan import READERS
from styletransfer.renders.records import InputRole, Record, SummaryPair, read_record
from styletransfer.renders.summary import Outcome, summary_pair
from styletransfer.settings import check_settings

MOST: Final = 2000
"""So many records are read; of more, the first by name."""

log = logging.getLogger(__name__)


class EarlierPair(NamedTuple):
    """A pair as its record has it, with the weights that it was rendered with, and its line of a summary."""

    pair: Pair
    weights: WeightsSource
    entry: SummaryPair


def find_earlier(manifest: Manifest, places: OutputPlaces) -> list[EarlierPair]:
    """Those whose picture and record are in the folder, in the order in which they were rendered.

    What is no record of one is passed over. Raises StorageError where the storage is away.
    """
    files = frozenset(storage.glob(storage.join(storage.escape(places.folder), "*")))
    taken = {name_key(name) for name in (*RESERVED, *(pair.id for pair in manifest.pairs))}
    ids = (storage.name(url).removesuffix(".json") for url in files if url.endswith(".json"))
    left_over = sorted(name for name in ids if name_fault(name) is None and name_key(name) not in taken)
    with ThreadPoolExecutor(READERS, thread_name_prefix="earlier") as readers:
        found = [*readers.map(partial(_read, places, files), left_over[:MOST])]
    return sorted((each for each in found if each), key=lambda each: str(each.entry.finished))


def _read(places: OutputPlaces, files: frozenset[str], pair_id: str) -> EarlierPair | None:
    try:
        record = read_record(places.record(pair_id))
        if record is None or record.id != pair_id or record.state != "done" or not _shows(places, files, record):
            return None
        pair = pair_of(record)
    except StorageError as error:
        log.debug("%s: no earlier picture: %s", pair_id, lasting_fault(error))
        return None
    except RecordError as error:
        log.debug("%s: no earlier picture: %s", pair_id, error)
        return None
    entry = summary_pair(places, pair, Outcome("done", record=record), {})
    return EarlierPair(pair, WeightsSource(record.weights.source), entry)


def _shows(places: OutputPlaces, files: frozenset[str], record: Record) -> bool:
    picture = places.picture(record.id, record.output.format)
    return picture in files and min(record.output.width, record.output.height) > 0


class _Parts(BaseModel):
    """What a fingerprint's parts tell of a pair beside its settings."""

    styles: dict[str, float | dict[str, float]] = {}
    dpi: float | None = None


def pair_of(record: Record) -> Pair:
    """The pair that the record tells of, as a manifest would have it. Raises RecordError where it tells no such."""
    content, keep = record.input("content"), record.input("keep")
    try:
        parts = _Parts.model_validate(record.fingerprint_parts)
        settings, styles = check_settings(record.settings), tuple(_styles(record, parts))
    except (KeyError, SettingsError, ValidationError) as error:
        raise RecordError(f"{record.id}: its record does not tell how it was made: {error}") from error
    if content is None or not styles or any(style.weight <= 0 for style in styles):
        raise RecordError(f"{record.id}: its record names no content, or no style that counts")
    return Pair(
        id=record.id,
        content=content.url,
        styles=styles,
        settings=settings,
        format=record.output.format,
        dpi=parts.dpi,
        priority="normal",
        place="record",
        keep=keep.url if keep else None,
    )


def _styles(record: Record, parts: _Parts) -> Iterator[PairStyle]:
    """With masks as the fingerprint's parts have them: which style each belongs to, inputs alone don't tell."""
    urls: dict[tuple[InputRole, str], str] = {(entry.role, entry.sha256): entry.url for entry in record.inputs}
    if not any(role in ("region", "from") for role, _ in urls):
        yield from (PairStyle(each.url, each.weight or 1.0) for each in record.inputs if each.role == "style")
        return
    for region, shares in _by_region(parts.styles).items():
        for name, share in shares.items():
            image, _, sample = name.partition(" from ")
            yield PairStyle(
                urls["style", image],
                share,
                None if region == "rest" else urls["region", region],
                urls["from", sample] if sample else None,
            )


def _by_region(styles: Mapping[str, float | dict[str, float]]) -> dict[str, dict[str, float]]:
    """Shares of styles by the mask of their region: they are told without where there is none."""
    everywhere = {name: share for name, share in styles.items() if not isinstance(share, dict)}
    by_region = {region: shares for region, shares in styles.items() if isinstance(shares, dict)}
    return {"rest": everywhere} | by_region
