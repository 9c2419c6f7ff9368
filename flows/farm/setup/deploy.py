"""What the farm needs of a Prefect server, as data, and how a server is brought to it.

Deployments name a function of the installed package, not a file: no path need match between hosts. Whatever is
as it should be is left alone, and so is what an operator may have set up: schedules, and job templates of pools.
Of these only what names a module of ours is brought to this version: modules move.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any, Final, cast
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import DeploymentUpdate, WorkPoolCreate, WorkPoolUpdate
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterTags
from prefect.client.schemas.objects import ConcurrencyLimitStrategy, ConcurrencyOptions, WorkPool, WorkQueue
from prefect.client.schemas.responses import DeploymentResponse
from prefect.events.schemas.automations import AutomationCore
from prefect.exceptions import ObjectNotFound
from prefect.utilities.callables import ParameterSchema, parameter_schema

from flows.farm import names
from flows.farm.setup.automations import REVIVAL, automations, revival
from flows.farm.setup.job_templates import (
    OUR_COMMAND,
    POOL_TYPES,
    PoolType,
    default_command,
    has_prefects_template,
    job_template,
)
from flows.farm.submissions import all_pages
from styletransfer.errors import StyleTransferError
from styletransfer.version import version

POOL_DESCRIPTIONS: Final = {
    names.DRIVER_POOL: "Drivers, one for each submitted manifest: CPU and network only.",
    names.RENDER_POOLS[1]: "Renders on one GPU, or on a share of the CPU.",
    names.RENDER_POOLS[2]: "Renders on two GPUs or more (`gpus: 2` and up).",
}


@dataclass(frozen=True)
class Deployed:
    """A deployment as it should be. `limit`: runs at a time; those beyond it wait."""

    name: str
    pool: str
    tags: tuple[str, ...]
    description: str
    limit: int | None = None

    @property
    def flow_name(self) -> str:
        return self.name.partition("/")[0]

    @property
    def deployment_name(self) -> str:
        return self.name.partition("/")[2]

    @property
    def entrypoint(self) -> str:
        return names.ENTRYPOINTS[self.flow_name]


DEPLOYMENTS: Final = (
    Deployed(
        names.DRIVER_DEPLOYMENT,
        names.DRIVER_POOL,
        (names.TAG, names.DRIVER_TAG),
        "Looks after one manifest: plans it, submits render runs, and sums up.",
    ),
    *(
        Deployed(
            name,
            names.RENDER_POOLS[gpus],
            (names.TAG, names.RENDER_TAG),
            f"Renders some of a manifest's pairs in one slot of {gpus} GPU{'s and more' * (gpus > 1)}. "
            "Drivers submit it.",
        )
        for gpus, name in names.RENDER_DEPLOYMENTS.items()
    ),
    Deployed(
        names.INBOX_DEPLOYMENT,
        names.DRIVER_POOL,
        (names.TAG,),
        "Hands every unfinished manifest of a folder to a driver. Made to be scheduled.",
        limit=1,
    ),
    Deployed(
        names.CLEAN_DEPLOYMENT,
        names.DRIVER_POOL,
        (names.TAG,),
        "Removes what is too old or too large: runs, checkpoints, caches. Made to be scheduled.",
        limit=1,
    ),
)

_COPIED: Final = ("entrypoint", "job_variables", "parameter_openapi_schema")
"""Fields that a scheduled deployment shares with the one that it is a copy of, and that a version may change."""


def deploy(
    client: SyncPrefectClient,
    pool_type: PoolType | None = None,
    *,
    check: bool = False,
    several_gpus: bool = False,
) -> list[str]:
    """Bring the server to what the farm needs; returns a line for each change, none where all is right.

    What renders on `several_gpus` need is looked after where it is there, and made only if asked for. New pools are
    of `pool_type`, or process; those there are must be of it, if it is given. With `check` nothing is changed: the
    lines say what would be. Raises StyleTransferError for a pool of another type.
    """
    deployer = Deployer(client, check=check)
    later = () if several_gpus else [pool for pool in names.MADE_LATER if deployer.pool(pool) is None]
    pools = [pool for pool in names.POOLS if pool not in later]
    for pool in pools:
        deployer.settle_pool(pool, pool_type)
        deployer.settle_queues(pool)
    driver = UUID(int=0)
    for deployed in (deployed for deployed in DEPLOYMENTS if deployed.pool in pools):
        settled = deployer.settle_deployment(deployed)
        driver = settled if settled and deployed.name == names.DRIVER_DEPLOYMENT else driver
    deployer.settle_schedules()
    for pool in pools:
        deployer.settle_template(pool)
    containers = deployer.drives_in_containers(pool_type)
    for automation in automations(containers=containers):
        deployer.settle_automation(automation)
    deployer.settle_revival(driver, containers=containers)
    return deployer.changes


class Deployer:
    """Compares one thing after the other with what the server has, and sets it right unless only asked to check."""

    def __init__(self, client: SyncPrefectClient, *, check: bool) -> None:
        self.changes: list[str] = []
        self._client = client
        self._check = check

    def _change(self, line: str, change: Callable[[], object]) -> None:
        self.changes.append(line)
        if not self._check:
            change()

    def settle_pool(self, name: str, pool_type: PoolType | None, *, paused: bool = False) -> None:
        """`paused`: so it is to be, if it is made."""
        found = self.pool(name)
        if found is None:
            new = WorkPoolCreate(
                name=name,
                type=pool_type or "process",
                description=POOL_DESCRIPTIONS[name],
                is_paused=paused,
                base_job_template=job_template(pool_type or "process", name),
            )
            self._change(f"pool {name}: made, of type {new.type}", lambda: self._client.create_work_pool(new))
        elif pool_type not in (None, found.type):
            way = f"remove it first: prefect work-pool delete {name}"
            raise StyleTransferError(f"pool {name} is of type {found.type}, not {pool_type}; {way}")
        elif found.type in POOL_TYPES:
            self._settle_command(found)

    def _settle_command(self, pool: WorkPool) -> None:
        """In containers: what starts a run, where it is ours."""
        wanted = default_command(job_template(cast("PoolType", pool.type), pool.name))
        there = default_command(pool.base_job_template)
        if wanted and wanted != there and str(there).startswith(OUR_COMMAND):
            text = json.dumps(pool.base_job_template)
            template = json.loads(text.replace(json.dumps(there), json.dumps(wanted)))
            change = partial(self._client.update_work_pool, pool.name, WorkPoolUpdate(base_job_template=template))
            self._change(f"pool {pool.name}: command {wanted}, was {there}", change)

    def pool(self, name: str) -> WorkPool | None:
        """None if there is no such."""
        try:
            return self._client.read_work_pool(name)
        except ObjectNotFound:
            return None

    def settle_template(self, name: str) -> None:
        """Replace Prefect's own job template, with which a run chooses how it is started."""
        found = self.pool(name)
        if found is not None and has_prefects_template(found):
            update = WorkPoolUpdate(base_job_template=job_template("process", name))
            line = f"pool {name}: its runs no longer choose command, environment and folder"
            self._change(line, lambda: self._client.update_work_pool(name, update))

    def settle_queues(self, pool: str) -> None:
        """Each queue with its rank. Prefect moves others when one is given a rank, so in the order of ranks."""
        ranks: dict[str, int] = {str(name): rank for name, rank in names.QUEUES.items()}
        ranks[names.DEFAULT_QUEUE] = names.DEFAULT_QUEUE_RANK
        there = self.queues(pool)
        made = [name for name in ranks if name not in there]
        for name in made:
            if name != names.DEFAULT_QUEUE:
                make = partial(self._client.create_work_queue, name, work_pool_name=pool)
                self._change(f"queue {pool}/{name}: made, with priority {ranks[name]}", make)
        if made and not self._check:
            self._rank(pool, ranks)
            return
        for name, queue in there.items():
            if name in ranks and queue.priority != ranks[name]:
                line = f"queue {pool}/{name}: priority {ranks[name]}, was {queue.priority}"
                self._change(line, lambda: self._rank(pool, ranks))

    def queues(self, pool: str) -> dict[str, WorkQueue]:
        try:
            return {queue.name: queue for queue in self._client.read_work_queues(work_pool_name=pool)}
        except ObjectNotFound:
            return {}

    def _rank(self, pool: str, ranks: Mapping[str, int]) -> None:
        for name, rank in sorted(ranks.items(), key=lambda item: item[1]):
            queue = self.queues(pool)[name]
            if queue.priority != rank:
                self._client.update_work_queue(queue.id, priority=rank)

    def settle_deployment(self, deployed: Deployed) -> UUID | None:
        """Its id; None if it is only missed."""
        wanted = wanted_of(deployed)
        found = self.deployment(deployed.name)
        if found is None:
            self._change(f"deployment {deployed.name}: made", lambda: self._make(deployed, wanted))
            found = self.deployment(deployed.name)
            return None if found is None else found.id
        self._renew(deployed.name, found, wanted)
        return found.id

    def settle_schedules(self) -> None:
        """What `styletransfer schedule` copied from these deployments follows them; when and with what it stays."""
        by_flow = {deployed.flow_name: wanted_of(deployed) for deployed in DEPLOYMENTS}
        tagged = DeploymentFilter(tags=DeploymentFilterTags(all_=[names.SCHEDULE_TAG]))
        for found in all_pages(partial(self._client.read_deployments, deployment_filter=tagged)):
            flow = self._client.read_flow(found.flow_id).name
            copied = {name: getattr(by_flow[flow], name) for name in _COPIED}
            self._renew(f"{flow}/{found.name}", found, DeploymentUpdate(**copied))

    def _renew(self, name: str, found: DeploymentResponse, wanted: DeploymentUpdate) -> None:
        different = [field for field in wanted.model_fields_set if getattr(wanted, field) != there_is(found, field)]
        if different:
            line = f"deployment {name}: {', '.join(sorted(different))} changed"
            self._change(line, partial(self._client.update_deployment, found.id, wanted))

    def deployment(self, name: str) -> DeploymentResponse | None:
        try:
            return self._client.read_deployment_by_name(name)
        except ObjectNotFound:
            return None

    def _make(self, deployed: Deployed, wanted: DeploymentUpdate) -> None:
        flow = self._client.create_flow_from_name(deployed.flow_name)
        fields = {name: getattr(wanted, name) for name in wanted.model_fields_set}
        self._client.create_deployment(flow, deployed.deployment_name, **fields)

    def settle_automation(self, wanted: AutomationCore) -> None:
        found = self._client.read_automations_by_name(wanted.name)
        if not found:
            self._change(f"automation {wanted.name!r}: made", lambda: self._client.create_automation(wanted))
        elif meaning(found[0]) != meaning(wanted):
            change = partial(self._client.update_automation, found[0].id, wanted)
            self._change(f"automation {wanted.name!r}: changed", change)

    def drives_in_containers(self, pool_type: PoolType | None) -> bool:
        """`pool_type`: of the pool for drivers, if it is not there yet."""
        pool = self.pool(names.DRIVER_POOL)
        return (pool.type if pool else pool_type) not in (None, "process")

    def settle_revival(self, driver_deployment: UUID, *, containers: bool) -> None:
        """The server begins drivers again where none of our workers does."""
        if containers:
            self.settle_automation(revival(driver_deployment))
            return
        for found in self._client.read_automations_by_name(REVIVAL):
            remove = partial(self._client.delete_automation, found.id)
            self._change(f"automation {REVIVAL!r}: removed; workers for drivers do this", remove)


def meaning(automation: AutomationCore) -> dict[str, Any]:
    """What an automation does, as JSON's types; without what the server adds to it."""
    parts: dict[str, Any] = automation.model_dump(
        mode="json", include={"description", "enabled", "trigger", "actions"}
    )
    parts["trigger"].pop("id", None)
    for key in ("after", "expect", "for_each"):
        parts["trigger"][key] = sorted(parts["trigger"][key])
    return parts


def wanted_of(deployed: Deployed) -> DeploymentUpdate:
    """The fields of a deployment that are ours to say."""
    limit: dict[str, Any] = {"concurrency_limit": deployed.limit}
    if deployed.limit is not None:
        limit["concurrency_options"] = ConcurrencyOptions(collision_strategy=ConcurrencyLimitStrategy.ENQUEUE)
    return DeploymentUpdate(
        version=version(),
        description=deployed.description,
        entrypoint=deployed.entrypoint,
        work_pool_name=deployed.pool,
        work_queue_name="normal",
        tags=list(deployed.tags),
        job_variables={},
        parameter_openapi_schema=parameters_of(deployed.entrypoint).model_dump(),
        enforce_parameter_schema=True,
        **limit,
    )


def there_is(found: DeploymentResponse, name: str) -> object:
    """What the server has for a field of DeploymentUpdate."""
    if name == "concurrency_limit":  # Prefect keeps it elsewhere
        limit = found.global_concurrency_limit
        return None if limit is None else limit.limit
    return getattr(found, name)


def parameters_of(entrypoint: str) -> ParameterSchema:
    """The parameters of the flow of this name, as the dashboard shows and the server checks them."""
    module, _, name = entrypoint.rpartition(".")
    return parameter_schema(getattr(import_module(module), name))
