"""What the server does by itself when runs are lost: it begins drivers again, and looks at our runs only."""

import uuid

import pytest
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId
from prefect.states import Crashed, Pending, Running

from flows.farm import names
from flows.farm.setup.automations import automations, revival
from tests.waiting import until

PARAMETERS = {"manifest": 's3://studio/"a" {{ b }}.yaml', "only": ["wave--größe"], "force": True, "until": "07:00"}


@pytest.fixture
def reviving(deployed):
    """As a server whose drivers run in containers is set up."""
    driver = deployed.read_deployment_by_name(names.DRIVER_DEPLOYMENT)
    made = deployed.create_automation(revival(driver.id))
    yield deployed
    deployed.delete_automation(made)


def test_a_driver_that_crashes_is_run_again_with_the_same_parameters(reviving):
    deployed = reviving
    driver = deployed.read_deployment_by_name(names.DRIVER_DEPLOYMENT)

    def crashed(**parameters):
        run = deployed.create_flow_run_from_deployment(driver.id, parameters={**PARAMETERS, **parameters})
        deployed.set_flow_run_state(run.id, Pending(), force=True)
        deployed.set_flow_run_state(run.id, Running(), force=True)
        deployed.set_flow_run_state(run.id, Crashed(), force=True)
        return run

    def revived(run):
        runs = deployed.read_flow_runs(deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[driver.id])))
        return [each for each in runs if each.parameters.get("submission") == str(run.id)]

    hopeless = crashed(revivals=names.MOST_REVIVALS)
    last = crashed(revivals=names.MOST_REVIVALS - 1)
    lost = crashed()
    (again,) = until(lambda: revived(lost), "a driver in place of the lost one", 120.0)
    assert again.parameters == {**PARAMETERS, "submission": str(lost.id), "revivals": 1}
    found = until(lambda: revived(last), "the last revival", 120.0)
    assert [run.parameters["revivals"] for run in found] == [names.MOST_REVIVALS]
    assert revived(hopeless) == []
    assert again.deployment_id == driver.id
    assert set(again.tags) == {names.TAG, names.DRIVER_TAG}
    for run in (hopeless, last, *revived(last), lost, again):
        deployed.delete_flow_run(run.id)


@pytest.mark.parametrize(
    ("containers", "limit_s"), [(False, names.PENDING_LIMIT_S), (True, names.CONTAINER_LIMIT_S)]
)
def test_drivers_in_containers_have_time_to_pull_their_image(containers, limit_s):
    (begin,) = [each for each in automations(containers=containers) if each.name.endswith("never began")]
    assert begin.trigger.within.total_seconds() == limit_s  # type: ignore[union-attr]


def test_automations_look_at_our_runs_only():
    """A run that beats less often than the automation listens would be crashed in good health."""
    for automation in (*automations(), revival(uuid.uuid4())):
        tag = automation.model_dump(mode="json")["trigger"]["match_related"]["prefect.resource.id"]
        assert tag in (f"prefect.tag.{names.TAG}", f"prefect.tag.{names.DRIVER_TAG}")
