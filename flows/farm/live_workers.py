"""Workers that are there: slots that render, and hosts that run drivers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import WorkPoolFilter, WorkPoolFilterName
from prefect.client.schemas.objects import WorkerStatus, WorkPool

from flows.farm import names
from flows.farm.names import Needs
from flows.farm.slot_tags import read_tags
from flows.farm.submissions import all_pages, deployed

OURS: Final = "process"
"""Type of the pools that our own workers serve. In others each run is a container of its own."""


@dataclass(frozen=True)
class LiveWorker:
    """A worker that is there: one slot, with its tags, or a host's drivers.

    Prefect's own, which starts `containers`, has as many `slots` as its share of what its pool may run at once.
    """

    name: str
    pool: str
    tags: frozenset[str] = frozenset()
    slots: int = 1
    containers: bool = False

    def has(self, needs: Needs) -> bool:
        """Whether it is a slot that can render what needs this."""
        return self.pool == names.RENDER_POOLS[needs.gpus] and needs.requires <= self.tags


def live_workers(client: SyncPrefectClient) -> list[LiveWorker]:
    """Workers of all pools that have been heard of lately. Raises StyleTransferError where nothing is deployed."""
    pools, tags, found = _pools(client), read_tags(client), []
    for name in names.POOLS:
        if name in pools or name not in names.MADE_LATER:
            with deployed():
                online = [
                    worker.name
                    for worker in all_pages(partial(client.read_workers_for_work_pool, name))
                    if worker.status == WorkerStatus.ONLINE
                ]
            found += [*_workers(online, name, pools.get(name), tags)]
    return found


def _workers(
    online: list[str], name: str, pool: WorkPool | None, tags: Mapping[str, frozenset[str]]
) -> Iterator[LiveWorker]:
    containers = pool is not None and pool.type != OURS
    limit = pool.concurrency_limit if pool is not None and containers else None
    limit = len(online) if limit is None else limit
    for number, worker in enumerate(sorted(online)):
        share = len(range(number, limit, len(online)))
        yield LiveWorker(worker, name, tags.get(worker, frozenset()), share, containers)


def container_pools(client: SyncPrefectClient) -> set[str]:
    """Pools in which each run is a container."""
    return {name for name, pool in _pools(client).items() if pool.type != OURS}


def _pools(client: SyncPrefectClient) -> dict[str, WorkPool]:
    ours = WorkPoolFilter(name=WorkPoolFilterName(any_=list(names.POOLS)))
    return {pool.name: pool for pool in client.read_work_pools(work_pool_filter=ours)}
