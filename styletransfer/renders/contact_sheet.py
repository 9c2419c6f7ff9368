"""The page people look at: `index.html`, one file that needs nothing else; and `summary.json` for
programs.

The page opens from a disk as from S3 and asks no server for anything: style, script and thumbnails are
inside, and a Content-Security-Policy holds it to that. Thumbnails are kept, so that writing it again as
pairs finish decodes only what is new.
"""

from __future__ import annotations

import base64
import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from html import escape
from importlib import resources
from string import Template
from typing import Final
from urllib.parse import quote

from styletransfer import storage
from styletransfer.renders.fingerprint import canonical_json
from styletransfer.renders.inputs import uses
from styletransfer.renders.plan import READERS, Plan
from styletransfer.renders.records import (
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
"""Above this number of pairs cards and thumbnails are smaller: 2,000 make a page of some 30 MB."""

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
        self._urls = {storage.public(use.url): use.url for pair in plan.manifest.pairs for use in uses(pair)}

    def write(self, outcomes: Mapping[str, Outcome]) -> Summary:
        """Write both files; returns the summary.

        `outcomes` by pair id: a pair without one stands as planned, one that this run wasn't asked for as
        it stood. Raises StorageError when a file can't be written.
        """
        summary = summarise(self.plan, outcomes, self._others, self.started)
        write_summary(self.plan.places.summary, summary)
        storage.write(self.plan.places.index, page(summary, self._pictures(summary)).encode())
        return summary

    def _pictures(self, summary: Summary) -> Pictures:
        """Thumbnails for the page. Of pairs not yet rendered none: making these now would delay the
        rendering."""
        folder = self.plan.places.folder
        result_px = _SMALL_PX if len(summary.pairs) > MANY else LARGE_PX
        wanted: dict[tuple[str, int], str] = {}
        for pair in summary.pairs:
            if pair.picture and pair.sha256:
                wanted[pair.sha256, result_px] = storage.join(folder, pair.picture)
                for entry in (pair.content, *pair.styles):
                    if entry.sha256:
                        wanted[entry.sha256, _INPUT_PX] = self._urls.get(entry.url, entry.url)
        with ThreadPoolExecutor(READERS, thread_name_prefix="sheet") as readers:
            found = readers.map(lambda key: self.thumbnails.find(key[0], wanted[key], key[1]), wanted)
            jpegs = dict(zip(wanted, found, strict=True))
        return Pictures({key: jpeg for key, jpeg in jpegs.items() if jpeg is not None}, result_px)


@dataclass(frozen=True)
class Pictures:
    """JPEG thumbnails by sha256 of the picture and size in px; `result_px` is the size for results."""

    jpegs: Mapping[tuple[str, int], bytes] = field(default_factory=dict, repr=False)
    result_px: int = LARGE_PX

    def result(self, pair: SummaryPair) -> bytes | None:
        return self.jpegs.get((pair.sha256 or "", self.result_px))

    def inputs(self) -> dict[str, bytes]:
        """Thumbnails of contents and styles by sha256; each is in the page once, however many pairs use
        it."""
        return {sha256: jpeg for (sha256, px), jpeg in self.jpegs.items() if px == _INPUT_PX}


def page(summary: Summary, pictures: Pictures) -> str:
    """The contact sheet as HTML."""
    inputs = pictures.inputs()
    classes = {sha256: f"i{number}" for number, sha256 in enumerate(inputs)}
    style = _style(summary, {classes[sha256]: jpeg for sha256, jpeg in inputs.items()})
    script = _part("contact_sheet.js")
    states = [state for state in _WORDS if state in summary.counts]
    return Template(_part("contact_sheet.html")).substitute(
        title=escape(summary.manifest),
        name=escape(summary.manifest),
        density="many" if len(summary.pairs) > MANY else "few",
        meta=escape(_meta(summary)),
        bar_label=escape(", ".join(f"{summary.counts[state]} {_WORDS[state].lower()}" for state in states)),
        bar="".join(f'<i class="{state}"></i>' for state in states),
        states=_state_buttons(summary, states),
        failures=_failures([pair for pair in summary.pairs if pair.state == "failed"]),
        cards="\n".join(_card(pair, pictures, classes) for pair in summary.pairs),
        footer=escape(f"From {summary.location}, as of {summary.updated:%Y-%m-%d %H:%M:%S} UTC."),
        style=style,
        style_hash=_csp_hash(style),
        script=script,
        script_hash=_csp_hash(script),
    )


def _style(summary: Summary, backgrounds: Mapping[str, bytes]) -> str:
    """The style sheet, with what differs between pages: attributes `style` would need a laxer policy."""
    bar = (f".bar .{state} {{ flex-grow: {count}; }}" for state, count in summary.counts.items())
    thumbs = (f".{name} {{ background-image: url({_data_url(jpeg)}) }}" for name, jpeg in backgrounds.items())
    return "\n".join([_part("contact_sheet.css"), *bar, *thumbs])


@cache
def _part(name: str) -> str:
    return resources.files("styletransfer.renders").joinpath(name).read_text(encoding="utf-8")


def _csp_hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _data_url(jpeg: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"


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


def _state_buttons(summary: Summary, states: Sequence[PairState]) -> str:
    all_pairs = f'<button class="all" value="" aria-pressed="true">All <b>{len(summary.pairs):,}</b></button>'
    return all_pairs + "".join(
        f'<button class="{state}" value="{state}" aria-pressed="false">'
        f"{_WORDS[state]} <b>{summary.counts[state]:,}</b></button>"
        for state in states
    )


def _failures(failed: Sequence[SummaryPair]) -> str:
    """What went wrong, where nobody can miss it: each reason with the pairs that it stopped."""
    if not failed:
        return ""
    by_reason: dict[str, list[SummaryPair]] = defaultdict(list)
    for pair in failed:
        by_reason[pair.reason or "no reason was recorded"].append(pair)
    lines = [_failure(reason, pairs) for reason, pairs in by_reason.items()]
    if len(lines) > _LISTED_FAILURES:
        lines[_LISTED_FAILURES:] = [f"<li>and {len(lines) - _LISTED_FAILURES:,} more reasons</li>"]
    title = "1 pair failed" if len(failed) == 1 else f"{len(failed):,} pairs failed"
    return f'<section class="failures"><h2>{title}</h2><ul>{"".join(lines)}</ul></section>'


def _failure(reason: str, pairs: Sequence[SummaryPair]) -> str:
    links = [f'<a href="#{_anchor(pair)}">{escape(pair.id)}</a>' for pair in pairs[:_LISTED_FAILURES]]
    more = f" and {len(pairs) - len(links):,} more" if len(pairs) > len(links) else ""
    return f"<li>{', '.join(links)}{more}: {escape(reason)}</li>"


def _anchor(pair: SummaryPair) -> str:
    return escape(f"pair-{pair.id}")


# One card


def _card(pair: SummaryPair, pictures: Pictures, classes: Mapping[str, str]) -> str:
    caption = [f"<h2>{escape(pair.id)}</h2>", _origin(pair, classes), _settings(pair), _warnings(pair)]
    caption.append(f'<p class="facts">{_facts(pair)}</p>')
    return (
        f'<li class="card {pair.state}" id="{_anchor(pair)}" data-state="{pair.state}" '
        f'data-find="{escape(_searchable(pair))}">'
        f'{_picture(pair, pictures)}<div class="caption">{"".join(caption)}</div></li>'
    )


def _picture(pair: SummaryPair, pictures: Pictures) -> str:
    """The result, linked to the full picture; or in its place why there is none."""
    badge = "" if pair.state == "done" else f'<span class="badge">{_WORDS[pair.state]}</span>'
    if pair.picture is None:
        reason = f"on {pair.reason}" if pair.reason and pair.state == "rendering" else pair.reason
        shown = f'<p class="reason">{escape(reason)}</p>' if reason else ""
        return f'<div class="picture">{badge}{shown}</div>'
    jpeg = pictures.result(pair)
    if jpeg is None or pair.width is None or pair.height is None:
        inside = "<span>no preview</span>"
    else:
        width, height = size_to_fit((pair.width, pair.height), pictures.result_px, enlarge=False)
        inside = (
            f'<img src="{_data_url(jpeg)}" width="{width}" height="{height}" '
            f'alt="{escape(_in_words(pair))}" loading="lazy" decoding="async">'
        )
    return f'<a class="picture" href="./{quote(pair.picture)}">{inside}{badge}</a>'


def _in_words(pair: SummaryPair) -> str:
    styles = " and ".join(storage.name(style.url) for style in pair.styles)
    return f"{storage.name(pair.content.url)} in the style of {styles}"


def _origin(pair: SummaryPair, classes: Mapping[str, str]) -> str:
    """Content and styles: small, then by name, with their shares where there are several styles."""
    shown = [classes.get(entry.sha256 or "") for entry in (pair.content, *pair.styles)]
    roles = ["content", *("style" for _ in pair.styles)]
    thumbs = "".join(f'<span class="thumb {role} {name}"></span>' for role, name in zip(roles, shown, strict=True))
    names = " + ".join(
        f"<i>{escape(storage.name(style.url))}</i>{f' {share:.0%}' if len(pair.styles) > 1 else ''}"
        for style, share in zip(pair.styles, _shares(pair.styles), strict=True)
    )
    row = f'<span class="thumbs" aria-hidden="true">{thumbs}</span>' if all(shown) else ""
    content = f"<i>{escape(storage.name(pair.content.url))}</i>"
    return f'<p class="from">{row}<span class="names">{content} in the style of {names}</span></p>'


def _shares(styles: Iterable[SummaryInput]) -> list[float]:
    """Each style's part of the blend."""
    weights = [style.weight or 1.0 for style in styles]
    return [weight / sum(weights) for weight in weights]


def _settings(pair: SummaryPair) -> str:
    """The settings that differ from the defaults."""
    if not pair.settings:
        return ""
    chips = "".join(f"<li>{escape(name)} <b>{escape(value)}</b></li>" for name, value in _setting_texts(pair))
    return f'<ul class="settings" aria-label="settings that differ from the defaults">{chips}</ul>'


def _setting_texts(pair: SummaryPair) -> Iterator[tuple[str, str]]:
    for name, value in pair.settings.items():
        if isinstance(value, dict):
            yield name, ", ".join(f"{key}: {canonical_json(part)}" for key, part in value.items())
        elif isinstance(value, list):
            yield name, ", ".join(map(str, value))
        elif name == "proof" and isinstance(value, str):
            yield name, storage.name(value)
        else:
            yield name, value if isinstance(value, str) else canonical_json(value)


def _warnings(pair: SummaryPair) -> str:
    if not pair.warnings:
        return ""
    title = "1 warning" if len(pair.warnings) == 1 else f"{len(pair.warnings)} warnings"
    lines = "".join(f"<li>{escape(warning)}</li>" for warning in pair.warnings)
    return f"<details><summary>{title}</summary><ul>{lines}</ul></details>"


def _facts(pair: SummaryPair) -> str:
    """Size, time taken and format on one line."""
    parts = [f"{pair.width} \N{MULTIPLICATION SIGN} {pair.height} px"] if pair.width and pair.height else []
    if pair.seconds is not None:
        parts.append(duration(pair.seconds))
    if pair.format:
        parts.append(pair.format.upper())
    if pair.attempts > 1:
        parts.append(f"{pair.attempts} attempts")
    return escape(" · ".join(parts))


def _searchable(pair: SummaryPair) -> str:
    """What the search looks through, in lower case."""
    names = [storage.name(entry.url) for entry in (pair.content, *pair.styles)]
    settings = [f"{name} {value}" for name, value in _setting_texts(pair)]
    return " ".join([pair.id, *names, *settings, pair.reason or ""]).lower()
