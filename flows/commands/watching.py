"""A browser that shows renders while they are made: `--watch` and `--open`."""

from __future__ import annotations

import os
import sys
import threading
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from flows.commands.image_job import Job
from flows.commands.terminal import Lines
from flows.pairs.page_server import PageServer, Read, folder_reader
from flows.pairs.sheet import LEAST_PAUSE_S
from flows.pairs.so_far import SoFar
from styletransfer import storage
from styletransfer.contact_sheet.page import INPUT_PX, PageParts, PairTexts, page
from styletransfer.contact_sheet.sheet import ContactSheet
from styletransfer.contact_sheet.under_way import RunUnderWay
from styletransfer.manifest.names import id_of_file
from styletransfer.pictures.decode import inspect
from styletransfer.pictures.thumbnail import thumbnail
from styletransfer.planning.plan import Plan, PlannedPair
from styletransfer.records.pair_text import image_command, pair_yaml
from styletransfer.records.records import Summary, SummaryPair, now
from styletransfer.records.thumbnails import LARGE_PX
from styletransfer.renders.fetching import Fetched
from styletransfer.renders.summary import Outcome, summary_pair

_WATCHED_EVERY_S: Final = 3.0


@contextmanager
def sheet_shown(plan: Plan, lines: Lines, *, watch: bool) -> Iterator[None]:
    """For the block: the plan's contact sheet in a browser, served if `watch` and there is something to render,
    else from the disk."""
    queued = bool(plan.having("queued"))
    ContactSheet(plan).write({}, under_way=RunUnderWay(LEAST_PAUSE_S) if queued else None)
    if watch and queued:
        with _served(folder_reader(plan.places.folder), lines):
            yield
    elif storage.is_local(plan.places.index):
        open_browser(Path(plan.places.index).as_uri())
        yield
    else:
        lines.note(f"{storage.public(plan.places.index)} is not on a disk of this machine, and is not opened")
        yield


@contextmanager
def image_shown(job: Job, fetched: Fetched, lines: Lines) -> Iterator[ImagePage]:
    """For the block: a page of the render of one picture, served to a browser; it is a listener."""
    shown = ImagePage(job, fetched)
    with _served(shown.read, lines):
        yield shown


class ImagePage(SoFar):
    """A contact sheet of one picture, in memory: beside a picture no other files are to appear."""

    def __init__(self, job: Job, fetched: Fetched) -> None:
        super().__init__(_WATCHED_EVERY_S)
        self._job, self._fetched = job, fetched
        self._began, self._outcome = now(), Outcome("rendering")
        styles = zip((style.image for style in job.pair.styles), fetched.styles, strict=True)
        pictures = {**fetched.masks, job.pair.content: fetched.content, **dict(styles)}
        self._jpegs = {(fetched.hashes[url], INPUT_PX): thumbnail(each, INPUT_PX) for url, each in pictures.items()}

    def finished(self, pair: PlannedPair, outcome: Outcome) -> None:
        super().finished(pair, outcome)
        self._outcome = outcome

    def read(self, name: str) -> bytes | None:
        """The page, and the picture once it is written."""
        picture = storage.name(self._job.output)
        if name == "index.html":
            return self._page().encode()
        return storage.read_if_exists(self._job.output) if name == picture and self._is_over else None

    @property
    def _is_over(self) -> bool:
        return self._outcome.state != "rendering"

    def _page(self) -> str:
        pair, jpegs = self._job.pair, dict(self._jpegs)
        entry = self._entry()
        if self._is_over and (contents := storage.read_if_exists(self._job.output)):
            name = storage.public(self._job.output)
            jpegs["result", LARGE_PX] = thumbnail(contents, LARGE_PX, name=name)
            width, height = inspect(contents, name)  # of one that was stopped: less than was planned
            entry = entry.model_copy(update={"width": width, "height": height})
        named = replace(pair, id=id_of_file(pair.id))  # here it is the file's name
        texts = PairTexts(pair_yaml(named), image_command(named, self._job.weights))
        parts = PageParts(jpegs, LARGE_PX, texts={pair.id: texts}, with_records=False)
        location = storage.public(self._job.output)
        summary = Summary(manifest=pair.id, location=location, started=self._began, updated=now(), pairs=(entry,))
        return page(summary, parts, under_way=None if self._is_over else self.under_way(_WATCHED_EVERY_S))

    def _entry(self) -> SummaryPair:
        pair = self._job.pair
        entry = summary_pair(self._job.places, pair, self._outcome, self._fetched.hashes)
        if not self._is_over:
            return entry
        return entry.model_copy(update={"picture": pair.id, "sha256": "result", "format": pair.format})


@contextmanager
def _served(read: Read, lines: Lines) -> Iterator[None]:
    with PageServer(read) as server:
        lines.say(f"watch: {server.url}")
        open_browser(server.invitation())
        yield


def open_browser(url: str) -> None:
    """Have the desktop's browser open it, where there is a desktop: one of a terminal would take that over."""
    if sys.platform in ("darwin", "win32") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        threading.Thread(target=webbrowser.open, args=(url,), name="browser", daemon=True).start()
