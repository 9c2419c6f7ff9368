"""Which drivers are begun again."""

from datetime import timedelta
from uuid import UUID

import pytest
from prefect import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.states import Completed, Crashed, Running, Scheduled

from flows.farm import names, submissions
from flows.farm.submissions import Submission
from flows.farm.workers import driver_revival
from flows.farm.workers.driver_revival import LEFT, lost, revive_lost
from styletransfer.records.output_places import OutputPlaces
from styletransfer.records.records import now
from tests.farm.commands import deploy_all, unique


def driver(state, submission="night", **parameters):
    return FlowRun(flow_id=UUID(int=0), state=state, parameters={"submission": submission, **parameters})


def found(*runs, minutes=5):
    return list(lost(list(runs), now() + timedelta(minutes=minutes)))


def test_a_crashed_driver_without_another_in_its_place():
    dead, fine = driver(Crashed()), driver(Running(), "other")
    assert found(dead, fine) == [dead]


@pytest.mark.parametrize("state", [Scheduled(), Running(), Completed()])
def test_not_one_that_has_been_replaced(state):
    assert found(driver(Crashed()), driver(state)) == []


def test_the_last_of_several():
    first, second, third = (driver(Crashed()) for _ in range(3))
    assert found(first, third, second) == [third]


def test_old_ones_stay_dead():
    dead = driver(Crashed())
    assert found(dead, minutes=0) == [dead]
    assert found(dead, minutes=60 * 24 * 2) == []


class Server:
    """Has one run, and remembers what is done."""

    def __init__(self, run):
        self.run = run
        self.begun = []

    def read_deployment_by_name(self, name):
        assert name == names.DRIVER_DEPLOYMENT
        return self.run

    def create_flow_run_from_deployment(self, _, *, parameters, **others):
        self.begun.append(parameters)

    def set_flow_run_state(self, _, state, *, force):
        assert force
        self.run = self.run.model_copy(update={"state": state})


@pytest.fixture
def look(monkeypatch):
    """Looks for dead drivers three times, two minutes after the last change; returns the server, and messages."""

    def look(run):
        server, messages = Server(run), []
        monkeypatch.setattr(submissions, "recent", lambda _: [server.run])
        monkeypatch.setattr(driver_revival, "now", lambda: now() + timedelta(minutes=2))
        monkeypatch.setattr(driver_revival, "tell_wrong", lambda *told: messages.append(told))
        for _ in range(3):
            revive_lost(server)  # type: ignore[arg-type]
        return server, messages

    return look


def test_it_is_counted_how_often_a_driver_was_begun_again(look):
    server, messages = look(driver(Crashed(), manifest="night.yaml", revivals=2))
    assert server.begun[0] == {"submission": "night", "manifest": "night.yaml", "revivals": 3}
    assert messages == []


def test_one_that_has_crashed_too_often_is_left_and_that_is_said_once(look):
    dead = driver(Crashed(message="status code: 1"), manifest="night.yaml", revivals=names.MOST_REVIVALS)
    server, messages = look(dead)
    assert server.begun == []
    assert server.run.state.message == f"{LEFT}; status code: 1"
    assert messages == [("night.yaml", [LEFT, "status code: 1"])]


def test_a_successor_has_its_name_and_its_tags_from_the_first_moment(farm):
    deploy_all(farm)
    name, places = unique("harbour"), OutputPlaces("/out", unique("harbour"))
    with get_client(sync_client=True) as client:
        dead = submissions.submit(client, Submission(f"/{name}.yaml", places, priority="high", force=True))
        client.set_flow_run_state(dead.id, Crashed(), force=True)
        for _ in range(2):  # as two workers for drivers would
            revive_lost(client)
        (again,) = submissions.live(client, places)
        assert (again.name, set(again.tags)) == (dead.name, set(dead.tags))
        assert (again.work_queue_name, again.deployment_id) == (dead.work_queue_name, dead.deployment_id)
        assert again.parameters == {**dead.parameters, "revivals": 1}
        for run in (again, dead):
            client.delete_flow_run(run.id)
