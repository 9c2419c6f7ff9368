"""Runs that are lost, found by looking: the automation that crashes them forgets over an absence of the server.

A worker for drivers looks now and then. A run is lost when nothing has been heard of it for long, by the server's
clock, while the server was there to hear; and sooner where it was this host's and its process is gone. On a
farm of one host, which has lost its power perhaps, render runs do not wait for their driver: they begin again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import psutil
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.exceptions import ObjectNotFound
from prefect.states import AwaitingRetry, Cancelled, Crashed

from flows.farm import names, submissions
from flows.farm.heartbeats import last_heard, server_time
from flows.farm.live_workers import container_pools
from flows.farm.names import WORKER_LABEL, Place
from flows.farm.times import duration_text
from flows.server.environment import HEARTBEAT_S

log = logging.getLogger(__name__)

MISSED_S: Final = 60
"""Workers look every 30 s. Where this has passed between two looks, whoever looks was away, or stood still."""

GRACE_S: Final = HEARTBEAT_S + 10
"""Within this, whoever lives is heard of, once the server is there."""

STARTING_S: Final = 10
"""A run that a worker has taken has a process within this."""

RUN_VARIABLE: Final = "PREFECT__FLOW_RUN_ID"
"""Environment variable of a run's process, by which Prefect tells it its id."""

_TAKEN: Final = (StateType.PENDING, StateType.RUNNING, StateType.CANCELLING)


class LostRuns:
    """`host`: this one's, as its workers' names begin; `alone`: no other host serves this server."""

    def __init__(self, host: str, *, alone: bool) -> None:
        self._host, self._alone = host, alone
        self._looked: datetime | None = None
        self._there_since: datetime | None = None

    def server_was_away(self) -> None:
        """What it has not heard of since may live all the same."""
        self._looked = None

    def look(self, client: SyncPrefectClient) -> None:
        """Give up what is lost. Raises the client's errors."""
        moment = server_time(client)
        if self._looked is None or moment - self._looked > timedelta(seconds=MISSED_S):
            self._there_since = moment
        self._looked = moment
        runs = submissions.with_tags(client, [names.TAG], states=_TAKEN)
        gone = self._gone(client, runs, moment)
        lost = dict(gone)
        if self._there_since is not None and moment - self._there_since >= timedelta(seconds=GRACE_S):
            lost |= _silent(client, runs, moment)
        drivers = [run for run in runs if names.DRIVER_TAG in run.tags and _is_cancelling(run)]
        called_off = {names.submission_tag(submissions.submission_of(driver)) for driver in drivers}
        for run in runs:
            if run.id in lost:
                again = self._alone and run.id in gone and called_off.isdisjoint(run.tags)
                _give_up(client, run, _end(run, lost[run.id], again=again))

    def _gone(self, client: SyncPrefectClient, runs: Iterable[FlowRun], moment: datetime) -> dict[UUID, str]:
        """Why runs of this host are lost: they have no process here. Another host may have its name, and beats."""
        begun = moment - timedelta(seconds=STARTING_S)
        ours = [run for run in runs if _host(run) == self._host and run.state and run.state.timestamp < begun]
        here = _run_processes() if ours else set()
        gone = [run for run in ours if str(run.id) not in here]
        silent = {run.id for run in gone} if self._alone else last_heard(client, gone, moment, GRACE_S).keys()
        return dict.fromkeys(silent, f"its process on {self._host} is gone")


def _silent(client: SyncPrefectClient, runs: Sequence[FlowRun], moment: datetime) -> dict[UUID, str]:
    """Why runs of any host are lost: they are not heard of, or their workers took them and they never began."""
    pending = [run for run in runs if run.state and run.state.is_pending()]
    begun = [run for run in runs if run not in pending]
    containers = container_pools(client) if pending else ()
    pulling = [run for run in pending if run.work_pool_name in containers]
    starting = [run for run in pending if run not in pulling]
    periods = (
        (begun, names.LOST_AFTER_S),
        (starting, names.PENDING_LIMIT_S),
        (pulling, names.CONTAINER_LIMIT_S),
    )
    return {
        run_id: f"nothing was heard of it for {duration_text((moment - heard).total_seconds())}"
        for some, after_s in periods
        for run_id, heard in last_heard(client, some, moment, after_s).items()
    }


def _host(run: FlowRun) -> str:
    """The host whose worker took the run."""
    return Place.of_worker(str(run.labels.get(WORKER_LABEL, ""))).host


def _run_processes() -> set[str]:
    """Ids of the runs that have a process on this host."""
    found = set()
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE:
                found.add(process.environ().get(RUN_VARIABLE, ""))
    return found


def _is_cancelling(run: FlowRun) -> bool:
    return run.state is not None and run.state.is_cancelling()


def _end(run: FlowRun, reason: str, *, again: bool) -> State[Any]:
    """How it ends; or `again`, a few times, how a render run waits: before those that were submitted later.

    One that had not begun may have a process that is about to: it finds that its run is over.
    """
    if _is_cancelling(run):
        return Cancelled(message=reason)
    begun = run.state is not None and run.state.is_running()
    if again and begun and names.RENDER_TAG in run.tags and run.run_count < names.ATTEMPTS:
        return AwaitingRetry(scheduled_time=run.expected_start_time, message=reason)
    return Crashed(message=reason)


def _give_up(client: SyncPrefectClient, run: FlowRun, end: State[Any]) -> None:
    """One that has ended meanwhile stays as it ended."""
    log.warning("%s: its run %s is lost: %s", run.name, run.id, end.message)
    with suppress(ObjectNotFound):  # somebody has deleted it
        current = client.read_flow_run(run.id).state
        if current is not None and not current.is_final():
            client.set_flow_run_state(run.id, end)
