"""Where flows try again what a storage or Prefect's server could not give: tasks, and a driver's questions."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, Final, ParamSpec, TypeVar

import httpx
from prefect import Task, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun

from styletransfer.storage.retries import DELAYS_S, JITTER, MINUTE_DELAYS_S, Retries, is_transient

OUTAGE_LIMIT_S: Final = 3600.0
"""How long server or storage may be away before a driver gives up: the renders themselves may outlive it."""

OUTAGE_DELAYS_S: Final = (*MINUTE_DELAYS_S, *[60.0] * 120)
"""More than fit into the limit, however short chance makes them."""

log = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")


def network_task(name: str, run_name: str) -> Callable[[Callable[P, R]], Task[P, R]]:
    """A task that contends for the network only, and is tried again where that can help. Keeps no results."""
    return task(
        name=name,
        task_run_name=run_name,
        retries=len(DELAYS_S),
        retry_delay_seconds=list(DELAYS_S),
        retry_jitter_factor=JITTER,
        retry_condition_fn=may_help,
        cache_policy=NO_CACHE,
        persist_result=False,
    )


def may_help(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    """Whether a step that failed with this state can succeed if tried again: only where storage says so."""
    if not is_transient(state.data):
        return False
    if run.run_count <= task.retries:
        log.warning("%s: %s; trying again", run.name, str(state.data).partition("\n")[0])
    return True


def with_delays(step: Task[P, R], delays: Sequence[float]) -> Task[P, R]:
    """The same task with these delays between its tries."""
    return step.with_options(retries=len(delays), retry_delay_seconds=list(delays))


def may_pass(error: object) -> bool:
    """Whether server or storage may give what was asked for when asked again."""
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code >= 500 or error.response.status_code in (408, 409, 429)
    return isinstance(error, httpx.TransportError) or is_transient(error)


def outage_retries() -> Retries:
    """For what a driver asks: an hour's."""
    return Retries(log.warning, OUTAGE_DELAYS_S, OUTAGE_LIMIT_S, may_pass)
