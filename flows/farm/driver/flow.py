"""The flow `render-manifest` of the farm, one driver per manifest: plan, look after the renders, sum up."""

from __future__ import annotations

import itertools
import logging
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import PurePosixPath
from typing import Annotated, Any, Final

from prefect import flow, get_client, get_run_logger
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import State
from prefect.exceptions import TerminationSignal
from prefect.runtime import flow_run
from prefect.states import Cancelled, Completed, Failed
from pydantic import Field

from flows.farm import manifest_copy, names, submissions
from flows.farm.approvals import APPROVED, TO_BE_APPROVED, go_on
from flows.farm.artifacts import Artifacts
from flows.farm.driver.driver_listeners import DriverListeners, LogStates, SheetStates
from flows.farm.driver.driver_progress import DriverProgress
from flows.farm.driver.driver_run import CalledOffError, DriverRun, ReplacedError
from flows.farm.driver.forecast import Messenger
from flows.farm.driver.pairs_table import PairsTable
from flows.farm.driver.reconciler import Reconciler
from flows.farm.driver.render_runs import RenderRequest, RenderRuns
from flows.farm.driver.resolving import resolve_former
from flows.farm.driver.runs_so_far import RunsSoFar
from flows.farm.driver.stored_results import StoredResults
from flows.farm.messages import tell_wrong
from flows.farm.names import Place
from flows.farm.run_process import outlive_suspension, outlive_worker
from flows.farm.times import next_clock, parse_clock, shown, zone_of
from flows.pairs.flow import final_state
from flows.pairs.listeners import Result
from flows.pairs.retrying import outage_retries
from flows.pairs.sheet import LiveSheet
from flows.pairs.steps import first_scales, make_plan, write_sheet
from styletransfer import storage
from styletransfer.errors import StorageError, StyleTransferError
from styletransfer.manifest.max_failed import MaxFailed
from styletransfer.manifest.schema import Priority
from styletransfer.planning.plan import Plan, PlannedPair
from styletransfer.renders.same_picture import take_over
from styletransfer.storage.retries import Retries

PLANNED_AGAIN: Final = 3
"""Plans that are made before some pairs are rendered without others whose storage is away: over ten minutes."""

WRITE_S: Final = 10.0
"""Least seconds between two writes to the dashboard."""

log = logging.getLogger(__name__)


def _run_name() -> str:
    """Until the manifest is read: its file's name."""
    return PurePosixPath(storage.name(str(flow_run.parameters["manifest"]))).stem


@flow(name=names.DRIVER_FLOW, flow_run_name=_run_name, persist_result=False)
def drive_manifest(
    manifest: str,
    only: list[str] | None = None,
    force: bool = False,
    priority: Priority | None = None,
    max_failed: MaxFailed | None = None,
    weights: str | None = None,
    output: str | None = None,
    submission: str | None = None,
    until: str | None = None,
    timezone: str | None = None,
    preview: int | None = None,
    approve_at: datetime | None = None,
    revivals: Annotated[int, Field(ge=0, le=names.MOST_REVIVALS)] = 0,  # noqa: ARG001  (for who begins it again)
) -> State[Any]:
    """Have what is left to do of the manifest at this URL rendered by the farm's workers.

    `only` keeps the pairs with these ids, `force` renders what is done again; `weights` and `output` replace the
    manifest's, `priority` its pairs', `max_failed` its limit. `submission` names what is submitted: a driver with
    the same one goes on where the last stopped. No pair is begun after `until` (`07:00`, in `timezone`; its next
    one after the submission began). With `preview` no more is rendered than each pair's scales up to so many px;
    then pairs wait to be approved, or are submitted to go on at the moment `approve_at`. `revivals`: how often it
    was begun again for one that crashed. Ends Failed, naming each failed pair and why; Cancelled, named Held, if
    time was too short.
    """
    outlive_worker()
    outlive_suspension()
    with get_client(sync_client=True) as client:
        try:
            me = DriverRun(client, submission)
            plan = _planned(manifest, only or [], force, weights, output)
            plan = outage_retries().call(partial(first_scales, plan, preview))
            me.describe(plan)
            end = _end(until, timezone, me.began)
            before = me.began if force else None
            request = RenderRequest(
                _for_renders(plan),
                me.submission,
                plan.places,
                before,
                until=end,
                timezone=timezone,
                priority=priority,
                max_failed=max_failed,
                preview=preview,
            )
            return look_after(plan, request, me, client, approve_at)
        except ReplacedError as replaced:
            return Completed(name=submissions.REPLACED, message=str(replaced))
        except CalledOffError as called_off:
            return Cancelled(message=str(called_off))


def _planned(location: str, only: list[str], force: bool, weights: str | None, output: str | None) -> Plan:
    """The plan, without faults of the manifest; people are told of those, as no message at an end will come.

    What has gone wrong with single pairs since they were submitted fails these alone.
    """
    try:
        plan = plan_patiently(lambda: make_plan(location, only, force, weights, output, True))
        plan.check_whole()
    except StyleTransferError as error:
        tell_wrong(location, str(error).splitlines())
        raise
    if not force:
        plan = outage_retries().call(partial(take_over, plan))
    return replace(plan, pairs=tuple(map(_seen_here, plan.pairs)))


def _seen_here(planned: PlannedPair) -> PlannedPair:
    """A pair that failed by what another host may find otherwise says where that was."""
    if not planned.of_host:
        return planned
    place = Place(socket.gethostname(), os.environ.get(names.SLOT_VARIABLE, ""))
    return replace(planned, reason=f"{planned.reason} (on {place})")


def _for_renders(plan: Plan) -> str:
    """URL of a copy with what was found of the inputs, so that render runs need not look at them again."""
    return outage_retries().call(lambda: manifest_copy.store(plan.manifest, plan.inputs))


class _PartlyPlannedError(StorageError):
    """A storage keeps some pairs from being planned."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(str(plan.troubles[0]), transient=True)
        self.plan = plan


def plan_patiently(make: Callable[[], Plan], retries: Retries | None = None) -> Plan:
    """What `make` gives; made again as long as storage is away, for the plan's own retries end in minutes.

    Where a storage keeps single pairs from being planned, the others wait for a few tries. Raises StorageError.
    """
    tries = itertools.count(1)

    def attempt() -> Plan:
        number, plan = next(tries), make()
        if plan.troubles and not plan.faults and not (plan.having("queued") and number >= PLANNED_AGAIN):
            raise _PartlyPlannedError(plan)
        return plan

    try:
        return (retries or outage_retries()).call(attempt)
    except _PartlyPlannedError as error:
        return error.plan  # whose pairs tell why they fail


def look_after(
    plan: Plan,
    request: RenderRequest,
    me: DriverRun,
    client: SyncPrefectClient,
    approve_at: datetime | None = None,
) -> State[Any]:
    """Have the plan's pairs rendered, show how they stand, and sum up. Raises ReplacedError."""
    artifacts = Artifacts(str(me.run.id), WRITE_S)
    table, so_far = PairsTable(artifacts), RunsSoFar(plan.places)
    with _sheet(plan, so_far) as sheet, StoredResults(plan, request.force_before) as results, table:
        messenger = Messenger(request.until, zone_of(request.timezone), me.began)
        logged, progress = LogStates(get_run_logger()), DriverProgress(artifacts)
        listener = DriverListeners([SheetStates(sheet), logged, progress, table, messenger])
        reconciler = Reconciler(plan, RenderRuns(client, request), results, request, me.began)
        table.live_runs = reconciler.live_runs
        so_far.runs, so_far.progress = reconciler.running, lambda: progress.told
        listener.planned(plan)
        try:
            keep_driving(reconciler, lambda: listener.states(reconciler.outcomes), partial(_heed, me, reconciler))
        except TerminationSignal:
            if me.is_cancelled():
                reconciler.cancel()
                listener.states(reconciler.outcomes)
                sheet.write()
            raise
        sheet.farm = reconciler.report(progress.forecast)
        summary = outage_retries().call(lambda: write_sheet(sheet))
        outage_retries().call(lambda: resolve_former(client, me.run, plan.places, summary))
        result = replace(Result.of(plan, summary), given_up=reconciler.given_up)
        if result.previewed:
            through = reconciler.board.over and not reconciler.given_up
            at = approve_at if through else None
            onward = partial(go_on, client, me.run, plan.manifest, result.previewed, at)
            result = replace(result, onward=outage_retries().call(onward))
        listener.ended(result)
    if not reconciler.board.over:
        return Cancelled(name=names.HELD, message=f"time was up; {result.counts}")
    if reconciler.given_up:
        return Failed(message="\n".join([f"{reconciler.given_up}; {result.counts}", *result.failures]))
    state = final_state(result, stopped=any(pair.state == "cancelled" for pair in result.pairs))
    if not (result.onward and state.is_completed()):
        return state
    return state.model_copy(update={"name": APPROVED if approve_at else TO_BE_APPROVED})


def _heed(me: DriverRun, reconciler: Reconciler) -> None:
    """Look what people ask for. Raises ReplacedError."""
    me.check()
    reconciler.orders = me.orders


def keep_driving(reconciler: Reconciler, tell: Callable[[], None], check: Callable[[], None]) -> None:
    """Take step after step until the drive is over; while server or storage are away, wait for them.

    Raises what a step raises where waiting can't help, or has not.
    """

    def step() -> None:
        check()
        reconciler.step()

    while True:
        outage_retries().call(step)
        tell()
        if reconciler.over:
            return
        time.sleep(reconciler.pause_s)


@contextmanager
def _sheet(plan: Plan, so_far: RunsSoFar) -> Iterator[LiveSheet]:
    with outage_retries().call(lambda: LiveSheet(plan, under_way=so_far.under_way)) as sheet:
        yield sheet


def _end(until: str | None, timezone: str | None, began: datetime) -> datetime | None:
    """The moment after which nothing is begun. Raises TimeError."""
    if until is None:
        return None
    zone = zone_of(timezone)
    end = next_clock(parse_clock(until), zone, began)
    get_run_logger().info("nothing is begun after %s", shown(end, zone))
    return end
