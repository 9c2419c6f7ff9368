"""A driver in Prefect's dashboard: its pairs with their pictures and runs, and a preview grid at last."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final
from urllib.parse import quote

from flows.farm.artifacts import CLOSE_S, Artifacts, Content, data_url
from flows.farm.markdown import markdown
from flows.pairs.listeners import Result
from styletransfer import storage
from styletransfer.contact_sheet.page import duration
from styletransfer.errors import ImageError
from styletransfer.pictures.thumbnail import thumbnail
from styletransfer.planning.plan import READERS, Plan, PlannedPair
from styletransfer.records.output_folder import picture_url
from styletransfer.records.output_places import OutputPlaces
from styletransfer.records.records import PairState, Record, SummaryPair
from styletransfer.records.thumbnails import LARGE_PX, Thumbnails
from styletransfer.redaction import public
from styletransfer.renders.summary import Outcome, as_planned

SHOWN: Final[tuple[PairState, ...]] = ("failed", "rendering", "held", "queued", "cancelled", "done", "skipped")
"""The table's order: what may need somebody comes first."""

BYTES_PER_S: Final = 20_000
"""Of tables sent to the server: one of 2,000 pairs, with some 500 kB, every 25 s."""

REASON_LETTERS: Final = 300

GRID_S: Final = 60.0
"""For the grid's pictures to be fetched and sent at the end."""

GRID_PICTURES: Final = 48
GRID_COLUMNS: Final = 4
GRID_PX: Final = 160
GRID_QUALITY: Final = 70

Clock = Callable[[], float]


class PairsTable:
    """Shows how a driver's pairs stand, as long as the block that it opens."""

    def __init__(self, artifacts: Artifacts, clock: Clock = time.monotonic) -> None:
        self.live_runs: Callable[[], Mapping[str, str]] = dict
        """Tells the flow runs that pairs are left to now, by pair id."""
        self._artifacts = artifacts
        self._clock = clock
        self._ended = False
        self._plan: Plan | None = None
        self._runs: dict[str, str] = {}
        self._outcomes: dict[str, Outcome] = {}
        self._due = float("-inf")

    def __enter__(self) -> PairsTable:
        self._artifacts.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self._publish()
        self._artifacts.close(GRID_S if self._ended else CLOSE_S)

    def planned(self, plan: Plan) -> None:
        self._plan = plan

    def states(self, outcomes: Mapping[str, Outcome]) -> None:
        self._runs |= self.live_runs()
        self._outcomes = dict(outcomes)
        if self._clock() >= self._due:
            self._publish()

    def ended(self, result: Result) -> None:
        self._ended = True
        if self._plan is not None:
            self._artifacts.publish("pictures", partial(grid, self._plan.places, result))

    def _publish(self) -> None:
        if self._plan is not None:
            content = table(self._plan, self._outcomes, self._runs)
            self._due = self._clock() + max(self._artifacts.every_s, len(str(content.data)) / BYTES_PER_S)
            self._artifacts.publish("pairs", lambda: content)


def table(plan: Plan, outcomes: Mapping[str, Outcome], runs: Mapping[str, str]) -> Content:
    """All pairs asked for, those first that may need somebody. `runs`: ids of flow runs by pair id."""
    stand = [(planned, outcomes.get(planned.id) or as_planned(planned)) for planned in plan.pairs]
    stand.sort(key=lambda each: SHOWN.index(each[1].state))
    rows = [_row(planned, outcome, runs.get(planned.id)) for planned, outcome in stand]
    counts = Counter(outcome.state for _, outcome in stand)
    over = counts["done"] + counts["skipped"]
    others = "".join(f", {counts[state]} {state}" for state in SHOWN[:5] if counts[state])
    text = f"{over:,} of {len(rows):,} done{others}; contact sheet: {markdown(plan.places.index)}"
    return Content("table", json.dumps(rows), text)


def _row(planned: PlannedPair, outcome: Outcome, run: str | None) -> dict[str, str]:
    record = outcome.record
    return {
        "pair": markdown(planned.id),
        "state": outcome.state,
        "time": "" if record is None else duration(record.seconds),
        "picture": "" if record is None else _picture_link(planned, record),
        "run": "" if run is None else f"[run](/runs/flow-run/{run})",
        "remark": markdown((outcome.reason or "")[:REASON_LETTERS]),
    }


def _picture_link(planned: PlannedPair, record: Record) -> str:
    url = picture_url(planned.places, record)
    return link(storage.name(url), url)


def link(text: str, url: str) -> str:
    """Markdown; where a browser could not follow it, as from a page to a local file, the location itself."""
    shown = public(url)
    is_web = storage.scheme(url) in ("http", "https")
    return f"[{markdown(text)}]({quote(shown, safe='/:%')})" if is_web else markdown(shown)


def grid(places: OutputPlaces, result: Result) -> Content:
    """Small pictures of the finished pairs, as many as the dashboard can bear, as a table in markdown."""
    finished = [pair for pair in result.pairs if pair.picture and pair.sha256]
    chosen = finished[:GRID_PICTURES]
    with ThreadPoolExecutor(READERS, thread_name_prefix="grid") as readers:
        thumbnails = Thumbnails(places)
        cells = list(readers.map(partial(_cell, places, thumbnails), chosen))
    more = f"{len(chosen):,} of {len(finished):,} pictures" if len(finished) > len(chosen) else result.counts
    text = f"{more}; all of them, and more about each: {markdown(result.index)}"
    return Content("markdown", f"{_rows(cells)}\n\n{text}\n", text)


def _cell(places: OutputPlaces, thumbnails: Thumbnails, pair: SummaryPair) -> tuple[str, str]:
    """The picture in markdown, and its caption."""
    assert pair.picture is not None
    assert pair.sha256 is not None
    url = storage.join(places.folder, pair.picture)
    jpeg, caption = thumbnails.find(pair.sha256, url, LARGE_PX), markdown(pair.id)
    if jpeg is None:
        return "(gone)", caption
    try:
        small = thumbnail(jpeg, GRID_PX, quality=GRID_QUALITY)
    except ImageError:
        return "(damaged)", caption
    return f"![{caption}]({data_url(small)})", caption


def _rows(cells: Sequence[tuple[str, str]]) -> str:
    """Pictures with their captions below, row by row; markdown's tables begin with a heading."""
    lines = ["|" + " |" * GRID_COLUMNS, "|" + " --- |" * GRID_COLUMNS]
    for first in range(0, len(cells), GRID_COLUMNS):
        row = cells[first : first + GRID_COLUMNS]
        padding = [""] * (GRID_COLUMNS - len(row))
        lines.append("| " + " | ".join([picture for picture, _ in row] + padding) + " |")
        lines.append("| " + " | ".join([caption for _, caption in row] + padding) + " |")
    return "\n".join(lines) if cells else ""
