"""The pair that a record tells of: as its picture was made, whatever its manifest says by now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from pydantic import BaseModel, ValidationError

from styletransfer import storage
from styletransfer.errors import RecordError, SettingsError
from styletransfer.manifest.pairs import Pair, PairStyle
from styletransfer.planning.inputs import input_uses
from styletransfer.records.records import InputRole, Record
from styletransfer.settings import Settings, check_settings, with_places


def as_rendered(pair: Pair, record: Record) -> Pair:
    """A manifest's pair as its picture was made: as the record tells it, if the manifest has changed since."""
    try:
        return pair if _is_of(record, pair) else replace(pair_of(record), swept=pair.swept)
    except (RecordError, SettingsError):  # of another version: nothing better is known
        return pair


def _is_of(record: Record, pair: Pair) -> bool:
    """By the names of files: a folder that was moved, or is mounted elsewhere, is no other picture."""
    return (
        [(entry.role, storage.name(entry.url), entry.weight) for entry in record.inputs]
        == [(use.role, storage.name(storage.public(use.url)), use.weight) for use in input_uses(pair)]
        and _named(check_settings(record.settings)) == _named(pair.settings)
        and record.output.format == pair.format
    )


def _named(settings: Settings) -> dict[str, Any]:
    return with_places(settings.picture(), lambda _, url: storage.name(storage.public(url)))


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
