"""What people ask of a submission that is under way, and of the farm."""

import asyncio

import pytest
from prefect.client.orchestration import get_client
from prefect.states import Completed

from flows.farm import names, orders, submissions
from flows.farm.orders import Orders, order_tags, orders_in
from flows.farm.submissions import Submission
from styletransfer.records.output_places import OutputPlaces
from tests.farm.commands import deploy_all, unique


def test_tags_hold_orders():
    assert orders_in(["nst", "a"]) == Orders()
    assert orders_in([names.PAUSED_TAG, "nst-priority:high"]) == Orders(paused=True, priority="high")
    assert orders_in([names.FARM_PAUSED_TAG, "nst-priority:urgent"]) == Orders(paused=True)
    assert order_tags(["nst", names.PAUSED_TAG, "nst-priority:low"]) == [names.PAUSED_TAG, "nst-priority:low"]


@pytest.fixture
def driver(farm):
    deploy_all(farm)
    with get_client(sync_client=True) as client:
        run = submissions.submit(client, Submission("/m.yaml", OutputPlaces("/out", unique("harbour"))))
        yield lambda: client.read_flow_run(run.id)
        client.set_flow_run_state(run.id, Completed(), force=True)


def served():
    """Runs that the server would give a worker for renders."""

    async def ask():
        async with get_client() as client:
            return await client.get_scheduled_flow_runs_for_work_pool(names.RENDER_POOLS[1])

    return asyncio.run(ask())


def test_while_the_farm_is_paused_no_slot_gets_a_run_and_drivers_know(driver):
    with get_client(sync_client=True) as client:
        deployment = client.read_deployment_by_name(names.RENDER_DEPLOYMENTS[1])
        asked = {"manifest": "/m.yaml", "pairs": [], "submission": "any"}
        render = client.create_flow_run_from_deployment(deployment.id, parameters=asked)
        orders.change(client, driver(), add=["mine"])
        try:
            assert render.id in [found.flow_run.id for found in served()]
            orders.pause_farm(client)
            assert served() == []
            assert orders.farm_is_paused(client)
            assert orders_in(driver().tags).paused
        finally:
            orders.resume_farm(client)
        assert render.id in [found.flow_run.id for found in served()]
        assert not orders.farm_is_paused(client)
        assert not orders_in(driver().tags).paused
        assert "mine" in driver().tags
        client.set_flow_run_state(render.id, Completed(), force=True)


def test_the_last_priority_counts(driver):
    with get_client(sync_client=True) as client:
        for priority in ("high", "low"):
            orders.give_priority(client, driver(), priority)
    assert orders_in(driver().tags) == Orders(priority="low")
