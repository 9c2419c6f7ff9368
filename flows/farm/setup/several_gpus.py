"""What renders on two GPUs and more need of the server, made by the first worker for them.

    python -m flows.farm.setup.several_gpus

A pool without a worker stands red in the dashboard, and most farms have no such slots. Nothing that is there is
touched: a worker's version need not be the farm's.
"""

from __future__ import annotations

from contextlib import suppress
from typing import cast

from prefect import get_client
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import ObjectAlreadyExists

from flows.farm.names import QUEUES, RENDER_POOLS
from flows.farm.setup.deploy import DEPLOYMENTS, Deployer
from flows.farm.setup.job_templates import PoolType


def make_missing(client: SyncPrefectClient) -> list[str]:
    """Make what is missing of pool, queues and deployment, unless the farm is not set up; what was made."""
    one, several = RENDER_POOLS[1], RENDER_POOLS[2]
    deployer = Deployer(client, check=False)
    like = deployer.pool(one)
    if like is None:
        return []
    with suppress(ObjectAlreadyExists):  # another worker makes it just now
        if deployer.pool(several) is None:
            deployer.settle_pool(several, cast("PoolType", like.type), paused=like.is_paused)
    with suppress(ObjectAlreadyExists):
        if not deployer.queues(several).keys() >= QUEUES.keys():
            deployer.settle_queues(several)
    for deployed in DEPLOYMENTS:
        if deployed.pool == several and not _is_whole(deployer.deployment(deployed.name)):
            deployer.settle_deployment(deployed)
    return deployer.changes


def _is_whole(deployment: DeploymentResponse | None) -> bool:
    """Whether it is there, and has its pool: with a pool that is deleted it loses that."""
    return deployment is not None and deployment.work_pool_name is not None


if __name__ == "__main__":
    with get_client(sync_client=True) as client:
        make_missing(client)
