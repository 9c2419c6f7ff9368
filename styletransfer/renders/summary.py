"""How every pair of a manifest stands, from the plan and from what has happened since."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from types import MappingProxyType
from typing import Final

from styletransfer import storage
from styletransfer.errors import RecordError
from styletransfer.manifest.pairs import Pair, PairStyle
from styletransfer.planning.plan import READERS, Plan, PlannedPair
from styletransfer.records.output_folder import find_record, picture_url
from styletransfer.records.output_places import OutputPlaces
from styletransfer.records.records import (
    PairState,
    Record,
    Summary,
    SummaryInput,
    SummaryPair,
    now,
    read_record,
    read_summary,
)
from styletransfer.renders.recorded_pair import as_rendered

REPLACED: Final = "the manifest asks for another picture by now; `render` makes that in its place"
"""Said of a picture that is not what its manifest says."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """How one pair stands: its state, why (if it failed or waits), its record once it is done, attempts
    so far; of one that failed, whether that may be its host's fault (`errors.may_be_of_host`)."""

    state: PairState
    reason: str | None = None
    record: Record | None = None
    attempts: int = 0
    of_host: bool = False

    @property
    def is_preview(self) -> bool:
        """Whether its first scales are done, as was asked for, and it is held there."""
        return self.state == "held" and self.record is not None

    @property
    def is_made(self) -> bool:
        """Whether what was asked for is there: its picture, or no more than its preview."""
        return self.state in ("done", "skipped") or self.is_preview


def summarise(
    plan: Plan,
    outcomes: Mapping[str, Outcome],
    others: Mapping[str, SummaryPair],
    started: datetime,
    expected: Mapping[str, float] = MappingProxyType({}),
) -> Summary:
    """The summary of a manifest. A planned pair without an outcome stands as planned; `others` are the
    rest, and those that have a preview; `expected` are seconds in a slot by pair id."""

    def planned_pair(pair: PlannedPair) -> SummaryPair:
        outcome, told = outcomes.get(pair.id), expected.get(pair.id)
        if outcome and outcome.record and told is not None:
            told /= outcome.record.share  # by the clock, as what it took
        entry = summary_pair(pair.places, pair.pair, outcome or as_planned(pair), pair.hashes)
        entry = _with_preview(entry, others.get(pair.id))
        return entry.model_copy(update={"expected_seconds": told})

    planned = {pair.id: planned_pair(pair) for pair in plan.pairs}
    return Summary(
        manifest=plan.manifest.name,
        location=plan.manifest.location,
        started=started,
        updated=now(),
        pairs=tuple(planned.get(pair.id) or others[pair.id] for pair in plan.manifest.pairs),
    )


def other_pairs(plan: Plan) -> dict[str, SummaryPair]:
    """The manifest's pairs that the plan leaves out, as the last summary has them, else as their records
    say; and those that are to be rendered and have a preview, as the last summary has it."""
    planned = {pair.id for pair in plan.pairs}
    left_out = [pair for pair in plan.manifest.pairs if pair.id not in planned]
    queued = {pair.id: pair.fingerprint for pair in plan.having("queued")}
    if not left_out and not queued:
        return {}
    before = _former_pairs(plan.places)
    previewed = {
        name: before[name]
        for name, fingerprint in queued.items()
        if name in before and _is_preview(plan.places, before[name]) and before[name].fingerprint == fingerprint
    }
    with ThreadPoolExecutor(READERS, thread_name_prefix="summary") as readers:
        found = readers.map(partial(_left_out, plan.places, before), left_out)
        return previewed | dict(zip((pair.id for pair in left_out), found, strict=True))


def _former_pairs(places: OutputPlaces) -> dict[str, SummaryPair]:
    """The last summary's pairs by id, without those that were under way: nobody knows what became of
    them, but that what has a preview goes on from there."""
    try:
        summary = read_summary(places.summary)
    except RecordError as error:
        log.warning("%s; made anew from the records", error)
        return {}
    settled = ("done", "skipped", "failed", "cancelled")
    pairs = summary.pairs if summary else ()
    previewed = (pair for pair in pairs if pair.state not in settled and _is_preview(places, pair))
    held = {pair.id: _behind_its_preview(places, pair) for pair in previewed}
    return {pair.id: pair for pair in pairs if pair.state in settled} | held


def _behind_its_preview(places: OutputPlaces, pair: SummaryPair) -> SummaryPair:
    held = pair.model_copy(update={"state": "held"})
    try:
        record = read_record(places.preview_record(pair.id))
    except RecordError as error:
        log.warning("%s", error)
        return held
    return held if record is None else _with_record(held.model_copy(update={"reason": None}), places, record)


def _is_preview(places: OutputPlaces, pair: SummaryPair) -> bool:
    return pair.picture == storage.name(places.preview(pair.id))


def _with_preview(entry: SummaryPair, former: SummaryPair | None) -> SummaryPair:
    """The pair's line with the preview that it had, as long as it has no other picture."""
    if former is None or entry.picture is not None:
        return entry
    kept = ("fingerprint", "picture", "sha256", "format", "width", "height")
    return entry.model_copy(update={name: getattr(former, name) for name in kept})


def _left_out(places: OutputPlaces, before: Mapping[str, SummaryPair], pair: Pair) -> SummaryPair:
    """As the last summary has it, unless that is another picture than the manifest asks for by now."""
    queued = summary_pair(places, pair, Outcome("queued", "not asked for in this run"), {})
    known = before.get(pair.id)
    if known is not None and (known.picture is None or _made_of(known) == _made_of(queued)):
        return known
    record = find_record(places, pair.id)
    if record is None:
        return known or queued
    rendered = as_rendered(pair, record)
    reason = None if rendered is pair else REPLACED
    return summary_pair(places, rendered, Outcome("done", reason, record), {})


def _made_of(entry: SummaryPair) -> tuple[object, ...]:
    """By the names of files: a folder may have been moved."""
    styles = [(_name(each), each.weight, _name(each.region), _name(each.sample)) for each in entry.styles]
    return _name(entry.content), styles, _name(entry.keep), entry.settings


def _name(picture: SummaryInput | None) -> str | None:
    return None if picture is None else storage.name(picture.url)


def as_planned(planned: PlannedPair) -> Outcome:
    """How a pair stands of which nothing has been heard since it was planned."""
    record = planned.record if planned.state in ("skipped", "held") else None
    return Outcome(planned.state, planned.reason, record)


def summary_pair(places: OutputPlaces, pair: Pair, outcome: Outcome, hashes: Mapping[str, str]) -> SummaryPair:
    """The pair's line of a summary. `hashes` of its inputs, as far as known, are by location."""
    record = outcome.record
    known = {entry.url: entry.sha256 for entry in record.inputs} if record else {}

    def described(url: str) -> SummaryInput:
        return SummaryInput(url=url, sha256=known.get(storage.public(url)) or hashes.get(url))

    def mask(url: str | None) -> SummaryInput | None:
        return None if url is None else described(url)

    def styled(style: PairStyle) -> SummaryInput:
        masks = {"region": mask(style.region), "sample": mask(style.sample)}
        return described(style.image).model_copy(update={"weight": style.weight, **masks})

    entry = SummaryPair(
        id=pair.id,
        state=outcome.state,
        reason=outcome.reason,
        content=described(pair.content),
        styles=tuple(map(styled, pair.styles)),
        keep=mask(pair.keep),
        settings=pair.settings.differences(),
        sweep=pair.settings.model_dump(mode="json", include={*pair.swept}),
        attempts=outcome.attempts,
    )
    return entry if record is None else _with_record(entry, places, record)


def _with_record(entry: SummaryPair, places: OutputPlaces, record: Record) -> SummaryPair:
    """The pair's line with what its record knows, which may be that of its preview."""
    return entry.model_copy(
        update={
            "fingerprint": record.fingerprint,
            "picture": storage.name(picture_url(places, record)),
            "sha256": record.output.sha256,
            "format": record.output.format,
            "width": record.output.width,
            "height": record.output.height,
            "seconds": record.seconds,
            "finished": record.finished,
            "devices": record.devices,
            "attempts": entry.attempts or record.attempts,
            "warnings": record.warnings,
            "former": record.former,
        }
    )
