"""Steps that use the network: tasks that are tried again where that can help."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar

from prefect import Task, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun

from flows.pairs.patience import DELAYS_S, JITTER
from styletransfer.errors import StorageError, WeightsError

log = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")


def network_task(name: str, run_name: str) -> Callable[[Callable[P, R]], Task[P, R]]:
    """A task that contends for the network only, and is tried again as `may_pass` says. Keeps no results."""
    return task(
        name=name,
        task_run_name=run_name,
        retries=len(DELAYS_S),
        retry_delay_seconds=DELAYS_S,
        retry_jitter_factor=JITTER,
        retry_condition_fn=may_pass,
        cache_policy=NO_CACHE,
        persist_result=False,
    )


def may_pass(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    """Whether a step that failed with this state can succeed if tried again: only where storage says so."""
    if not is_transient(state.data):
        return False
    if run.run_count <= task.retries:
        log.warning("%s: %s; trying again", run.name, str(state.data).partition("\n")[0])
    return True


def is_transient(error: object) -> bool:
    """Whether a storage says of this error that it may pass."""
    return isinstance(error, StorageError | WeightsError) and error.transient


def with_patience(step: Task[P, R], delays: Sequence[float]) -> Task[P, R]:
    """The same task with these delays between its tries."""
    return step.with_options(retries=len(delays), retry_delay_seconds=list(delays))
