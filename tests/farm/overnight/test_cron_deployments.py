"""Schedules on a real server: made, changed and planned anew, without a second one."""

from datetime import UTC

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterTags

from flows.farm import names, submissions
from flows.farm.overnight.cron_deployments import read_all
from tests.farm.commands import call, deploy_all, unique
from tests.farm.inbox import BERLIN, named, scheduled


@pytest.fixture(autouse=True)
def deployed(farm):
    deploy_all(farm)


def test_scheduling_again_changes_the_schedule_and_adds_none(bucket):
    source = f"{bucket.url}/box/"
    night = call("schedule", source, "--cron", "0 1 * * *", *BERLIN)
    assert "created" in night.out, night.err
    assert "unchanged" in call("schedule", source, "--cron", "0 1 * * *", *BERLIN).out
    assert "changed: '30 22 * * *'" in call("schedule", source, "--cron", "30 22 * * *", *BERLIN).out
    (schedule,) = scheduled(named(source)).schedules
    assert schedule.schedule.cron == "30 22 * * *"
    with get_client(sync_client=True) as client:
        planned = client.read_flow_runs(
            flow_run_filter=FlowRunFilter(tags=FlowRunFilterTags(all_=["nst-schedule"])), limit=200
        )
    mine = [run for run in planned if run.parameters["source"] == source]
    hours = {run.expected_start_time.astimezone(UTC).minute for run in mine if run.expected_start_time}
    assert hours == {30}  # what the former schedule had planned is gone


@pytest.mark.slow
def test_schedules_are_all_read_however_many_there_are(client):
    """The server gives a page at a time: a manifest of a schedule on the next would be taken for waste."""
    flow, name = client.create_flow_from_name(unique("flow")), unique("many")
    asked = [f"{name}-{number}" for number in range(submissions.PAGE + 1)]
    made = {client.create_deployment(flow, each, tags=[names.SCHEDULE_TAG]) for each in asked}
    try:
        assert {each.id for each in read_all(client)} >= made
    finally:
        for each in made:
            client.delete_deployment(each)
