"""The pages people look at: `index.html`, `index-2.html` ..., files that need nothing else; and `summary.json`
for programs.

A page opens from a disk as from S3: style, script and thumbnails are inside, and a Content-Security-Policy lets it
show, beyond that, pictures from where it lies: the results, and what stands in for them in `.thumbnails`. These are
kept, so that writing it again as pairs finish decodes only what is new.
"""

from __future__ import annotations

import base64
import hashlib
import json
import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence, Sized
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from typing import Final, NamedTuple
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from pydantic import JsonValue

from styletransfer import storage
from styletransfer.errors import RecordError, StorageError
from styletransfer.manifest.pairs import Pair
from styletransfer.manifest.weights_source import WeightsSource
from styletransfer.pictures.formats import SHOWN_BY_BROWSERS, extension
from styletransfer.renders.earlier_pairs import EarlierPair, find_earlier
from styletransfer.renders.expected import expected
from styletransfer.renders.inputs import input_uses
from styletransfer.renders.loss_plot import HEIGHT, WIDTH, LossPlot, loss_plot
from styletransfer.renders.output_folder import find_record
from styletransfer.renders.output_places import PAIRS_A_PAGE, page_count, page_name
from styletransfer.renders.pair_text import image_command, pair_yaml
from styletransfer.renders.plan import READERS, Plan
from styletransfer.renders.recorded_pair import as_rendered
from styletransfer.renders.records import (
    FarmReport,
    PairState,
    Summary,
    SummaryInput,
    SummaryPair,
    now,
    write_summary,
)
from styletransfer.renders.short_names import short_names
from styletransfer.renders.shown_settings import ShownSettings, as_written
from styletransfer.renders.speed import SpeedOf, no_speed
from styletransfer.renders.summary import REPLACED, Outcome, other_pairs, summarise
from styletransfer.renders.thumbnails import BEFORE_PX, LARGE_PX, VIEWED_PX, Thumbnails
from styletransfer.renders.under_way import Preview, RunUnderWay
from styletransfer.sizes import size_to_fit

MANY: Final = 60
"""Above this number of pairs cards and thumbnails are smaller."""

GENERATOR: Final = '<meta name="generator" content="styletransfer">'
"""In every page: what has it is ours to remove."""

log = logging.getLogger(__name__)

_SMALL_PX: Final = 200
INPUT_PX: Final = 80  # shown at half of it, for dense screens
_LARGE_READERS: Final = 2  # each holds a whole picture, of TIFFs hundreds of MB
_LISTED_FAILURES: Final = 12  # reasons, and pairs of each, at the top of the page; the filter finds the rest

_WORDS: Final[dict[PairState, str]] = {
    "done": "Done",
    "skipped": "Done before",
    "rendering": "Rendering",
    "held": "Held",
    "queued": "Queued",
    "cancelled": "Cancelled",
    "failed": "Failed",
}
_FINISHED: Final = ("done", "skipped")


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


class PairTexts(NamedTuple):
    """A pair as text to paste."""

    yaml: str
    command: str


@dataclass(frozen=True)
class PageParts:
    """What a page shows beside the summary.

    `jpegs`: thumbnails by sha256 of the picture and size in px; `result_px` is the size for results. `stand_ins`:
    by the same, places of larger JPEGs beside the page. `texts` and `plots` by pair id. `with_records`: whether
    records lie beside the page. `earlier` pairs, which the manifest names no more: they stand behind the others.
    """

    jpegs: Mapping[tuple[str, int], bytes] = field(default_factory=dict, repr=False)
    result_px: int = LARGE_PX
    stand_ins: Mapping[tuple[str, int], str] = field(default_factory=dict)
    texts: Mapping[str, PairTexts] = field(default_factory=dict, repr=False)
    plots: Mapping[str, LossPlot] = field(default_factory=dict, repr=False)
    with_records: bool = True
    earlier: Sequence[SummaryPair] = ()

    def preview(self, pair: SummaryPair) -> Preview | None:
        """The result's thumbnail, if there is one."""
        jpeg = self.jpegs.get((pair.sha256 or "", self.result_px))
        if jpeg is None or pair.width is None or pair.height is None:
            return None
        return Preview(jpeg, *size_to_fit((pair.width, pair.height), self.result_px, enlarge=False))

    def inputs(self) -> dict[str, bytes]:
        """Thumbnails of contents and styles by sha256; each is in the page once, however many pairs use
        it."""
        return {sha256: jpeg for (sha256, px), jpeg in self.jpegs.items() if px == INPUT_PX}

    def viewed(self, pair: SummaryPair) -> str | None:
        """Place beside the page of what a browser shows of the result at its full size."""
        if pair.format in SHOWN_BY_BROWSERS:
            return pair.picture
        return self.stand_ins.get((pair.sha256 or "", VIEWED_PX))

    def before(self, pair: SummaryPair) -> str | None:
        """Place beside the page of the content, as large as it is compared."""
        return self.stand_ins.get((pair.content.sha256 or "", BEFORE_PX))


def on_page(pairs: Sequence[SummaryPair], number: int) -> Sequence[SummaryPair]:
    """Those of the pairs that are on one page, from 1."""
    return pairs[(number - 1) * PAIRS_A_PAGE : number * PAIRS_A_PAGE]


def page(
    summary: Summary, parts: PageParts | None = None, number: int = 1, under_way: RunUnderWay | None = None
) -> str:
    """One page of the contact sheet as HTML, from 1."""
    parts = parts or PageParts()
    all_pairs = (*summary.pairs, *parts.earlier)
    inputs, earlier, shown = parts.inputs(), {pair.id for pair in parts.earlier}, on_page(all_pairs, number)
    failed = [pair for pair in summary.pairs if pair.state == "failed"]
    places = {pair.id: place for place, pair in enumerate(summary.pairs)}
    words = _words(summary.pairs)
    return _template().render(
        summary=summary,
        shown=[pair for pair in shown if pair.id not in earlier],
        shown_earlier=[pair for pair in shown if pair.id in earlier],
        shown_counts=Counter("earlier" if pair.id in earlier else pair.state for pair in shown),
        ids=[pair.id for pair in summary.pairs],
        earlier=earlier,
        number=number,
        numbers=range(1, page_count(len(all_pairs)) + 1),
        page_of=lambda pair: places[pair.id] // PAIRS_A_PAGE + 1,
        generator=GENERATOR,
        parts=parts,
        settings=ShownSettings.of(all_pairs),
        names=short_names(entry.url for pair in all_pairs for entry in pair.inputs()),
        under_way=under_way,
        plot_size=(WIDTH, HEIGHT),
        many=len(all_pairs) > MANY,
        inputs=inputs,
        classes={sha256: f"i{number}" for number, sha256 in enumerate(inputs)},
        words=words,
        states=[(state, word) for state, word in words.items() if state in summary.counts],
        failed=failed,
        failures=_by_reason(failed),
        listed=_LISTED_FAILURES,
    )


@cache
def _template() -> Template:
    """The page's template, which escapes whatever is put into it."""
    pages = Environment(
        autoescape=True,
        loader=PackageLoader("styletransfer.renders", ""),
        lstrip_blocks=True,
        trim_blocks=True,
        undefined=StrictUndefined,
    )
    pages.filters |= {
        "as_json": json.dumps,
        "axes": _axes,
        "count_of": _count_of,
        "data_url": _data_url,
        "duration": duration,
        "facts": _facts,
        "former": _former,
        "in_words": _in_words,
        "meta": _meta,
        "page_name": page_name,
        "searchable": _searchable,
        "sha256_base64": _sha256_base64,
        "part": _part,
    }
    return pages.get_template("contact_sheet.html")


def _words(pairs: Iterable[SummaryPair]) -> dict[PairState, str]:
    """What the states are called: what is held behind its preview is not held by a farm, and has another name."""
    held = [pair for pair in pairs if pair.state == "held"]
    return _WORDS | ({"held": "Preview"} if held and all(pair.is_previewed for pair in held) else {})


def _by_reason(failed: Iterable[SummaryPair]) -> list[tuple[str, list[SummaryPair]]]:
    """Each reason with the pairs that it stopped."""
    found: dict[str, list[SummaryPair]] = defaultdict(list)
    for pair in failed:
        found[pair.reason or "no reason was recorded"].append(pair)
    return [*found.items()]


# What the templates call filters


def _sha256_base64(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _data_url(jpeg: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"


def _count_of(things: Sized, noun: str) -> str:
    """`1 pair`, `2,000 pairs`."""
    return f"{len(things):,} {noun}{'s' if len(things) != 1 else ''}"


def _meta(summary: Summary) -> str:
    """One line on the whole: how many pictures, how long they took, whether there are more to come."""
    finished = [pair for pair in summary.pairs if pair.state in _FINISHED]
    previewed = [pair for pair in summary.pairs if pair.is_previewed]
    # A picture that was taken over from another pair was rendered once.
    seconds = sum({pair.sha256 or pair.id: pair.seconds or 0 for pair in (*finished, *previewed)}.values())
    parts = [f"{len(finished):,} of {len(summary.pairs):,} pictures"]
    parts += [_count_of(previewed, "preview")] if previewed else []
    parts.append(f"{duration(seconds)} of rendering")
    if finished_at := [pair.finished for pair in finished if pair.finished]:
        parts.append(f"last one {max(finished_at):%d %B %Y, %H:%M} UTC")
    if any(pair.state in ("queued", "rendering", "held") for pair in summary.pairs):
        parts.append("more to come")
    return " · ".join(parts)


def duration(seconds: float) -> str:
    """`9.4 s`, `1 min 32 s`, `2 h 05 min`."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours:,} h {minutes:02} min"


def _in_words(pair: SummaryPair, names: Mapping[str, str]) -> str:
    kept = f", kept where {names[pair.keep.url]} is white" if pair.keep else ""
    return f"{names[pair.content.url]} in the style of {_styles_in_words(pair, names)}{kept}"


def _styles_in_words(pair: SummaryPair, names: Mapping[str, str]) -> str:
    return " and ".join(names[style.url] + _part(style, pair.styles, names) for style in pair.styles)


def _former(pair: SummaryPair) -> list[dict[str, JsonValue]]:
    """The pair's former pictures that browsers show: where they are beside the page, and what they were."""
    return [
        {
            "key": version.fingerprint,
            "view": f"./.history/{_segment(pair.id)}/{_segment(version.fingerprint + extension(version.format))}",
            "width": version.width,
            "height": version.height,
            "told": " \N{MIDDLE DOT} ".join([f"{version.finished:%d %B %Y, %H:%M}", *version.changed]),
        }
        for version in pair.former
        if version.format in SHOWN_BY_BROWSERS
    ]


def _segment(name: str) -> str:
    """A name as one part of an address: nothing in it leads elsewhere, whoever wrote the summary."""
    return quote(name, safe="")


def _axes(pair: SummaryPair, names: Mapping[str, str], settings: ShownSettings) -> dict[str, str]:
    """What pairs can be laid out in rows and columns by."""
    return {"content": names[pair.content.url], "style": _styles_in_words(pair, names), **settings.varied(pair)}


def _part(style: SummaryInput, styles: Sequence[SummaryInput], names: Mapping[str, str]) -> str:
    """What of the style counts, its part of the blend, and where: ` 75%`, ` where sky.png is white`, ` elsewhere`;
    nothing if it stands alone."""
    sample = f" (of it {names[style.sample.url]})" if style.sample else ""
    if all(each.region is None for each in styles):
        return sample + _share(style, styles)
    where = f" where {names[style.region.url]} is white" if style.region else " elsewhere"
    return sample + _share(style, [each for each in styles if each.region == style.region]) + where


def _share(style: SummaryInput, styles: Sequence[SummaryInput]) -> str:
    """The style's part of those that it is blended with, ` 75%`; nothing if it stands alone."""
    if len(styles) == 1:
        return ""
    return f" {(style.weight or 1.0) / sum(each.weight or 1.0 for each in styles):.0%}"


def _facts(pair: SummaryPair) -> str:
    """Size, time taken and format on one line."""
    parts = [f"{pair.width} \N{MULTIPLICATION SIGN} {pair.height} px"] if pair.width and pair.height else []
    if pair.seconds is not None:
        told = pair.expected_seconds if pair.state == "done" else None
        parts.append(duration(pair.seconds) + (f" ({duration(told)} expected)" if told else ""))
    if pair.format:
        parts.append(pair.format.upper())
    if pair.attempts > 1:
        parts.append(f"{pair.attempts} attempts")
    return " · ".join(parts)


def _searchable(pair: SummaryPair) -> str:
    """What the search looks through beside settings, in lower case."""
    names = [storage.name(entry.url) for entry in pair.inputs()]
    settings = [f"{name} {as_written(value, name)}" for name, value in pair.settings.items()]
    return " ".join([pair.id, *names, *settings, pair.reason or ""]).lower()
