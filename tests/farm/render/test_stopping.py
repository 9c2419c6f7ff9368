"""Why a render run is told to stop, and work that must not keep it from ending."""

import threading
import time
from contextvars import ContextVar
from uuid import uuid4

import pytest
from prefect import flow, get_client
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Cancelled, Cancelling, Completed, Running, Scheduled

from flows.farm.render.stopping import ASK_S, in_thread, why_stopped
from styletransfer.renders.summary import Outcome

HELD = Outcome("held", "its host told it to stop")
CANCELLED = Outcome("cancelled", "the run was cancelled")

noted: ContextVar[str] = ContextVar("noted", default="")


@flow
def some_flow() -> None:
    """Stands for a render run, which is never begun here."""


@pytest.mark.parametrize(("state", "why"), [(Running, HELD), (Cancelling, CANCELLED), (Cancelled, CANCELLED)])
def test_people_cancel_and_hosts_hold(farm, state, why):
    with get_client(sync_client=True) as client:
        run = client.create_flow_run(some_flow, state=Scheduled())
        client.set_flow_run_state(run.id, Running(), force=True)
        client.set_flow_run_state(run.id, state(), force=True)
        assert why_stopped(str(run.id)) == why
        client.set_flow_run_state(run.id, Completed(), force=True)


def test_a_run_that_the_server_does_not_know_is_held(farm):
    assert why_stopped(str(uuid4())) == HELD


def test_a_server_that_is_away_is_not_waited_for():
    began = time.monotonic()
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):  # the discard port: nobody listens
        assert why_stopped(str(uuid4())) == HELD
    assert time.monotonic() - began < 3 * ASK_S


def test_work_in_a_thread_gives_its_result_or_its_error():
    noted.set("seen there, too")
    assert in_thread(noted.get).result(10) == "seen there, too"
    with pytest.raises(ZeroDivisionError):
        in_thread(lambda: 1 // 0).result(10)


def test_work_that_hangs_does_not_keep_the_process():
    waits = threading.Event()
    started: list[threading.Thread] = []

    def hang() -> bool:
        started.append(threading.current_thread())
        return waits.wait()

    done = in_thread(hang)
    while not started:
        time.sleep(0.01)
    assert started[0].daemon
    assert not done.done()
    waits.set()
    assert done.result(10)
