"""One render run: how it ends, what it counts, and what has been done since it was asked for again."""

import logging
import re
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest

from flows.farm.render import held_devices, pairs_run
from flows.farm.render.pairs_run import Assignment, PairsRun, is_done_since
from styletransfer.machine.devices import Slot
from styletransfer.machine.locks import device_lock
from styletransfer.planning.plan import plan_manifest
from styletransfer.records.records import now
from styletransfer.renders.summary import Outcome
from tests.studio import plan_one, pretend_all

ASKED = ["a", "b", "c"]
HELD, CANCELLED = Outcome("held", "its host told it to stop"), Outcome("cancelled", "the run was cancelled")


def ended(stopped=None, **states):
    """The final state of a run for three pairs of which these ended so."""
    run = PairsRun(Assignment("night", "run"))
    run.stopped = stopped
    run.listener.outcomes |= {pair: Outcome(state, f"because of {pair}") for pair, state in states.items()}
    state = run.final_state(ASKED)
    return state.name, state.type.value, str(state.message).splitlines()


def test_a_run_whose_pairs_are_all_done_is_completed():
    assert ended(a="done", b="skipped", c="done") == ("Completed", "COMPLETED", ["2 done, 1 skipped"])


def test_a_failed_pair_makes_a_failed_run_that_names_it():
    expected = ["2 done, 1 failed", "b: because of b"]
    assert ended(a="done", b="failed", c="done") == ("Failed", "FAILED", expected)


@pytest.mark.parametrize(
    ("stopped", "name", "counts"),
    [(HELD, "Held", "1 held, 1 done"), (CANCELLED, "Cancelled", "1 done, 1 cancelled")],
)
def test_a_run_that_is_stopped_says_why_and_what_is_left(stopped, name, counts):
    expected = [f"{stopped.reason}; {counts}, 1 not begun"]
    assert ended(stopped, a="done", b=stopped.state) == (name, "CANCELLED", expected)


def test_a_stop_that_came_too_late_does_not_count():
    assert ended(HELD, a="done", b="done", c="done") == ("Completed", "COMPLETED", ["3 done"])
    assert ended(HELD, a="done", b="failed", c="done")[0] == "Failed"


def test_a_preview_that_was_asked_for_is_a_pairs_end():
    run = PairsRun(Assignment("night", "run"))
    previewed = Outcome("held", "why", SimpleNamespace())  # type: ignore[arg-type]
    run.listener.outcomes |= dict.fromkeys(ASKED, previewed)
    run.stopped = HELD
    assert (run.final_state(ASKED).name, run.final_state(ASKED).message) == ("Completed", "3 held")


# Its time


def test_an_assignment_without_an_end_has_all_the_time():
    assert Assignment("night", "run").seconds_left() is None
    assert Assignment("night", "run").end_text == ""


def test_the_time_that_is_left_runs_out():
    zone = ZoneInfo("Europe/Berlin")
    end = now() + timedelta(seconds=100)
    left = Assignment("night", "run", end=end, zone=zone).seconds_left()
    assert left is not None
    assert 90 < left <= 100
    over = Assignment("night", "run", end=now() - timedelta(seconds=1), zone=zone).seconds_left()
    assert over is not None
    assert over < 0


# Its devices


@pytest.mark.parametrize("left_s", [None, 0.3])
def test_pairs_are_handed_back_where_another_process_keeps_the_device(studio, monkeypatch, tmp_path, left_s):
    """After a while, and not beyond the run's own end."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(held_devices, "available_devices", lambda: ("cuda:0",))
    monkeypatch.setattr(pairs_run, "get_run_logger", lambda: logging.getLogger("render"))
    monkeypatch.setattr(pairs_run, "WAIT_S", 0.1 if left_s is None else 600.0)
    plan = plan_manifest(studio.simple())
    run = PairsRun(Assignment("night", "run", end=left_s and now() + timedelta(seconds=left_s)))
    with device_lock(Slot(("cuda:0",))):
        run.render(plan)
    state = run.final_state([pair.id for pair in plan.pairs])
    assert state.name == "Held"
    assert re.match(r"device 'cuda:0' is in use by process \d+ on .*; 1 not begun$", str(state.message))


# Asked for again


def test_what_was_done_since_counts_as_done_while_its_picture_is_there(studio):
    manifest = studio.simple()
    (record,) = pretend_all(manifest)
    planned = plan_one(manifest, force=True)
    assert not is_done_since(planned, None)
    assert is_done_since(planned, record.finished)
    assert not is_done_since(planned, record.finished + timedelta(seconds=1))
    other = plan_one(studio.simple(defaults={"end_scale": 48, "min_scale": 30}), force=True)
    assert not is_done_since(other, record.finished)  # with other settings
    Path(studio.url("out/demo/a--b.png")).unlink()
    assert not is_done_since(planned, record.finished)
