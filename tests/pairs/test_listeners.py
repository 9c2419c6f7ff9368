"""What is told while pairs are rendered: to each listener, in their order; to the log, the pair's name first."""

import logging
from typing import Any

import pytest

from flows.pairs.listeners import Listener, Listeners, LogListener, Result
from styletransfer.machine.devices import Slot
from styletransfer.planning.plan import plan_manifest
from styletransfer.records.records import SummaryInput, SummaryPair, now
from styletransfer.renders.summary import Outcome, summarise
from tests.studio import plan_one, pretend_all

CPU = Slot(("cpu",))


class Noting(Listener):
    """Writes down what it is told."""

    def __init__(self, name, notes):
        self.name, self.notes = name, notes

    def planned(self, plan, at_once):
        self.notes.append((self.name, "planned", at_once))

    def started(self, pair, slot):
        self.notes.append((self.name, "started", pair.id))

    def progress(self, pair, progress):
        self.notes.append((self.name, "progress", pair.id))

    def finished(self, pair, outcome):
        self.notes.append((self.name, "finished", outcome.state))

    def ended(self, result):
        self.notes.append((self.name, "ended", result.counts))


def pair(number, state, reason=None):
    url = SummaryInput(url="/in/a.png")
    return SummaryPair(id=f"p{number}", state=state, reason=reason, content=url, styles=(url,))


RESULT = Result("demo", "/out/demo/index.html", (pair(1, "failed", "too hot"), pair(2, "done"), pair(3, "done")))


@pytest.fixture
def planned(studio):
    return plan_one(studio.simple())


def test_every_listener_hears_everything_in_order(planned):
    notes: list[tuple[Any, ...]] = []
    told = Listeners(Noting("first", notes), Noting("second", notes))
    told.planned(None, 2)  # type: ignore[arg-type]  # whatever it is, it is handed on
    told.started(planned, CPU)
    told.progress(planned, None)  # type: ignore[arg-type]
    told.finished(planned, Outcome("failed", "too hot"))
    told.ended(RESULT)
    heard = [
        ("planned", 2),
        ("started", "a--b"),
        ("progress", "a--b"),
        ("finished", "failed"),
        ("ended", "2 done, 1 failed"),
    ]
    assert notes == [(name, *what) for what in heard for name in ("first", "second")]


def test_a_result_counts_and_names_failures():
    assert RESULT.counts == "2 done, 1 failed"
    assert RESULT.failures == ["p1: too hot"]


def test_a_result_is_of_the_pairs_that_were_asked_for(studio):
    studio.picture("a.png")
    manifest = studio.manifest(*({"id": name, "content": "a.png", "style": "a.png"} for name in ("one", "two")))
    (record, _) = pretend_all(manifest)
    plan = plan_manifest(manifest, only=["one"])
    others = {"two": pair(2, "done")}
    result = Result.of(plan, summarise(plan, {}, others, record.started))
    assert (result.manifest, result.counts) == ("demo", "1 skipped")
    assert result.index == studio.url("out/demo/index.html")


def test_the_log_tells_each_pair_by_name_and_failures_as_errors(studio, planned, caplog):
    (record,) = pretend_all(studio.simple())
    told = LogListener(logging.getLogger("tests.listeners"))
    with caplog.at_level(logging.INFO):
        told.started(planned, CPU)
        told.finished(planned, Outcome("done", record=record))
        told.finished(planned, Outcome("failed", "too hot"))
        told.finished(planned, Outcome("cancelled", "stopped"))
    assert [(line.levelname, line.getMessage()) for line in caplog.records] == [
        ("INFO", "a--b: stylize: on cpu, 5 iterations"),
        ("INFO", f"a--b: done: 1.5 s, {record.output.url}"),
        ("ERROR", "a--b: failed: too hot"),
        ("WARNING", "a--b: cancelled: stopped"),
    ]


def test_a_preview_is_counted_as_one_and_not_as_held_by_a_farm():
    previewed = pair(4, "held").model_copy(update={"picture": ".p4.preview.jpg", "finished": now()})
    held = pair(2, "held").model_copy(update={"picture": ".p2.preview.jpg"})  # handed back
    pairs = (pair(1, "done"), held, previewed, pair(3, "queued"))
    assert Result("demo", "/out/demo/index.html", pairs).counts == "1 previewed, 1 queued, 1 held, 1 done"
