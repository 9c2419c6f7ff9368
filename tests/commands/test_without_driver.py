"""How a run stands while no driver keeps its table, or storage is away."""

import json
from datetime import timedelta

import pytest
from prefect.client.orchestration import get_client
from prefect.states import Completed, Crashed, Running

from flows.commands import without_driver
from flows.farm import heartbeats, names
from flows.farm.pair_notes import PairNote, write_note
from styletransfer import storage
from styletransfer.records.records import now
from tests.farm.commands import call


@pytest.fixture
def render(night):
    """A render run for the night's folder that is at work."""
    with get_client(sync_client=True) as client:
        deployment = client.read_deployment_by_name(names.RENDER_DEPLOYMENTS[1])
        asked = {"manifest": night.url, "pairs": ["two"], "submission": "any"}
        tags = [names.RENDER_TAG, names.output_tag(night.places)]
        run = client.create_flow_run_from_deployment(deployment.id, parameters=asked, tags=tags)
        client.set_flow_run_state(run.id, Running(), force=True)
        yield run
        client.set_flow_run_state(run.id, Completed(), force=True)


def note(night, pair, state, run="gone", reason=None):
    made = PairNote(
        pair=pair, fingerprint=None, submission="any", run=run, state=state, reason=reason, host="h", since=now()
    )
    write_note(night.places, made)


def states(night):
    told = json.loads(call("status", night.name, "--json").out)
    return {pair["id"]: pair["state"] for pair in told["pairs"]}


def test_states_come_from_notes_and_runs_while_no_driver_lives(night, render):
    night.stands(one="rendering", two="queued", three="rendering")
    note(night, "one", "rendering")
    note(night, "two", "rendering", str(render.id))
    note(night, "three", "failed", reason="damaged")
    night.set_state(Running())
    assert states(night) == {"one": "rendering", "two": "queued", "three": "rendering"}  # as its driver says
    night.set_state(Crashed())
    assert states(night) == {"one": "queued", "two": "rendering", "three": "failed"}
    shown = call("status", night.name).out
    assert "no driver is at work; what it knew last is" in shown
    assert f"{night.name}: crashed, 1 queued, 1 rendering, 1 failed" in shown


def test_a_driver_that_is_silent_is_not_believed(night, monkeypatch):
    night.set_state(Running())
    night.stands(one="rendering")
    with get_client(sync_client=True) as client:
        later = heartbeats.server_time(client) + timedelta(minutes=10)
    monkeypatch.setattr(without_driver, "server_time", lambda _: later)
    shown = call("status", night.name).out
    assert f"{night.name}: running, but not heard of for 10 min, 3 queued" in shown


def test_what_storage_does_not_give_is_said_to_be_missing(night):
    night.set_state(Running())
    storage.delete(night.url)
    done = call("status", night.name)
    assert done.status == 0, done.err
    assert f"{night.name}: running\n" in done.out
    assert "not to be read just now: " in done.out
