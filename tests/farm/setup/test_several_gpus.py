"""The pool of renders on several GPUs: on a real server, which most often has none."""

import pytest
from prefect.client.schemas.actions import WorkPoolUpdate
from prefect.exceptions import ObjectNotFound

from flows.farm import names, orders
from flows.farm.live_workers import live_workers
from flows.farm.setup.deploy import deploy
from flows.farm.setup.several_gpus import make_missing

POOL = names.RENDER_POOLS[2]


@pytest.fixture
def without(deployed):
    """A client of a farm that nobody with two GPUs has served."""
    deployed.delete_work_pool(POOL)
    yield deployed
    deploy(deployed, several_gpus=True)


def test_a_farm_is_whole_without_it(without):
    assert deploy(without) == []
    assert [worker for worker in live_workers(without) if worker.pool == POOL] == []
    orders.pause_farm(without)
    assert orders.farm_is_paused(without)
    orders.resume_farm(without)
    with pytest.raises(ObjectNotFound):
        without.read_work_pool(POOL)


def test_one_that_was_left_half_made_is_made_whole(without):
    make_missing(without)
    without.delete_deployment(without.read_deployment_by_name(names.RENDER_DEPLOYMENTS[2]).id)
    assert make_missing(without) == [f"deployment {names.RENDER_DEPLOYMENTS[2]}: made"]


@pytest.mark.parametrize("paused", [False, True])
def test_it_is_made_once_as_the_other_is_and_nothing_else_is_touched(without, paused):
    driver = without.read_deployment_by_name(names.DRIVER_DEPLOYMENT)
    without.update_work_pool(names.RENDER_POOLS[1], WorkPoolUpdate(is_paused=paused))
    try:
        made = make_missing(without)
    finally:
        without.update_work_pool(names.RENDER_POOLS[1], WorkPoolUpdate(is_paused=False))
    assert made[0] == f"pool {POOL}: made, of type process"
    assert all(POOL in line or names.RENDER_DEPLOYMENTS[2] in line for line in made)
    assert without.read_work_pool(POOL).is_paused is paused
    assert without.read_deployment_by_name(names.DRIVER_DEPLOYMENT).updated == driver.updated
    assert make_missing(without) == []
    without.update_work_pool(POOL, WorkPoolUpdate(is_paused=False))
    assert deploy(without) == []
