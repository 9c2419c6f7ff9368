"""A driver's own flow run: found by its tags, one for each submission, and heard of again."""

import uuid

import pytest
from prefect import flow
from prefect.client.schemas.objects import FlowRun
from prefect.context import FlowRunContext
from prefect.states import Cancelled, Cancelling, Completed, Crashed, Failed, Running, Scheduled, Suspended

from flows.farm import names, orders, submissions
from flows.farm.driver.driver_run import CalledOffError, DriverRun, ReplacedError
from flows.farm.orders import Orders
from flows.farm.setup.deploy import deploy
from styletransfer.planning.plan import plan_manifest


@flow
def some_flow() -> None:
    """Stands for a driver, which is never begun here."""


def other_driver(client, submission, state):
    """A driver of the same submission, in this state."""
    tags = [names.TAG, names.DRIVER_TAG, names.submission_tag(submission)]
    run = client.create_flow_run(some_flow, tags=tags, state=Scheduled())
    client.set_flow_run_state(run.id, Running(), force=True)
    client.set_flow_run_state(run.id, state, force=True)
    return client.read_flow_run(run.id)


def in_a_driver(work):
    """Does the work within a flow run."""

    @flow(name="driver")
    def driver() -> None:
        work()

    driver()


def own_run() -> FlowRun:
    """The flow run that this is."""
    context = FlowRunContext.get()
    assert context is not None
    assert isinstance(context.flow_run, FlowRun)
    return context.flow_run


def look_now(me):
    """As if it were time to look at what the server thinks."""
    me._look_at = 0.0
    me.check()


def test_a_driver_is_found_by_submission_and_later_by_manifest(client, farm):
    plan = plan_manifest(farm.manifest)

    def work():
        me = DriverRun(client, None)
        known = set(client.read_flow_run(me.run.id).tags)
        assert known == {names.TAG, names.DRIVER_TAG, names.submission_tag(str(me.run.id))}
        orders.change(client, client.read_flow_run(me.run.id), add=[names.PAUSED_TAG])
        me.describe(plan)
        assert me.orders == Orders()
        look_now(me)
        assert me.orders == Orders(paused=True)
        orders.change(client, client.read_flow_run(me.run.id), remove=[names.PAUSED_TAG])
        found = client.read_flow_run(me.run.id)
        assert found.name == "demo"
        assert set(found.tags) - known == {names.manifest_tag("demo"), names.output_tag(plan.places)}

    in_a_driver(work)


def test_of_two_drivers_of_a_submission_the_older_stays(client):
    submission = uuid.uuid4().hex
    older = other_driver(client, submission, Running())

    def work():
        with pytest.raises(ReplacedError, match="looks after it already"):
            DriverRun(client, submission)

    in_a_driver(work)
    client.set_flow_run_state(older.id, Completed(), force=True)


@pytest.mark.parametrize(("name", "goes_on"), [("Cancelled", False), (names.HELD, True)])
def test_in_place_of_one_that_was_cancelled_none_is_begun(client, name, goes_on):
    submission = uuid.uuid4().hex
    other_driver(client, submission, Cancelled(name=name))

    def work():
        if goes_on:
            DriverRun(client, submission)
            return
        with pytest.raises(CalledOffError):
            DriverRun(client, submission)

    in_a_driver(work)


def test_in_place_of_a_dead_one_its_beginning_counts(client):
    submission = uuid.uuid4().hex
    dead = other_driver(client, submission, Crashed())
    in_a_driver(lambda: _began_with(DriverRun(client, submission), dead))


def _began_with(me, dead):
    assert me.began == dead.start_time
    assert me.began < me.run.start_time


def test_a_driver_that_was_taken_for_lost_is_counted_as_running_again(client):
    def work():
        me = DriverRun(client, None)
        client.set_flow_run_state(me.run.id, Crashed(message="lost"), force=True)
        me.check()  # not yet time to look
        assert client.read_flow_run(me.run.id).state.is_crashed()
        look_now(me)
        state = client.read_flow_run(me.run.id).state
        assert (state.is_running(), state.message) == (True, "it was taken for lost")

    in_a_driver(work)


def test_a_driver_whose_place_is_taken_is_told(client):
    def work():
        me = DriverRun(client, None)
        successor = other_driver(client, me.submission, Running())
        client.set_flow_run_state(me.run.id, Crashed(message="lost"), force=True)
        with pytest.raises(ReplacedError, match="has taken this driver's place"):
            look_now(me)
        client.set_flow_run_state(successor.id, Completed(), force=True)
        client.set_flow_run_state(me.run.id, Running(), force=True)

    in_a_driver(work)


def test_only_people_cancel(client):
    def work():
        me = DriverRun(client, None)
        assert not me.is_cancelled()
        client.set_flow_run_state(me.run.id, Cancelling(), force=True)
        assert me.is_cancelled()
        client.set_flow_run_state(me.run.id, Running(), force=True)

    in_a_driver(work)


def test_a_driver_that_was_over_has_another_submitted_once_for_each_time_it_is_run(client):
    """Whatever is noted of the submission before, and was asked of it, is not of the new one."""
    deploy(client)
    submission = uuid.uuid4().hex
    other_driver(client, submission, Crashed())

    def work():
        run = own_run()
        given = {"manifest": "demo.yaml", "submission": submission, "revivals": 3}
        tags = [names.PAUSED_TAG, names.submission_tag(submission)]
        client.update_flow_run(run.id, tags=tags, parameters=given)
        client.set_flow_run_state(run.id, Failed(message="1 failed"), force=True)
        client.set_flow_run_state(run.id, Running(), force=True)
        for _ in range(2):
            with pytest.raises(ReplacedError, match="renders what is not done"):
                DriverRun(client, submission)
        (anew,) = [other for other in submissions.recent(client) if other.name == run.name and other.id != run.id]
        assert anew.parameters["submission"] != submission
        assert (anew.parameters["manifest"], anew.parameters["revivals"]) == ("demo.yaml", 0)
        assert names.submission_tag(anew.parameters["submission"]) in anew.tags
        assert names.PAUSED_TAG not in anew.tags
        assert anew.start_time is None

    in_a_driver(work)


def test_a_driver_that_was_over_leaves_a_submission_to_its_other_driver(client):
    submission = uuid.uuid4().hex
    successor = other_driver(client, submission, Running())

    def work():
        run = own_run()
        client.set_flow_run_state(run.id, Crashed(message="lost"), force=True)
        client.set_flow_run_state(run.id, Running(), force=True)
        with pytest.raises(ReplacedError, match="looks after it already"):
            DriverRun(client, submission)

    in_a_driver(work)
    client.set_flow_run_state(successor.id, Completed(), force=True)


def test_a_driver_that_is_suspended_goes_on_with_its_manifest_paused(client):
    def work():
        me = DriverRun(client, None)
        client.set_flow_run_state(me.run.id, Suspended(), force=True)
        look_now(me)
        assert me.orders == Orders(paused=True)
        found = client.read_flow_run(me.run.id)
        assert found.state.is_running()
        way = f"to go on: styletransfer resume {found.name}"
        assert found.state.message == f"suspended: its manifest is paused; {way}"
        assert names.PAUSED_TAG in found.tags

    in_a_driver(work)
