"""Deployments with a cron schedule: made, changed, listed, removed. Each is a copy of one that `deploy` made."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final, Literal

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    DeploymentFilterTags,
    FlowRunFilter,
    FlowRunFilterStateType,
)
from prefect.client.schemas.filters import FlowRunFilterState as StateFilter
from prefect.client.schemas.objects import ConcurrencyLimitStrategy, ConcurrencyOptions, StateType
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import CronSchedule
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import ObjectNotFound
from pydantic import ValidationError

from flows.farm import names
from flows.farm.submissions import all_pages, deployed
from flows.farm.times import TimeError
from styletransfer import storage
from styletransfer.manifest.names import slug

_LONGEST_NAME_BYTES: Final = 60

Change = Literal["created", "changed", "unchanged"]


@dataclass(frozen=True)
class Schedule:
    """A deployment of its own: a copy of `base`, run with these parameters whenever the cron says."""

    name: str
    base: str
    cron: CronSchedule
    parameters: dict[str, Any]
    description: str

    @property
    def full_name(self) -> str:
        return f"{self.base.partition('/')[0]}/{self.name}"


def parse_cron(cron: str, timezone: str) -> CronSchedule:
    """As Prefect has it. Raises TimeError for what is no cron."""
    try:
        return CronSchedule(cron=cron, timezone=timezone)
    except ValidationError as error:
        raise TimeError(
            f"--cron {cron!r} is not understood; write minute, hour, day of the month, month, day of the week, "
            "like '0 1 * * *' for one o'clock each night"
        ) from error


def name_for(source: str) -> str:
    """Name of the deployment for a manifest or a folder: the same for the same one."""
    plain = slug(storage.name(source.rstrip("/")) or storage.public(source), _LONGEST_NAME_BYTES)
    return f"schedule-{plain}-{hashlib.sha256(source.encode()).hexdigest()[:6]}"


def put(client: SyncPrefectClient, schedule: Schedule) -> Change:
    """Make the deployment as the schedule has it; what it was before is replaced."""
    before = _read(client, schedule.full_name)
    if before is not None and _same(before, schedule):
        return "unchanged"
    with deployed():
        base = client.read_deployment_by_name(schedule.base)
    if before is not None:  # its schedules would stay beside the new ones
        client.delete_deployment(before.id)
    client.create_deployment(
        flow_id=base.flow_id,
        name=schedule.name,
        entrypoint=base.entrypoint,
        path=base.path,
        pull_steps=base.pull_steps,
        job_variables=base.job_variables,
        work_pool_name=base.work_pool_name,
        work_queue_name=base.work_queue_name,
        parameter_openapi_schema=base.parameter_openapi_schema,
        enforce_parameter_schema=base.enforce_parameter_schema,
        parameters={**base.parameters, **schedule.parameters},
        description=schedule.description,
        tags=[*dict.fromkeys([*base.tags, names.TAG, names.SCHEDULE_TAG])],
        schedules=[DeploymentScheduleCreate(schedule=schedule.cron)],
        # A round that is still going on is not joined by another.
        concurrency_limit=1,
        concurrency_options=ConcurrencyOptions(collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW),
    )
    return "created" if before is None else "changed"


def _read(client: SyncPrefectClient, full_name: str) -> DeploymentResponse | None:
    try:
        return client.read_deployment_by_name(full_name)
    except ObjectNotFound:
        return None


def _same(deployment: DeploymentResponse, schedule: Schedule) -> bool:
    wanted: dict[str, Any] = {**deployment.parameters, **schedule.parameters}
    return crons(deployment) == [(schedule.cron.cron, schedule.cron.timezone)] and deployment.parameters == wanted


def crons(deployment: DeploymentResponse) -> list[tuple[str, str]]:
    """Cron and time zone of its active schedules."""
    found = [each.schedule for each in deployment.schedules if each.active]
    return [(each.cron, each.timezone or "UTC") for each in found if isinstance(each, CronSchedule)]


def remove(client: SyncPrefectClient, full_name: str) -> bool:
    """Remove the deployment, and the runs that it has scheduled; False where there is none."""
    found = _read(client, full_name)
    if found is not None:
        client.delete_deployment(found.id)
    return found is not None


def read_all(client: SyncPrefectClient) -> list[DeploymentResponse]:
    """Every deployment that was made here."""
    tagged = DeploymentFilter(tags=DeploymentFilterTags(all_=[names.SCHEDULE_TAG]))
    return list(all_pages(partial(client.read_deployments, deployment_filter=tagged)))


def next_run(client: SyncPrefectClient, deployment: DeploymentResponse) -> datetime | None:
    """When the server will run it next; None until its scheduler has seen the schedule."""
    runs = client.read_flow_runs(
        deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[deployment.id])),
        flow_run_filter=FlowRunFilter(state=StateFilter(type=FlowRunFilterStateType(any_=[StateType.SCHEDULED]))),
        sort=FlowRunSort.EXPECTED_START_TIME_ASC,
        limit=1,
    )
    return runs[0].expected_start_time if runs else None


def await_next_run(
    client: SyncPrefectClient, full_name: str, patience_s: float = 90, sleep: Callable[[float], None] = time.sleep
) -> datetime | None:
    """When it runs next, as soon as the server's scheduler has seen it; None if it does not in time."""
    end = time.monotonic() + patience_s
    while True:
        deployment = _read(client, full_name)
        found = next_run(client, deployment) if deployment else None
        if found is not None or time.monotonic() > end:
            return found
        sleep(1)
