"""The contact sheet of a run: `index.html`, `index-2.html` ... and `summary.json`, written as there is news.

Thumbnails are kept in `.thumbnails`, so that writing it again as pairs finish decodes only what is new.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from typing import Final

from styletransfer import storage
from styletransfer.contact_sheet.earlier_pairs import EarlierPair, find_earlier
from styletransfer.contact_sheet.loss_plot import LossPlot, loss_plot
from styletransfer.contact_sheet.page import GENERATOR, INPUT_PX, MANY, PageParts, PairTexts, on_page, page
from styletransfer.contact_sheet.under_way import RunUnderWay
from styletransfer.errors import RecordError, StorageError
from styletransfer.manifest.pairs import Pair
from styletransfer.manifest.weights_source import WeightsSource
from styletransfer.pictures.formats import SHOWN_BY_BROWSERS
from styletransfer.planning.expected import expected
from styletransfer.planning.inputs import input_uses
from styletransfer.planning.plan import READERS, Plan
from styletransfer.planning.speed import SpeedOf, no_speed
from styletransfer.records.output_folder import find_record
from styletransfer.records.output_places import page_count
from styletransfer.records.pair_text import image_command, pair_yaml
from styletransfer.records.records import FarmReport, Summary, SummaryPair, now, write_summary
from styletransfer.records.thumbnails import BEFORE_PX, LARGE_PX, VIEWED_PX, Thumbnails
from styletransfer.renders.recorded_pair import as_rendered
from styletransfer.renders.summary import REPLACED, Outcome, other_pairs, summarise

log = logging.getLogger(__name__)

_SMALL_PX: Final = 200
_LARGE_READERS: Final = 2  # each holds a whole picture, of TIFFs hundreds of MB


class ContactSheet:
    """Summary and contact sheet of one run of a manifest.

    Make one for a run and write it as often as there is news: what it has read and made it remembers. `speed_of`
    tells how fast renders are expected to be, beside records.
    """

    def __init__(self, plan: Plan, started: datetime | None = None, speed_of: SpeedOf = no_speed) -> None:
        self.plan = plan
        self.started = started or now()
        self.thumbnails = Thumbnails(plan.places)
        self._others = other_pairs(plan)
        self._expected = expected(plan, speed_of).seconds
        self._urls = {storage.public(use.url): use.url for pair in plan.manifest.pairs for use in input_uses(pair)}
        weights, self._asked = plan.manifest.weights, _asked_for(plan)
        self._texts = {pair.id: self._texts_of(self._shown(pair), weights) for pair in plan.manifest.pairs}
        self._earlier: Sequence[EarlierPair] | None = None
        self._plots: dict[str, LossPlot | None] = {}  # by fingerprint
        self._written: dict[int, Sequence[SummaryPair]] = {}

    def write(
        self,
        outcomes: Mapping[str, Outcome],
        farm: FarmReport | None = None,
        *,
        whole: bool = True,
        under_way: RunUnderWay | None = None,
    ) -> Summary:
        """Write all files; returns the summary.

        `outcomes` by pair id: a pair without one stands as planned, one that this run wasn't asked for as
        it stood. Not `whole`: of the pages behind the first only those whose pairs have changed, so that others
        say how the whole stood when they were written. Pages of a run that is `under_way` load themselves anew.
        Raises StorageError when a file can't be written.
        """
        summary = summarise(self.plan, outcomes, self._others, self.started, self._expected)
        summary = summary.model_copy(update={"farm": farm})
        write_summary(self.plan.places.summary, summary)
        first_time = not self._written
        earlier = [each.entry for each in self._find_earlier()]
        all_pairs = (*summary.pairs, *earlier)
        for number in range(page_count(len(all_pairs)), 0, -1):  # the first page leads to the others
            pairs = on_page(all_pairs, number)
            if whole or number == 1 or self._written.get(number) != pairs or _moving(pairs, under_way):
                parts = replace(self._parts(pairs, small=len(all_pairs) > MANY), earlier=earlier)
                storage.write(self.plan.places.page(number), page(summary, parts, number, under_way).encode())
                self._written[number] = pairs
        if first_time:
            self._remove_pages_behind(page_count(len(all_pairs)))
        return summary

    def _find_earlier(self) -> Sequence[EarlierPair]:
        """Looked for when the sheet is first written, which may be in the background; if need be, again the next
        time."""
        if self._earlier is None:
            try:
                self._earlier = find_earlier(self.plan.manifest, self.plan.places)
            except StorageError as error:
                log.warning("earlier pictures are not on the contact sheet for now: %s", error)
                return []
            self._texts |= {each.pair.id: self._texts_of(each.pair, each.weights) for each in self._earlier}
        return self._earlier

    def _shown(self, pair: Pair) -> Pair:
        """The pair as its picture was made, where that is not what the manifest asks for by now."""
        other = self._others.get(pair.id)
        record = find_record(self.plan.places, pair.id) if other is not None and other.reason == REPLACED else None
        return pair if record is None else as_rendered(pair, record)

    def _texts_of(self, pair: Pair, weights: WeightsSource) -> PairTexts:
        return PairTexts(pair_yaml(pair, self._asked), image_command(pair, weights))

    def _remove_pages_behind(self, last: int) -> None:
        """Those of a time when there were more pairs. A file of somebody else's stays."""
        places, number = self.plan.places, last + 1
        try:
            while GENERATOR.encode() in (storage.read_if_exists(places.page(number)) or b""):
                storage.delete(places.page(number))
                number += 1
        except StorageError as error:
            log.warning("an old page of the contact sheet stays: %s", error)

    def _parts(self, pairs: Sequence[SummaryPair], *, small: bool) -> PageParts:
        """What a page shows beside the summary. Of pairs not yet rendered no pictures: making these now would
        delay the rendering."""
        result_px = _SMALL_PX if small else LARGE_PX
        wanted: dict[tuple[str, int], str | None] = {}
        viewed: dict[tuple[str, int], str | None] = {}
        for pair in filter(_has_picture, pairs):
            picture = storage.join(self.plan.places.folder, pair.picture or "")
            wanted.setdefault((pair.sha256 or "", result_px), picture)
            if pair.format not in SHOWN_BY_BROWSERS:
                viewed.setdefault((pair.sha256 or "", VIEWED_PX), picture)
            for entry in pair.inputs():
                if entry.sha256:
                    # None for what only a former summary names: it is not fetched.
                    key = entry.sha256, INPUT_PX
                    wanted[key] = wanted.get(key) or self._urls.get(entry.url)
            if pair.content.sha256:
                key = pair.content.sha256, BEFORE_PX
                viewed[key] = viewed.get(key) or self._urls.get(pair.content.url)
        with (
            ThreadPoolExecutor(READERS, thread_name_prefix="sheet") as readers,
            ThreadPoolExecutor(_LARGE_READERS, thread_name_prefix="stand-ins") as large_readers,
        ):
            found = readers.map(lambda key: self.thumbnails.find(key[0], wanted[key], key[1]), wanted)
            jpegs = dict(zip(wanted, found, strict=True))
            places = large_readers.map(lambda key: self.thumbnails.stand_in(key[0], viewed[key], key[1]), viewed)
            stand_ins = dict(zip(viewed, places, strict=True))
            plots = dict(zip((pair.id for pair in pairs), readers.map(self._plot, pairs), strict=True))
        return PageParts(
            {key: jpeg for key, jpeg in jpegs.items() if jpeg is not None},
            result_px,
            {key: place for key, place in stand_ins.items() if place is not None},
            {pair.id: self._texts[pair.id] for pair in pairs},
            {name: plot for name, plot in plots.items() if plot is not None},
        )

    def _plot(self, pair: SummaryPair) -> LossPlot | None:
        """The loss of a render that kept its trace, from its record."""
        if pair.state not in ("done", "skipped") or not pair.fingerprint or pair.settings.get("trace") is not True:
            return None
        if pair.fingerprint not in self._plots:
            try:
                record = find_record(self.plan.places, pair.id)
            except (RecordError, StorageError) as error:
                log.warning("no plot of the loss: %s", error)
                return None
            if record is None or record.fingerprint != pair.fingerprint:
                return None
            self._plots[pair.fingerprint] = loss_plot(record.scales)
        return self._plots[pair.fingerprint]


def _asked_for(plan: Plan) -> set[str]:
    """Settings that some pair of the manifest has not the program's default of."""
    settings = {id(pair.settings): pair.settings for pair in plan.manifest.pairs}  # which many share
    return {name for each in settings.values() for name in each.differences()}


def _has_picture(pair: SummaryPair) -> bool:
    return bool(pair.picture and pair.sha256 and storage.name(pair.picture) == pair.picture)


def _moving(pairs: Iterable[SummaryPair], under_way: RunUnderWay | None) -> bool:
    """Whether there is news of these pairs all the time."""
    return under_way is not None and any(pair.id in under_way.pairs for pair in pairs)
