"""Workers that are there: slots that render, and hosts that run drivers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import WorkerStatus

from flows.farm import names
from flows.farm.names import Needs
from flows.farm.slot_tags import read_tags
from flows.farm.submissions import all_pages, deployed


@dataclass(frozen=True)
class LiveWorker:
    """A worker that is there: one slot, with its tags, or a host's drivers."""

    name: str
    pool: str
    tags: frozenset[str] = frozenset()

    def has(self, needs: Needs) -> bool:
        """Whether it is a slot that can render what needs this."""
        return self.pool == names.RENDER_POOLS[needs.gpus] and needs.requires <= self.tags


def live_workers(client: SyncPrefectClient) -> list[LiveWorker]:
    """Workers of all pools that have been heard of lately. Raises StyleTransferError where nothing is deployed."""
    tags, found = read_tags(client), []
    for pool in names.POOLS:
        with deployed(perhaps=pool in names.MADE_LATER):
            found += [
                LiveWorker(worker.name, pool, tags.get(worker.name, frozenset()))
                for worker in all_pages(partial(client.read_workers_for_work_pool, pool))
                if worker.status == WorkerStatus.ONLINE
            ]
    return found
