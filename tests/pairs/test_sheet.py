"""The contact sheet follows the pairs while they are rendered, and never holds them up."""

import shutil
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from flows.pairs import sheet as sheets
from flows.pairs.sheet import LiveSheet
from styletransfer.contact_sheet.sheet import ContactSheet
from styletransfer.contact_sheet.under_way import PairUnderWay, RunUnderWay
from styletransfer.errors import StorageError
from styletransfer.machine.devices import Slot
from styletransfer.planning.plan import plan_manifest
from styletransfer.records.records import read_summary
from styletransfer.renders.storing import store
from styletransfer.renders.summary import Outcome
from tests.studio import pretend_rendered
from tests.waiting import until


@pytest.fixture
def plan(studio, monkeypatch):
    """Three pairs that wait; the sheet is written again at once."""
    monkeypatch.setattr(sheets, "LEAST_PAUSE_S", 0.0)
    studio.picture("a.png")
    return plan_manifest(studio.manifest(*({"id": name, "content": "a.png", "style": "a.png"} for name in "abc")))


def states(plan):
    """As the summary in storage has them; None before it is written."""
    summary = read_summary(plan.places.summary)
    return summary and {pair.id: pair.state for pair in summary.pairs}


def test_news_are_written_while_the_block_is_open(plan):
    first, second, _ = plan.pairs
    with LiveSheet(plan) as sheet:
        assert states(plan) is None  # nothing has happened yet
        sheet.started(first, Slot(("cpu",)))
        until(lambda: states(plan) == {"a": "rendering", "b": "queued", "c": "queued"}, "the first news", 60)
        sheet.finished(first, Outcome("failed", "too hot"))
        sheet.started(second, Slot(("cpu",)))
        until(lambda: states(plan) == {"a": "failed", "b": "rendering", "c": "queued"}, "the next", 60)
    assert "too hot" in Path(plan.places.index).read_text(encoding="utf-8")


def test_the_last_state_is_written_on_demand(plan):
    sheet = LiveSheet(plan)
    sheet.stand({"a": Outcome("done"), "b": Outcome("cancelled", "stopped")})
    assert sheet.write().counts == {"done": 1, "cancelled": 1, "queued": 1}
    assert states(plan) == {"a": "done", "b": "cancelled", "c": "queued"}


def test_pairs_that_can_not_be_rendered_any_more_have_failed(plan):
    sheet = LiveSheet(plan)
    sheet.stand({"a": Outcome("cancelled", "stopped")})
    sheet.give_up("no weights")
    assert {pair: (outcome.state, outcome.reason) for pair, outcome in sheet.outcomes.items()} == {
        "a": ("cancelled", "stopped"),
        "b": ("failed", "no weights"),
        "c": ("failed", "no weights"),
    }


def test_a_storage_that_is_away_is_a_warning_and_the_sheet_comes_later(plan, caplog):
    out = Path(plan.places.folder)
    shutil.rmtree(out.parent, ignore_errors=True)
    out.parent.write_text("a file where the folder should be")
    with pytest.raises(StorageError):
        LiveSheet(plan).write()
    with LiveSheet(plan) as sheet:
        sheet.stand({"a": Outcome("rendering")})
        until(lambda: "contact sheet not written, will be tried again" in caplog.text, "a warning", 60)
        out.parent.unlink()
        sheet.stand({"a": Outcome("failed", "too hot")})
        until(lambda: states(plan) == {"a": "failed", "b": "queued", "c": "queued"}, "the sheet", 60)


def test_the_picture_so_far_is_on_the_page_while_the_block_is_open(plan):
    progress: Any = SimpleNamespace(
        scale=32, scale_index=1, scales=(23, 32), fraction=0.25, seconds=30.0,
        image=lambda longest: torch.rand(1, 3, 24, longest // 15),
    )  # fmt: skip
    first, page = plan.pairs[0], Path(plan.places.index)
    with LiveSheet(plan) as sheet:
        sheet.planned(plan, 1)
        sheet.started(first, Slot(("cpu",)))
        sheet.progress(first, progress)
        seen = "32 px, scale 2 of 2 · 1 min 30 s left"
        until(lambda: page.exists() and seen in page.read_text("utf-8"), "the picture so far", 60)
        assert 'class="live"' in page.read_text("utf-8")
    sheet.write()
    assert 'class="live"' not in page.read_text("utf-8")


def test_renders_elsewhere_are_looked_at_again_when_there_may_be_more_to_see(plan):
    page, seen = Path(plan.places.index), list[str]()

    def under_way(reload_s):
        return RunUnderWay(reload_s, {"a": PairUnderWay(f"at {len(seen)} px")})

    with LiveSheet(plan, under_way=under_way) as sheet:
        sheet.stand({"a": Outcome("rendering")})
        until(lambda: page.exists() and "at 0 px" in page.read_text("utf-8"), "what is seen first", 60)
        seen.append("more")
        sheet.look_again()
        until(lambda: "at 1 px" in page.read_text("utf-8"), "what is seen next", 60)


def test_the_last_page_is_the_last_also_within_the_block(plan, monkeypatch):
    """The thread was about to write: its page would say for ever that the run is under way."""
    page, write, begun = Path(plan.places.index), ContactSheet.write, threading.Event()

    def slowly(self, *args, **options):
        if options.get("under_way"):
            begun.set()
            time.sleep(0.5)
        return write(self, *args, **options)

    monkeypatch.setattr(ContactSheet, "write", slowly)
    with LiveSheet(plan) as sheet:
        sheet.stand({"a": Outcome("rendering")})
        assert begun.wait(60)
        sheet.stand({"a": Outcome("failed", "too hot")})
        sheet.write()
        sheet.stand({})
        time.sleep(0.1)
        assert 'class="live"' not in page.read_text("utf-8")
    assert 'class="live"' not in page.read_text("utf-8")


def test_what_is_stopped_on_its_way_to_a_finer_preview_has_the_one_before(plan):
    sheet = LiveSheet(plan)
    first, second, _ = plan.pairs
    record = store(pretend_rendered(first)).model_copy(update={"state": "held"})
    sheet.finished(first, Outcome("held", "preview at 32 px", record))
    for pair in (first, second):
        sheet.started(pair, Slot(("cpu",)))
        sheet.finished(pair, Outcome("cancelled", "stopped"))
    shown = {pair.id: (pair.state, pair.reason, pair.picture) for pair in sheet.write().pairs}
    assert shown == {
        "a": ("held", "preview at 32 px", ".a.preview.jpg"),
        "b": ("cancelled", "stopped", None),
        "c": ("queued", "not rendered yet", None),
    }
