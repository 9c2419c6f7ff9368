"""A slot that puts itself out of service, and is put out of it from elsewhere, on a real server."""

import os
import uuid
from pathlib import Path

import httpx
import pytest
from prefect import flow
from prefect.states import Cancelled, Completed, Crashed, Failed

from flows.farm import messages
from flows.farm.names import FINISHED_VARIABLE
from flows.farm.slot_service import SlotService, read_service, resume, write_service
from flows.farm.workers import slot_duty
from flows.farm.workers.slot_duty import SlotDuty
from flows.farm.workers.slot_health import FRUITLESS_RUNS
from styletransfer.records.records import now

pytestmark = pytest.mark.slow


@flow(name="nothing")
def nothing():
    """Never called."""


@pytest.fixture
def duty(farm, monkeypatch):
    """Of a slot that nobody knows yet."""
    monkeypatch.setenv(FINISHED_VARIABLE, "")
    return SlotDuty(f"vm.{uuid.uuid4().hex}-gpu0")


@pytest.fixture
def ended(client, duty):
    """A run of the slot that ends so; `finished`: with a pair."""

    def end(state, *, finished=False):
        run = client.create_flow_run(nothing).id
        client.set_flow_run_state(run, state, force=True)
        if finished:
            Path(os.environ[FINISHED_VARIABLE], str(run)).touch()
        duty.run_ended(run)

    return end


def pause_s(duty):
    """For how long the slot is out of service."""
    assert duty.service is not None
    return (duty.service.until - duty.service.since).total_seconds()


def test_a_slot_whose_runs_bear_no_fruit_pauses_and_says_why(client, duty, ended, hook):
    messages.use_webhook(hook.url)
    for _ in range(FRUITLESS_RUNS - 1):
        ended(Crashed(message="exited with status code: -11"))
    ended(Cancelled(name="Held", message="its host told it to stop"))
    ended(Completed(message="1 skipped"))
    assert duty.takes_runs
    assert read_service(client, duty.worker) is None
    ended(Failed(message="1 failed\na: there is no such file"))
    assert not duty.takes_runs
    service = read_service(client, duty.worker)
    assert service == duty.service
    why = "4 runs in a row ended without a finished pair, the last: 1 failed; a: there is no such file"
    assert service is not None
    assert (service.state, service.reason) == ("out of service", why)
    assert pause_s(duty) == pytest.approx(60, abs=1)
    (message,) = hook.messages
    assert message.startswith(f"{duty.worker.removesuffix('-gpu0')} gpu0: out of service\n")
    ended(Crashed(message="again"))
    assert pause_s(duty) == pytest.approx(120, abs=1)
    assert len(hook.messages) == 1
    ended(Failed(message="1 done, 1 failed"), finished=True)
    resume(client, duty.worker)
    duty.look()
    ended(Crashed(message="once"))
    assert duty.takes_runs


def test_a_slot_obeys_what_is_set_for_it_elsewhere(client, duty):
    drained = SlotService(worker=duty.worker, state="draining", reason="by hand", since=now())
    write_service(client, drained)
    assert duty.takes_runs
    duty.look()
    assert (duty.takes_runs, duty.drains) == (False, True)
    write_service(client, drained.model_copy(update={"state": "out of service"}))
    duty.look()
    assert (duty.takes_runs, duty.drains) == (False, False)
    resume(client, duty.worker)
    duty.look()
    assert duty.takes_runs


def test_who_is_to_restart_leaves_a_slot_in_service(client, duty):
    """Whatever was set before; the worker that comes next is not asked again."""
    write_service(client, SlotService(worker=duty.worker, state="restarting", reason="by hand", since=now()))
    duty.look()
    assert duty.restarts
    assert not duty.takes_runs
    assert read_service(client, duty.worker) is None
    later = SlotDuty(duty.worker)
    later.look()
    assert later.takes_runs
    assert not later.restarts


def test_who_is_to_restart_does_so_also_where_the_server_goes_away_meanwhile(client, duty, monkeypatch):
    def away(*_):
        raise httpx.ConnectError("away")

    monkeypatch.setattr(slot_duty, "resume", away)
    write_service(client, SlotService(worker=duty.worker, state="restarting", reason="by hand", since=now()))
    with pytest.raises(httpx.ConnectError):
        duty.look()
    assert duty.restarts
    resume(client, duty.worker)
