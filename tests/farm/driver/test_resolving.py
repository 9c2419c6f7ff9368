"""A failed run is red until what failed is rendered, and no longer; on a real server."""

from datetime import UTC, datetime

import pytest
from prefect import flow, get_client
from prefect.states import Completed, Crashed, Failed, Running

from flows.farm import names, submissions
from flows.farm.driver.resolving import resolve_former
from styletransfer.records.output_places import OutputPlaces
from styletransfer.records.records import Summary, SummaryInput, SummaryPair
from tests.told import told_of


@flow(name="some-driver")
def some_driver():
    """Never called."""


@pytest.fixture
def client(local_server, tmp_path, monkeypatch):
    """Of a real server, not of a farm on paper."""
    with told_of(local_server, tmp_path / "prefect", monkeypatch), get_client(sync_client=True) as client:
        yield client


@pytest.fixture
def places(tmp_path):
    return OutputPlaces(str(tmp_path / "out"), "harbour")


@pytest.fixture
def driver(client):
    """Makes the run of a driver that is in this state."""

    def make(places, state):
        tags = [names.TAG, names.DRIVER_TAG, names.output_tag(places)]
        run = client.create_flow_run(some_driver, name="harbour", tags=tags)
        client.set_flow_run_state(run.id, state, force=True)
        return run

    return make


def summary(*states):
    moment, entry = datetime(2026, 3, 2, tzinfo=UTC), SummaryInput(url="/in/a.png")
    pairs = (
        SummaryPair(id=f"p{number}", state=state, content=entry, styles=(entry,))
        for number, state in enumerate(states)
    )
    return Summary(manifest="harbour", location="/harbour.yaml", started=moment, updated=moment, pairs=tuple(pairs))


def test_what_failed_is_resolved_by_who_rendered_it(client, driver, places):
    failed = driver(places, Failed(message="1 done, 1 failed\np1: damaged"))
    other = driver(OutputPlaces(places.folder, "another"), Failed(message="1 failed"))
    crashed, live = driver(places, Crashed()), driver(places, Running())
    retry = driver(places, Completed())
    resolve_former(client, retry, places, summary("done", "skipped"))
    found = client.read_flow_run(failed.id)
    assert submissions.state_text(found) == "resolved"
    told = f"1 done, 1 failed; rendered since, by the run {submissions.short_id(retry)}"
    assert found.state.message == told
    states = [client.read_flow_run(run.id).state.name for run in (other, crashed, live, retry)]
    assert states == ["Failed", "Crashed", "Running", "Completed"]


@pytest.mark.parametrize("left", ["failed", "cancelled", "held", "queued"])
def test_as_long_as_a_pair_is_not_rendered_it_stays_red(client, driver, places, left):
    failed = driver(places, Failed(message="2 failed"))
    resolve_former(client, failed, places, summary("done", left))
    assert client.read_flow_run(failed.id).state.name == "Failed"
