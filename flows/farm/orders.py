"""What people ask of a submission that is under way: to pause, or another priority. And of the whole farm.

Tags of its driver have it: they are seen in the dashboard, and pass to a driver that takes another's place.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final, get_args

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import WorkPoolUpdate
from prefect.client.schemas.objects import FlowRun

from flows.farm import names, submissions
from styletransfer.manifest.schema import Priority

_PRIORITY: Final = "nst-priority:"

PAUSE_REASON: Final = "paused"
"""Why pairs wait, and were handed back."""


@dataclass(frozen=True)
class Orders:
    """What a driver is asked to heed. `priority` None: that which it was submitted with."""

    paused: bool = False
    priority: Priority | None = None


def orders_in(tags: Collection[str]) -> Orders:
    """The orders that a driver's tags hold."""
    priorities = [name for name in get_args(Priority) if f"{_PRIORITY}{name}" in tags]
    return Orders(not names.PAUSE_TAGS.isdisjoint(tags), priorities[0] if priorities else None)


def order_tags(tags: Iterable[str]) -> list[str]:
    """Those that are orders."""
    return [tag for tag in tags if tag in names.PAUSE_TAGS or tag.startswith(_PRIORITY)]


def give_priority(client: SyncPrefectClient, run: FlowRun, priority: Priority) -> None:
    """Have what waits of the driver's manifest rendered with this priority."""
    others = [f"{_PRIORITY}{name}" for name in get_args(Priority) if name != priority]
    change(client, run, add=[f"{_PRIORITY}{priority}"], remove=others)


def change(
    client: SyncPrefectClient, run: FlowRun, add: Collection[str] = (), remove: Collection[str] = ()
) -> None:
    """Change a driver's tags."""
    tags = [tag for tag in run.tags if tag not in remove and tag not in add]
    client.update_flow_run(run.id, tags=[*tags, *add])


def pause_farm(client: SyncPrefectClient) -> None:
    """No slot takes a run any more, and drivers have back what is being rendered."""
    _set_pools(client, paused=True)
    for run in _drivers(client):
        change(client, run, add=[names.FARM_PAUSED_TAG])


def resume_farm(client: SyncPrefectClient) -> None:
    """The farm goes on; manifests that were paused on their own stay so."""
    for run in _drivers(client):
        change(client, run, remove=[names.FARM_PAUSED_TAG])
    _set_pools(client, paused=False)


def farm_is_paused(client: SyncPrefectClient) -> bool:
    """Whether no slot takes a run. Raises StyleTransferError where nothing has been deployed."""
    with submissions.deployed():
        return client.read_work_pool(names.RENDER_POOLS[1]).is_paused


def _drivers(client: SyncPrefectClient) -> list[FlowRun]:
    return submissions.with_tags(client, [names.TAG, names.DRIVER_TAG], states=submissions.LIVE)


def _set_pools(client: SyncPrefectClient, *, paused: bool) -> None:
    for pool in names.RENDER_POOLS.values():
        with submissions.deployed(perhaps=pool in names.MADE_LATER):
            client.update_work_pool(pool, WorkPoolUpdate(is_paused=paused))
