"""When runs were last heard of, by the clock of a real server."""

from datetime import timedelta

import pytest
from prefect import flow
from prefect.states import Completed, Running

from flows.farm.heartbeats import last_heard, server_time
from styletransfer.records.records import now
from tests.farm.beats import beat
from tests.waiting import until

QUIET_S = 60


@flow
def some_flow() -> None:
    """Stands for what the runs are of."""


@pytest.fixture
def runs(client):
    """Three that run."""
    made = [client.create_flow_run(some_flow, state=Running()) for _ in range(3)]
    yield [client.read_flow_run(run.id) for run in made]
    for run in made:
        client.set_flow_run_state(run.id, Completed(), force=True)


def test_the_servers_clock_is_this_hosts_here(client):
    assert abs(server_time(client) - now()) < timedelta(seconds=5)


def test_silent_is_who_has_not_beaten_by_the_servers_clock(client, runs):
    """A host whose clock is wrong by minutes beats all the same."""
    silent, slow, fast = runs
    changed = max(run.state.timestamp for run in runs)
    until(lambda: now() > changed + timedelta(seconds=1), "a moment after the runs began")
    beat(client, slow, now() - timedelta(minutes=5))
    beat(client, fast, now() + timedelta(minutes=5))

    def heard(after):
        moment = changed + timedelta(seconds=QUIET_S) + after
        return last_heard(client, runs, moment, QUIET_S)

    until(lambda: heard(timedelta(0)).keys() == {silent.id}, "two heartbeats", 60)
    assert heard(timedelta(0)) == {silent.id: silent.state.timestamp}
    assert heard(timedelta(seconds=-QUIET_S)) == {}
    later = heard(timedelta(minutes=2))
    assert later.keys() == {silent.id, slow.id}  # the third's, by its clock, is yet to come
    assert later[slow.id] > changed
