"""Runs listed, one run's pairs, slots."""

from prefect.states import Cancelled, Failed, Running

from flows.farm import submissions
from tests.farm.commands import call


def test_runs_are_listed_with_how_they_stand(night):
    night.set_state(Running())
    night.stands(one="done", two="rendering")
    (line,) = [line for line in call("status").out.splitlines() if night.name in line]
    assert line.startswith(submissions.short_id(night.run))
    assert "running" in line
    assert "1 queued, 1 rendering, 1 done" in line
    night.set_state(Failed(message="2 done, 1 failed\ntwo: because"))
    (line,) = [line for line in call("status").out.splitlines() if night.name in line]
    assert "failed" in line
    assert "2 done, 1 failed" in line
    assert "because" not in line
    night.set_state(Cancelled(message="Flow run was cancelled successfully."))  # a worker's words, not ours
    (line,) = [line for line in call("status").out.splitlines() if night.name in line]
    assert "successfully" not in line


def test_a_farm_without_slots_says_how_to_get_some(deployed):
    assert "start one with: styletransfer worker" in call("status", "--slots").out
