"""Which runs a worker for drivers gives up, on a real server whose clock is put forward."""

import os
import subprocess
import sys
from datetime import timedelta

import pytest
from prefect import flow
from prefect.states import Cancelling, Completed, Pending, Running

from flows.farm import heartbeats, names
from flows.farm.names import WORKER_LABEL
from flows.farm.workers import lost_runs
from flows.farm.workers.lost_runs import GRACE_S, MISSED_S, STARTING_S, LostRuns
from tests.farm.commands import unique

LATER_S = 600


@flow
def some_flow() -> None:
    """Stands for what the runs are of."""


@pytest.fixture
def host():
    """A host's name that no other test has."""
    return unique("harbour")


@pytest.fixture
def begin(client):
    """Begins a run of ours that is in this state, and taken by this worker."""
    begun = []

    def begin(state, worker="", tags=()):
        run = client.create_flow_run(some_flow, tags=[names.TAG, *tags])
        begun.append(run)
        client.set_flow_run_state(run.id, Pending(), force=True)
        client.set_flow_run_state(run.id, state, force=True)
        labels = {WORKER_LABEL: worker}
        client.request("PATCH", "/flow_runs/{id}/labels", path_params={"id": run.id}, json=labels)
        return run

    yield begin
    for run in begun:
        client.set_flow_run_state(run.id, Completed(), force=True)


@pytest.fixture
def look(client, monkeypatch):
    """Has somebody look so many seconds from now."""

    def look(looker, seconds):
        moment = heartbeats.server_time(client) + timedelta(seconds=seconds)
        monkeypatch.setattr(lost_runs, "server_time", lambda _: moment)
        looker.look(client)

    return look


def stand(client, run):
    """Kind and reason of its state."""
    state = client.read_flow_run(run.id).state
    return state.type.value, state.message or ""


def test_a_silent_run_is_lost_once_the_server_was_there_to_hear_it(client, begin, look):
    run, pending, cancelled = begin(Running()), begin(Pending()), begin(Cancelling())
    looker = LostRuns("nowhere", alone=False)
    look(looker, LATER_S)
    looker.server_was_away()
    look(looker, LATER_S + MISSED_S / 2)
    look(looker, LATER_S + 2 * MISSED_S)  # it stood still itself, perhaps with the server
    assert stand(client, run) == ("RUNNING", "")
    look(looker, LATER_S + 2 * MISSED_S + GRACE_S)
    lost = "nothing was heard of it for 13 min"
    assert stand(client, run) == ("CRASHED", lost)
    assert stand(client, pending) == ("CRASHED", lost)
    assert stand(client, cancelled) == ("CANCELLED", lost)


def test_a_run_is_left_alone_before_its_time(client, begin, look):
    run, pending = begin(Running()), begin(Pending())
    looker = LostRuns("nowhere", alone=False)
    for seconds in (0, GRACE_S, 2 * GRACE_S):
        look(looker, seconds)
    assert stand(client, run)[0] == "RUNNING"
    look(looker, names.LOST_AFTER_S + 2)
    assert (stand(client, run)[0], stand(client, pending)[0]) == ("CRASHED", "PENDING")


def test_on_a_host_of_its_own_a_run_without_process_is_lost_at_once(client, begin, look, host):
    gone, elsewhere, here = (begin(Running(), f"{name}-gpu0") for name in (host, "island", host))
    process = {**os.environ, "PREFECT__FLOW_RUN_ID": str(here.id)}
    sleep = [sys.executable, "-c", "input()"]
    with subprocess.Popen(sleep, env=process, stdin=subprocess.PIPE):
        look(LostRuns(host, alone=True), STARTING_S / 2)
        assert stand(client, gone)[0] == "RUNNING"
        look(LostRuns(host, alone=True), STARTING_S + 2)
        assert stand(client, gone) == ("CRASHED", f"its process on {host} is gone")
        assert stand(client, elsewhere)[0] == stand(client, here)[0] == "RUNNING"


def test_among_others_a_host_may_have_this_ones_name(client, begin, look, host):
    gone = begin(Running(), f"{host}-gpu0")
    look(LostRuns(host, alone=False), GRACE_S - 10)
    assert stand(client, gone)[0] == "RUNNING"
    look(LostRuns(host, alone=False), GRACE_S + 2)
    assert stand(client, gone)[0] == "CRASHED"


def test_after_a_power_cut_a_render_run_that_had_not_begun_or_was_called_off_is_over(client, begin, look, host):
    """Of the first a process may be about to begin: it must find that."""
    driver = begin(Cancelling(), f"{host}-driver", [names.DRIVER_TAG])
    pending = begin(Pending(), f"{host}-gpu0", [names.RENDER_TAG])
    running = begin(Running(), f"{host}-gpu0", [names.RENDER_TAG, names.submission_tag(str(driver.id))])
    look(LostRuns(host, alone=True), STARTING_S + 2)
    assert (stand(client, pending)[0], stand(client, running)[0]) == ("CRASHED", "CRASHED")


def test_after_a_power_cut_a_render_run_waits_again_and_needs_no_driver_for_it(client, begin, look, host):
    """A pair that ends its host each time is given up all the same."""
    run = begin(Running(), f"{host}-gpu0", [names.RENDER_TAG])
    cancelled = begin(Cancelling(), f"{host}-gpu0", [names.RENDER_TAG])
    for _ in range(names.ATTEMPTS - 1):
        look(LostRuns(host, alone=True), STARTING_S + 2)
        waiting = client.read_flow_run(run.id)
        assert (waiting.state.name, waiting.state.message) == ("AwaitingRetry", f"its process on {host} is gone")
        assert waiting.next_scheduled_start_time == run.expected_start_time
        client.set_flow_run_state(run.id, Running(), force=True)
    look(LostRuns(host, alone=True), STARTING_S + 2)
    assert stand(client, run)[0] == "CRASHED"
    assert stand(client, cancelled)[0] == "CANCELLED"
