"""Setting a real server up: only what differs is changed, and what a schedule promises happens."""

from importlib import import_module
from zoneinfo import ZoneInfo

import pytest
from prefect.client.schemas.actions import DeploymentUpdate, WorkPoolCreate, WorkPoolUpdate
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateName,
)
from prefect.client.schemas.schedules import CronSchedule
from prefect.exceptions import PrefectHTTPStatusError
from prefect.workers.process import ProcessWorker

from flows.commands.main import main
from flows.farm import names
from flows.farm.overnight import cron_deployments
from flows.farm.overnight.cron_deployments import Schedule
from flows.farm.setup.automations import revival
from flows.farm.setup.deploy import DEPLOYMENTS, deploy
from flows.farm.setup.job_templates import chosen_by_runs, job_template
from styletransfer.errors import StyleTransferError
from tests.waiting import until


@pytest.mark.parametrize("deployed", DEPLOYMENTS, ids=lambda deployed: deployed.name)
def test_a_deployments_module_has_its_flow(deployed):
    module, _, name = deployed.entrypoint.rpartition(".")
    assert getattr(import_module(module), name).name == deployed.flow_name


def test_a_second_time_changes_nothing(deployed):
    assert deploy(deployed, check=True) == []
    assert deploy(deployed) == []


def test_queues_are_served_in_the_order_of_priorities(deployed):
    for pool in names.POOLS:
        ranks = {queue.name: queue.priority for queue in deployed.read_work_queues(work_pool_name=pool)}
        assert ranks == {"high": 1, "normal": 2, "low": 3, "default": 4}


def spoil(client):
    """Change one thing of each kind."""
    low = client.read_work_queue_by_name("low", "nst-gpu1")
    client.update_work_queue(low.id, priority=1)
    driver = client.read_deployment_by_name(names.DRIVER_DEPLOYMENT)
    client.request("PATCH", "/deployments/{id}", path_params={"id": driver.id}, json={"tags": ["mine"]})
    (lost,) = client.read_automations_by_name("nst: crash lost runs")
    client.pause_automation(lost.id)


SPOILT = [
    "queue nst-gpu1/low: priority 3, was 1",
    "deployment render-manifest/farm: tags changed",
    "automation 'nst: crash lost runs': changed",
]


def test_what_differs_is_told_and_set_right(deployed, capsys):
    spoil(deployed)
    assert sorted(deploy(deployed, check=True)) == sorted(SPOILT)
    assert main(["deploy", "--check"]) == 1
    assert sorted(capsys.readouterr().out.splitlines()) == sorted(SPOILT)
    assert main(["deploy"]) == 0
    capsys.readouterr()
    assert main(["deploy", "--check"]) == 0
    assert capsys.readouterr().out == "all is as it should be\n"


def test_the_server_begins_drivers_again_only_where_none_of_our_workers_does(deployed):
    """What it begins has no name and no tags at first: a former version had it do so everywhere."""
    driver = deployed.read_deployment_by_name(names.DRIVER_DEPLOYMENT)
    deployed.create_automation(revival(driver.id))
    assert deploy(deployed) == ["automation 'nst: revive drivers': removed; workers for drivers do this"]
    assert deploy(deployed, check=True) == []
    deployed.delete_work_pool(names.DRIVER_POOL)
    template = job_template("docker", names.DRIVER_POOL)
    deployed.create_work_pool(WorkPoolCreate(name=names.DRIVER_POOL, type="docker", base_job_template=template))
    try:
        assert "automation 'nst: revive drivers': made" in deploy(deployed)
    finally:
        deployed.delete_work_pool(names.DRIVER_POOL)
        assert "automation 'nst: revive drivers': removed; workers for drivers do this" in deploy(deployed)


def test_a_pool_of_another_type_is_left_alone_and_said(deployed):
    with pytest.raises(StyleTransferError, match=r"^pool nst-driver is of type process, not docker; remove it"):
        deploy(deployed, "docker")


def test_what_was_scheduled_follows_its_deployment(deployed):
    """Else it would go on naming a module that a new version has elsewhere."""
    cron = CronSchedule(cron="0 1 * * *", timezone="Europe/Berlin")
    night = Schedule("old", names.INBOX_DEPLOYMENT, cron, {"source": "/no/inbox"}, "")
    cron_deployments.put(deployed, night)
    try:
        found = deployed.read_deployment_by_name(night.full_name)
        deployed.update_deployment(found.id, DeploymentUpdate(entrypoint="flows.farm.inbox.render_inbox"))
        assert deploy(deployed) == [f"deployment {night.full_name}: entrypoint changed"]
        renewed = deployed.read_deployment_by_name(night.full_name)
        assert renewed.entrypoint == names.ENTRYPOINTS[names.INBOX_FLOW]
        assert renewed.parameters == night.parameters
        assert cron_deployments.crons(renewed) == [(cron.cron, cron.timezone)]
    finally:
        cron_deployments.remove(deployed, night.full_name)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("python -m flows.farm.contained", "python -m flows.farm.workers.container_run"),
        ("python -m mine", "python -m mine"),
    ],
)
def test_a_pools_command_follows_if_it_is_ours(deployed, before, after):
    pool = names.RENDER_POOLS[2]
    template = job_template("docker", pool)
    template["job_configuration"]["image"] = "studio/styletransfer:night"
    properties = template["variables"]["properties"]
    properties["command"] = {"type": "string", "default": before}
    template["job_configuration"]["command"] = "{{ command }}"
    deployed.delete_work_pool(pool)
    deployed.create_work_pool(WorkPoolCreate(name=pool, type="docker", base_job_template=template))
    try:
        assert (f"pool {pool}: command {after}, was {before}" in deploy(deployed)) == (before != after)
        properties["command"]["default"] = after
        assert deployed.read_work_pool(pool).base_job_template == template
        assert deploy(deployed) == []
    finally:
        deployed.delete_work_pool(pool)
        deploy(deployed, several_gpus=True)


EVIL = [
    {"command": "touch /tmp/evil"},
    {"env": {"PYTHONPATH": "/tmp"}},
    {"env.PYTHONPATH": "/tmp"},
    {"working_dir": "/tmp"},
]


@pytest.mark.parametrize("variables", EVIL, ids=lambda variables: next(iter(variables)))
def test_how_a_run_is_started_no_run_and_no_deployment_chooses(deployed, variables):
    driver = deployed.read_deployment_by_name(names.DRIVER_DEPLOYMENT)
    parameters = {"manifest": "/none.yaml"}
    with pytest.raises(PrefectHTTPStatusError, match="422"):
        deployed.create_flow_run_from_deployment(driver.id, parameters=parameters, job_variables=variables)
    run = deployed.create_flow_run_from_deployment(driver.id, parameters=parameters)
    with pytest.raises(PrefectHTTPStatusError, match="422"):
        deployed.update_flow_run(run.id, job_variables=variables)
    deployed.delete_flow_run(run.id)
    about = {"entrypoint": driver.entrypoint, "work_pool_name": "nst-driver", "job_variables": variables}
    with pytest.raises(PrefectHTTPStatusError, match="422"):
        deployed.create_deployment(driver.flow_id, "evil", **about)
    deployed.update_deployment(driver.id, DeploymentUpdate(job_variables=variables))  # not looked at yet
    with pytest.raises(PrefectHTTPStatusError, match="422"):
        deployed.create_flow_run_from_deployment(driver.id, parameters=parameters)
    assert deploy(deployed) == [f"deployment {names.DRIVER_DEPLOYMENT}: job_variables changed"]


def test_pools_and_schedules_of_before_are_closed(deployed):
    driver = deployed.read_deployment_by_name(names.DRIVER_DEPLOYMENT)
    before = ProcessWorker.get_default_base_job_template()
    deployed.update_work_pool("nst-driver", WorkPoolUpdate(base_job_template=before))
    schedule = deployed.create_deployment(
        driver.flow_id,
        "of-before",
        entrypoint=driver.entrypoint,
        work_pool_name="nst-driver",
        tags=[names.TAG, names.SCHEDULE_TAG],
        parameter_openapi_schema=driver.parameter_openapi_schema,
        job_variables={"env": {"DO_NOT_TRACK": "1"}},
    )
    try:
        assert deploy(deployed) == [
            "deployment render-manifest/of-before: job_variables changed",
            "pool nst-driver: its runs no longer choose command, environment and folder",
        ]
        assert deploy(deployed) == []
        assert chosen_by_runs(deployed.read_work_pool("nst-driver")) == []
        assert deployed.read_deployment(schedule).job_variables == {}
    finally:
        deployed.delete_deployment(schedule)


def test_parameters_are_checked_by_the_server(deployed):
    driver = deployed.read_deployment_by_name(names.DRIVER_DEPLOYMENT)
    with pytest.raises(Exception, match="409"):
        deployed.create_flow_run_from_deployment(driver.id, parameters={"manifest": "a.yaml", "priority": "urgent"})


def test_a_cron_deployment_gets_its_runs_and_keeps_its_schedule(deployed):
    """With a SQLAlchemy too new for Prefect it would get none, and look healthy."""
    inbox = deployed.read_deployment_by_name(names.INBOX_DEPLOYMENT)
    cron = CronSchedule(cron="0 1 1 1 *", timezone="Europe/Berlin")
    (schedule,) = deployed.create_deployment_schedules(inbox.id, [(cron, True)], parameters={"source": "/no/inbox"})
    try:
        scheduled = FlowRunFilter(state=FlowRunFilterState(name=FlowRunFilterStateName(any_=["Scheduled"])))

        def found():
            runs = deployed.read_flow_runs(flow_run_filter=scheduled)
            return [run for run in runs if run.deployment_id == inbox.id]

        runs = until(found, "runs of the schedule", 120.0)
        assert runs[0].parameters == {"source": "/no/inbox"}
        assert names.TAG in runs[0].tags
        assert {run.expected_start_time.astimezone(ZoneInfo("Europe/Berlin")).hour for run in runs} == {1}
        assert deploy(deployed) == []
        assert schedule.id in [kept.id for kept in deployed.read_deployment_schedules(inbox.id)]
    finally:
        deployed.delete_deployment_schedule(inbox.id, schedule.id)
