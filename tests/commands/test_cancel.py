"""A driver ends first, then what it leaves."""

from prefect.client.orchestration import get_client
from prefect.states import Cancelled, Running

from flows.commands import cancel
from flows.commands.tables import output
from flows.commands.terminal import Lines
from flows.farm import names, submissions
from tests.farm.commands import call, runs_of


def test_a_run_that_waits_is_cancelled_at_once(night):
    done = call("cancel", night.name)
    assert done.status == 0, done.err
    (run,) = runs_of(night.name)
    assert run.state.is_cancelled()
    assert "over already: cancelled" in call("cancel", night.name).out


def test_the_driver_ends_first_then_what_it_leaves(night):
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


def test_a_run_that_does_not_end_is_told(night, monkeypatch, capsys):
    monkeypatch.setattr(cancel, "PATIENCE_S", 0.0)
    night.set_state(Running())
    with get_client(sync_client=True) as client:
        assert cancel.cancel(client, night.run, Lines(output()), lambda _: None) == 1
    assert "1 runs are not over yet" in capsys.readouterr().out
