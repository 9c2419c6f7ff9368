"""The pages people look at: `index.html`, `index-2.html` ..., files that need nothing else; and `summary.json`
for programs.

A page opens from a disk as from S3 and asks no server for anything: style, script and thumbnails are
inside, and a Content-Security-Policy holds it to that. Thumbnails are kept, so that writing it again as
pairs finish decodes only what is new.
"""

from __future__ import annotations

import base64
import hashlib
import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence, Sized
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Final, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from pydantic import JsonValue

from styletransfer import storage
from styletransfer.errors import StorageError
from styletransfer.renders.fingerprint import canonical_json
from styletransfer.renders.inputs import input_uses
from styletransfer.renders.output_places import PAIRS_A_PAGE, page_count, page_name
from styletransfer.renders.plan import READERS, Plan
from styletransfer.renders.records import (
    FarmReport,
    PairState,
    Summary,
    SummaryInput,
    SummaryPair,
    now,
    write_summary,
)
from styletransfer.renders.summary import Outcome, other_pairs, summarise
from styletransfer.renders.thumbnails import LARGE_PX, Thumbnails
from styletransfer.sizes import size_to_fit

MANY: Final = 60
"""Above this number of pairs cards and thumbnails are smaller."""

GENERATOR: Final = '<meta name="generator" content="styletransfer">'
"""In every page: what has it is ours to remove."""

log = logging.getLogger(__name__)

_SMALL_PX: Final = 200
_INPUT_PX: Final = 80  # shown at half of it, for dense screens
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

    Make one for a run and write it as often as there is news: what it has read and made it remembers.
    """

    def __init__(self, plan: Plan, started: datetime | None = None) -> None:
        self.plan = plan
        self.started = started or now()
        self.thumbnails = Thumbnails(plan.places)
        self._others = other_pairs(plan)
        self._urls = {storage.public(use.url): use.url for pair in plan.manifest.pairs for use in input_uses(pair)}
        self._written: dict[int, Sequence[SummaryPair]] = {}

    def write(
        self, outcomes: Mapping[str, Outcome], farm: FarmReport | None = None, *, whole: bool = True
    ) -> Summary:
        """Write all files; returns the summary.

        `outcomes` by pair id: a pair without one stands as planned, one that this run wasn't asked for as
        it stood. Not `whole`: of the pages behind the first only those whose pairs have changed, so that others
        say how the whole stood when they were written. Raises StorageError when a file can't be written.
        """
        summary = summarise(self.plan, outcomes, self._others, self.started).model_copy(update={"farm": farm})
        write_summary(self.plan.places.summary, summary)
        first_time = not self._written
        for number in range(page_count(len(summary.pairs)), 0, -1):  # the first page leads to the others
            pairs = pairs_of(summary, number)
            if whole or number == 1 or self._written.get(number) != pairs:
                pictures = self._pictures(pairs, small=len(summary.pairs) > MANY)
                storage.write(self.plan.places.page(number), page(summary, pictures, number).encode())
                self._written[number] = pairs
        if first_time:
            self._remove_pages_behind(page_count(len(summary.pairs)))
        return summary

    def _remove_pages_behind(self, last: int) -> None:
        """Those of a time when there were more pairs. A file of somebody else's stays."""
        places, number = self.plan.places, last + 1
        try:
            while GENERATOR.encode() in (storage.read_if_exists(places.page(number)) or b""):
                storage.delete(places.page(number))
                number += 1
        except StorageError as error:
            log.warning("an old page of the contact sheet stays: %s", error)

    def _pictures(self, pairs: Iterable[SummaryPair], *, small: bool) -> Pictures:
        """Thumbnails for a page. Of pairs not yet rendered none: making these now would delay the
        rendering."""
        folder = self.plan.places.folder
        result_px = _SMALL_PX if small else LARGE_PX
        wanted: dict[tuple[str, int], str | None] = {}
        for pair in pairs:
            if pair.picture and pair.sha256 and storage.name(pair.picture) == pair.picture:
                wanted[pair.sha256, result_px] = storage.join(folder, pair.picture)
                for entry in (pair.content, *pair.styles):
                    if entry.sha256:
                        # None for what only a former summary names: it is not fetched.
                        wanted[entry.sha256, _INPUT_PX] = self._urls.get(entry.url)
        with ThreadPoolExecutor(READERS, thread_name_prefix="sheet") as readers:
            found = readers.map(lambda key: self.thumbnails.find(key[0], wanted[key], key[1]), wanted)
            jpegs = dict(zip(wanted, found, strict=True))
        return Pictures({key: jpeg for key, jpeg in jpegs.items() if jpeg is not None}, result_px)


class Preview(NamedTuple):
    """A JPEG thumbnail and its size in px."""

    jpeg: bytes
    width: int
    height: int


@dataclass(frozen=True)
class Pictures:
    """JPEG thumbnails by sha256 of the picture and size in px; `result_px` is the size for results."""

    jpegs: Mapping[tuple[str, int], bytes] = field(default_factory=dict, repr=False)
    result_px: int = LARGE_PX

    def preview(self, pair: SummaryPair) -> Preview | None:
        """The result's thumbnail, if there is one."""
        jpeg = self.jpegs.get((pair.sha256 or "", self.result_px))
        if jpeg is None or pair.width is None or pair.height is None:
            return None
        return Preview(jpeg, *size_to_fit((pair.width, pair.height), self.result_px, enlarge=False))

    def inputs(self) -> dict[str, bytes]:
        """Thumbnails of contents and styles by sha256; each is in the page once, however many pairs use
        it."""
        return {sha256: jpeg for (sha256, px), jpeg in self.jpegs.items() if px == _INPUT_PX}


def pairs_of(summary: Summary, number: int) -> Sequence[SummaryPair]:
    """The pairs on one page, from 1."""
    return summary.pairs[(number - 1) * PAIRS_A_PAGE : number * PAIRS_A_PAGE]


def page(summary: Summary, pictures: Pictures, number: int = 1) -> str:
    """One page of the contact sheet as HTML, from 1."""
    inputs, shown = pictures.inputs(), pairs_of(summary, number)
    failed = [pair for pair in summary.pairs if pair.state == "failed"]
    places = {pair.id: place for place, pair in enumerate(summary.pairs)}
    return _template().render(
        summary=summary,
        shown=shown,
        shown_counts=Counter(pair.state for pair in shown),
        number=number,
        numbers=range(1, page_count(len(summary.pairs)) + 1),
        page_of=lambda pair: places[pair.id] // PAIRS_A_PAGE + 1,
        generator=GENERATOR,
        pictures=pictures,
        many=len(summary.pairs) > MANY,
        inputs=inputs,
        classes={sha256: f"i{number}" for number, sha256 in enumerate(inputs)},
        words=_WORDS,
        states=[(state, word) for state, word in _WORDS.items() if state in summary.counts],
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
        "as_written": _as_written,
        "count_of": _count_of,
        "data_url": _data_url,
        "facts": _facts,
        "file_name": storage.name,
        "in_words": _in_words,
        "meta": _meta,
        "page_name": page_name,
        "searchable": _searchable,
        "sha256_base64": _sha256_base64,
        "share": _share,
    }
    return pages.get_template("contact_sheet.html")


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
    seconds = sum(pair.seconds or 0 for pair in finished)
    parts = [f"{len(finished):,} of {len(summary.pairs):,} pictures", f"{duration(seconds)} of rendering"]
    if finished_at := [pair.finished for pair in finished if pair.finished]:
        parts.append(f"last one {max(finished_at):%d %B %Y, %H:%M} UTC")
    if any(pair.state in ("queued", "rendering", "held") for pair in summary.pairs):
        parts.append("more to come: reload to see them")
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


def _in_words(pair: SummaryPair) -> str:
    styles = " and ".join(storage.name(style.url) for style in pair.styles)
    return f"{storage.name(pair.content.url)} in the style of {styles}"


def _share(style: SummaryInput, styles: Sequence[SummaryInput]) -> str:
    """The style's part of a blend, ` 75%`; nothing if it stands alone."""
    if len(styles) == 1:
        return ""
    return f" {(style.weight or 1.0) / sum(each.weight or 1.0 for each in styles):.0%}"


def _as_written(value: JsonValue, name: str) -> str:
    """A setting's value, about as a manifest has it."""
    if name == "init" and isinstance(value, dict):
        return storage.name(str(value["image"]))
    if isinstance(value, dict):
        return ", ".join(f"{key}: {canonical_json(part)}" for key, part in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, str):
        return storage.name(value) if name == "proof" else value
    return canonical_json(value)


def _facts(pair: SummaryPair) -> str:
    """Size, time taken and format on one line."""
    parts = [f"{pair.width} \N{MULTIPLICATION SIGN} {pair.height} px"] if pair.width and pair.height else []
    if pair.seconds is not None:
        parts.append(duration(pair.seconds))
    if pair.format:
        parts.append(pair.format.upper())
    if pair.attempts > 1:
        parts.append(f"{pair.attempts} attempts")
    return " · ".join(parts)


def _searchable(pair: SummaryPair) -> str:
    """What the search looks through, in lower case."""
    names = [storage.name(entry.url) for entry in (pair.content, *pair.styles)]
    settings = [f"{name} {_as_written(value, name)}" for name, value in pair.settings.items()]
    return " ".join([pair.id, *names, *settings, pair.reason or ""]).lower()
