"""One page of a contact sheet as HTML, a file that needs nothing else.

A page opens from a disk as from S3: style, script and thumbnails are inside, and a Content-Security-Policy lets it
show, beyond that, pictures from where it lies: the results, and what stands in for them in `.thumbnails`.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass, field
from functools import cache
from typing import Final, NamedTuple
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from pydantic import JsonValue

from styletransfer import storage
from styletransfer.contact_sheet.loss_plot import HEIGHT, WIDTH, LossPlot
from styletransfer.contact_sheet.short_names import short_names
from styletransfer.contact_sheet.shown_settings import ShownSettings, as_written
from styletransfer.contact_sheet.under_way import Preview, RunUnderWay
from styletransfer.pictures.formats import SHOWN_BY_BROWSERS, extension
from styletransfer.records.output_places import PAIRS_A_PAGE, page_count, page_name
from styletransfer.records.records import PairState, Summary, SummaryInput, SummaryPair
from styletransfer.records.thumbnails import BEFORE_PX, LARGE_PX, VIEWED_PX
from styletransfer.sizes import size_to_fit

MANY: Final = 60
"""Above this number of pairs cards and thumbnails are smaller."""

GENERATOR: Final = '<meta name="generator" content="styletransfer">'
"""In every page: what has it is ours to remove."""

INPUT_PX: Final = 80  # shown at half of it, for dense screens
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
        loader=PackageLoader("styletransfer.contact_sheet", ""),
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
    return pages.get_template("page.html")


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
