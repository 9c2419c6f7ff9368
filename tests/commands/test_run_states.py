"""The tables of runs and of one run's pairs."""

import json

from prefect.client.orchestration import get_client
from prefect.states import Completed, Crashed, Running

from flows.commands import run_states
from flows.farm import names, submissions
from flows.farm.artifacts import Artifacts, Content
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
    pairs = json.loads(call("status", night.name, "--json").out)["pairs"]
    assert {pair["id"]: pair["state"] for pair in pairs} == {"one": "done", "two": "failed", "three": "held"}
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


def test_a_pair_that_is_rendered_tells_how_far_it_is(night):
    with get_client(sync_client=True) as client:
        deployment = client.read_deployment_by_name(names.RENDER_DEPLOYMENTS[1])
        tags = [names.RENDER_TAG, names.submission_tag(submissions.submission_of(night.run))]
        asked = {"manifest": night.url, "pairs": ["two"], "submission": "any"}
        render = client.create_flow_run_from_deployment(deployment.id, parameters=asked, tags=tags)
        client.set_flow_run_state(render.id, Running(), force=True)
        with Artifacts(str(render.id)) as artifacts:
            artifacts.publish("progress", lambda: Content("progress", 42, "42 %; two: 256 px, 3.2 it/s"))
        assert run_states.pairs_progress(client, night.run) == {"two": "256 px, 3.2 it/s"}
        night.set_state(Running())
        night.stands(two="rendering")
        (row,) = [line for line in call("status", night.name).out.splitlines() if line.startswith("two")]
        assert row == "two    rendering  because of two; 256 px, 3.2 it/s"
        client.set_flow_run_state(render.id, Completed(), force=True)
