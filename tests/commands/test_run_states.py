"""The tables of runs and of one run's pairs."""

from prefect.client.orchestration import get_client
from prefect.states import Completed, Crashed, Running

from flows.farm import names, submissions
from tests.farm.commands import call


def test_lines_of_tables_end_with_their_last_word(night):
    night.stands(one="failed", two="queued")
    lines = call("status", night.name).out.splitlines()
    assert [line for line in lines if line != line.rstrip()] == []


def test_a_run_is_shown_with_its_pairs_that_are_not_done(night):
    night.set_state(Running())
    night.stands(one="done", two="failed", three="held")
    done = call("status", night.name)
    assert done.status == 0, done.err
    assert f"{night.name}: running, 1 held, 1 done, 1 failed" in done.out
    assert f"contact sheet: {night.places.index}" in done.out
    rows = [line.split() for line in done.out.splitlines() if line.startswith(("one", "two", "three"))]
    assert rows == [["two", "failed", "because", "of", "two"], ["three", "held", "because", "of", "three"]]


def test_a_submission_is_shown_once_by_the_driver_that_is_at_work(night):
    """One driver died; of two successors one stepped down."""
    night.set_state(Crashed())
    with get_client(sync_client=True) as client:
        deployment = client.read_deployment_by_name(names.DRIVER_DEPLOYMENT)
        made = [
            client.create_flow_run_from_deployment(
                deployment.id, name=night.name, parameters=night.run.parameters, tags=night.run.tags
            )
            for _ in range(2)
        ]
        client.set_flow_run_state(made[0].id, Running(), force=True)
        client.set_flow_run_state(made[1].id, Completed(name=submissions.REPLACED), force=True)
        assert submissions.find(client, night.name).id == made[0].id
        (line,) = [line for line in call("status").out.splitlines() if night.name in line]
        assert line.startswith(submissions.short_id(made[0]))
        client.set_flow_run_state(made[0].id, Completed(), force=True)
