"""Lines of a driver and its renders, by time, once each."""

import logging
from datetime import UTC, datetime, timedelta

from prefect.client.orchestration import get_client
from prefect.states import Completed

from flows.commands import log
from flows.farm import names, submissions
from flows.farm.submissions import Submission
from tests.farm.commands import call

START = datetime(2026, 3, 2, 3, 0, tzinfo=UTC)


def test_lines_of_all_runs_are_shown_by_time_and_once(night):
    with get_client(sync_client=True) as client:
        deployment = client.read_deployment_by_name(names.RENDER_DEPLOYMENTS[1])
        tags = [names.RENDER_TAG, names.submission_tag(submissions.submission_of(night.run))]
        asked = {"manifest": night.url, "pairs": ["one"], "submission": "any"}
        render = client.create_flow_run_from_deployment(deployment.id, parameters=asked, tags=tags)

        def write(run, minute, message, level=logging.INFO, name="x"):
            moment = (START + timedelta(minutes=minute)).isoformat()
            line = {"name": name, "level": level, "message": message, "timestamp": moment}
            client.request("POST", "/logs/", json=[{**line, "flow_run_id": str(run.id)}])

        write(night.run, 3, "one: done: 2 s")
        write(render, 2, "one: too slow", logging.WARNING)
        write(night.run, 1, "plan: 3 pairs")

        def later(_):
            """The run ends after another line."""
            write(render, 4, "two: started")
            client.set_flow_run_state(night.run.id, Completed(), force=True)

        write(render, 0, "Finished in state Completed()", name="prefect.task_runs")
        write(render, 0, "Task run failed: Retry 1/8", logging.WARNING, "prefect.task_runs")
        told = [line.message for line in log.logged(client, night.run, follow=True, sleep=later)]
        assert sorted(told[:2]) == ["Finished in state Completed()", "Task run failed: Retry 1/8"]
        assert told[2:] == ["plan: 3 pairs", "one: too slow", "one: done: 2 s", "two: started"]
        client.set_flow_run_state(render.id, Completed(), force=True)
    done = call("log", night.name, "one")
    first, second = done.out.splitlines()
    assert first.endswith(":02:00 WARNING one: too slow")
    assert second.endswith(":03:00 one: done: 2 s")
    everything = call("log", night.name).out.splitlines()
    assert everything[0].endswith(":00:00 WARNING Task run failed: Retry 1/8")
    assert len(everything) == 5


def test_a_pair_that_the_run_did_not_render_is_told_with_the_run_that_did(night):
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(night.run.id, Completed(), force=True)
        rerun = submissions.submit(client, Submission(night.url, night.places))
        client.set_flow_run_state(rerun.id, Completed(), force=True)
        line = {"name": "x", "level": logging.INFO, "message": "one: done: 2 s", "timestamp": START.isoformat()}
        client.request("POST", "/logs/", json=[{**line, "flow_run_id": str(night.run.id)}])
    first, second = submissions.short_id(night.run), submissions.short_id(rerun)
    done = call("log", second, "one")
    nothing = f"note: run {second} has rendered nothing of one, nor logged anything"
    assert done.status == 0
    assert " ".join(done.out.split()) == f"{nothing}; another run has: styletransfer log {first} one"
    assert " ".join(call("log", second, "two").out.split()) == nothing.replace("one", "two")
