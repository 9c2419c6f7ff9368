"""A driver ends first, then what it leaves."""

from prefect.client.orchestration import get_client
from prefect.states import Cancelled, Crashed, Running

from flows.commands import cancel
from flows.commands.tables import output
from flows.commands.terminal import Lines
from flows.farm import names, submissions
from flows.farm.workers.driver_revival import LEFT, revive_lost
from tests.farm.commands import call, runs_of


def test_a_run_that_waits_is_cancelled_at_once(night):
    done = call("cancel", night.name)
    assert done.status == 0, done.err
    assert done.out.splitlines() == [f"{night.name}: cancelling", f"{night.name}: cancelled before it began"]
    (run,) = runs_of(night.name)
    assert run.state.is_cancelled()
    assert "over already: cancelled" in call("cancel", night.name).out


def test_the_driver_ends_first_then_what_it_leaves(night, capsys):
    night.set_state(Running())
    tag = names.submission_tag(submissions.submission_of(night.run))
    with get_client(sync_client=True) as client:
        deployment = client.read_deployment_by_name(names.RENDER_DEPLOYMENTS[1])
        asked = {"manifest": night.url, "pairs": [], "submission": "any"}
        child = client.create_flow_run_from_deployment(
            deployment.id, parameters=asked, tags=[tag, names.RENDER_TAG]
        )
        pauses: list[float] = []

        def sleep(seconds):
            """The driver ends after a while."""
            pauses.append(seconds)
            assert submissions.state_text(client.read_flow_run(night.run.id)) in ("cancelling", "cancelled")
            if len(pauses) == 2:
                assert submissions.state_text(client.read_flow_run(child.id)) == "scheduled"
                client.set_flow_run_state(night.run.id, Cancelled(), force=True)

        status = cancel.cancel(client, night.run, Lines(output()), sleep)
        assert status == 0
        assert submissions.state_text(client.read_flow_run(child.id)) == "cancelled"
    assert "what was begun is resumed" in capsys.readouterr().out


def test_a_run_that_does_not_end_is_told(night, monkeypatch, capsys):
    monkeypatch.setattr(cancel, "PATIENCE_S", 0.0)
    night.set_state(Running())
    with get_client(sync_client=True) as client:
        assert cancel.cancel(client, night.run, Lines(output()), lambda _: None) == 1
    assert "1 runs are not over yet" in capsys.readouterr().out


def test_a_driver_that_has_crashed_is_not_begun_again(night):
    night.set_state(Crashed())
    done = call("cancel", night.name)
    assert (done.status, done.out.splitlines()[-1].partition(";")[0]) == (0, f"{night.name}: cancelled")
    with get_client(sync_client=True) as client:
        revive_lost(client)
        assert submissions.live(client, night.places) == []
    (run,) = runs_of(night.name)
    assert run.state.is_cancelled()


def test_one_that_stays_crashed_is_over(night):
    night.set_state(Crashed(message=LEFT))
    with get_client(sync_client=True) as client:
        often = {**night.run.parameters, "revivals": names.MOST_REVIVALS}
        client.update_flow_run(night.run.id, parameters=often)
    assert "over already: crashed" in call("cancel", night.name).out


def test_a_successor_that_has_no_tags_yet_is_cancelled_too(night):
    """As the server's automation begins it."""
    night.set_state(Crashed())
    with get_client(sync_client=True) as client:
        driver = client.read_deployment_by_name(names.DRIVER_DEPLOYMENT)
        successor = client.create_flow_run_from_deployment(driver.id, parameters=night.run.parameters)
        assert call("cancel", night.name).status == 0
        assert submissions.state_text(client.read_flow_run(successor.id)) == "cancelled"
