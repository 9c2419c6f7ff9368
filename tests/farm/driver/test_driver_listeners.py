"""What a driver tells: to each listener, none of which can hold it up or bring it down."""

import logging

import pytest

from flows.farm.driver.driver_listeners import DriverListeners, LogStates, SheetStates
from flows.pairs.listeners import Result
from flows.pairs.sheet import LiveSheet
from styletransfer.planning.plan import plan_manifest
from styletransfer.renders.summary import Outcome
from tests.studio import pretend_all

RESULT = Result("demo", "/out/demo/index.html", ())


class Noting:
    def __init__(self):
        self.notes = []

    def planned(self, plan):
        self.notes.append("planned")

    def states(self, outcomes):
        self.notes.append(dict(outcomes))

    def ended(self, result):
        self.notes.append(result.manifest)


class Failing:
    def fail(self, _):
        raise OSError("no space left")

    planned = states = ended = fail


@pytest.fixture
def plan(farm):
    return plan_manifest(farm.manifest)


def test_one_that_fails_costs_a_line_in_the_log_and_the_others_hear_all(plan, caplog):
    noting = Noting()
    told = DriverListeners([Failing(), noting])
    told.planned(plan)
    told.states({"a": Outcome("rendering")})
    told.ended(RESULT)
    assert noting.notes == ["planned", {"a": Outcome("rendering")}, "demo"]
    assert caplog.text.count("Failing has failed; rendering goes on") == 3


def test_the_log_tells_each_end_once(farm, plan, caplog):
    record = pretend_all(farm.manifest)[0]
    told = LogStates(logging.getLogger("tests.driver"))
    outcomes = {"a": Outcome("rendering")}
    with caplog.at_level(logging.INFO):
        told.planned(plan)
        told.states(outcomes)
        outcomes |= {"a": Outcome("done", record=record), "b": Outcome("failed", "too hot")}
        for _ in range(2):
            told.states(outcomes)
        told.ended(RESULT)
    assert [(line.levelname, line.getMessage()) for line in caplog.records] == [
        ("INFO", "demo: plan: 4 pairs to render, 0 done before"),
        ("INFO", "a: done: 1.5 s"),
        ("ERROR", "b: failed: too hot"),
        ("INFO", "demo: ; /out/demo/index.html"),
    ]


def test_the_sheet_has_the_latest_of_each_pair(plan):
    sheet = LiveSheet(plan)
    told = SheetStates(sheet)
    told.states({"a": Outcome("rendering"), "b": Outcome("rendering")})
    told.states({"a": Outcome("failed", "too hot"), "b": Outcome("rendering")})
    assert sheet.outcomes == {"a": Outcome("failed", "too hot"), "b": Outcome("rendering")}
    assert sheet.write().counts == {"rendering": 1, "failed": 1, "queued": 2}
