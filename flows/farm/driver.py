"""The flow `render-manifest` of the farm, one driver per manifest: plan, look after the renders, sum up."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any, Final
from uuid import UUID

import httpx
from prefect import flow, get_client, get_run_logger
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import FlowRun, State
from prefect.context import FlowRunContext
from prefect.exceptions import TerminationSignal
from prefect.runtime import flow_run
from prefect.states import Cancelled, Completed, Running

from flows.farm import drivers, names
from flows.farm.artifacts import Artifacts
from flows.farm.driver_board import DriverBoard
from flows.farm.driver_watching import DriverWatcher, DriverWatchers, LogStates, SheetStates
from flows.farm.driving import POLL_S, Drive, Wishes
from flows.farm.findings import Findings
from flows.farm.notify import Messenger
from flows.farm.submitting import HELD, Errand, Renders
from flows.farm.times import host_zone, next_clock, parse_clock, parse_zone, shown
from flows.patience import Patience
from flows.render import final_state, make_plan, write_sheet
from flows.sheet import LiveSheet
from flows.watching import Result
from styletransfer import storage
from styletransfer.errors import StorageError
from styletransfer.manifest import Priority
from styletransfer.plan import Plan, patiently
from styletransfer.records import now

OUTAGE_LIMIT_S: Final = 3600.0
"""How long server or storage may be away before a driver gives up: the renders themselves may outlive it."""

LONGEST_PAUSE_S: Final = 60.0
"""Between two tries while something is away."""

SELF_S: Final = 30.0
"""Between two looks at what the server thinks of this driver."""

log = logging.getLogger(__name__)


class ReplacedError(Exception):
    """Another driver has taken this one's place."""


def _run_name() -> str:
    """Until the manifest is read: its file's name."""
    return PurePosixPath(storage.name(str(flow_run.parameters["manifest"]))).stem


@flow(name=names.DRIVER_FLOW, flow_run_name=_run_name, persist_result=False)
def drive_manifest(
    manifest: str,
    only: list[str] | None = None,
    force: bool = False,
    priority: Priority | None = None,
    weights: str | None = None,
    output: str | None = None,
    submission: str | None = None,
    until: str | None = None,
    timezone: str | None = None,
) -> State[Any]:
    """Have what is left to do of the manifest at this URL rendered by the farm's workers.

    `only` keeps the pairs with these ids, `force` renders what is done again; `weights` and `output` replace the
    manifest's, `priority` its pairs'. `submission` names what is submitted: a driver with the same one goes on
    where the last stopped. No pair is begun after `until` (`07:00`, in `timezone`; its next one after the
    submission began). Ends Failed, naming each failed pair and why; Cancelled, named Held, if time was too short.
    """
    with get_client(sync_client=True) as client:
        me = _Self(client, submission)
        plan = make_plan(manifest, only or [], force, weights, output)
        plan.check(troubles=False)
        me.describe(plan)
        end = _end(until, timezone, me.began)
        errand = Errand(
            manifest, me.submission, plan.places, me.began if force else None, weights, output, end, timezone
        )
        watchers = [LogStates(get_run_logger()), *_watchers(end, timezone)]
        board = DriverBoard(Artifacts(str(me.run.id)))
        with _sheet(plan) as sheet, Findings(plan, errand.force_before) as findings, board:
            watcher = DriverWatchers([SheetStates(sheet), board, *watchers])
            drive = Drive(plan, Renders(client, errand), findings, Wishes(me.submission, priority, end), me.began)
            board.live_runs = drive.live_runs
            watcher.planned(plan)
            try:
                keep_driving(drive, lambda: watcher.states(drive.outcomes), me.check)
            except ReplacedError as replaced:
                return Completed(name="Replaced", message=str(replaced))
            except TerminationSignal:
                if me.is_cancelled():
                    drive.cancel()
                    watcher.states(drive.outcomes)
                    sheet.write()
                raise
            watcher.states(drive.outcomes)
            result = Result.of(plan, write_sheet(sheet))
            watcher.ended(result)
        if not drive.board.over:
            return Cancelled(name=HELD, message=f"time was up; {result.counts}")
        return final_state(result, stopped=_was_cancelled(result))


def keep_driving(
    drive: Drive,
    tell: Callable[[], None],
    check: Callable[[], None],
    *,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Take step after step until the drive is over; while server or storage are away, wait for them.

    Raises what a step raises once that has lasted for OUTAGE_LIMIT_S, or at once where waiting can't help.
    """
    last_good, pause = clock(), POLL_S
    while True:
        try:
            check()
            drive.step()
            tell()
            last_good, pause = clock(), POLL_S
            if drive.over:
                return
        except (StorageError, httpx.HTTPError) as error:
            if not may_pass(error) or clock() - last_good > OUTAGE_LIMIT_S:
                raise
            pause = min(LONGEST_PAUSE_S, 2 * pause)
            log.warning("%s; going on in %.0f s", str(error).partition("\n")[0] or type(error).__name__, pause)
        sleep(pause)


def may_pass(error: StorageError | httpx.HTTPError) -> bool:
    """Whether server or storage may give what was asked for when asked again."""
    if isinstance(error, StorageError):
        return error.transient
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code >= 500 or error.response.status_code in (408, 409, 429)
    return isinstance(error, httpx.TransportError)


def _watchers(end: datetime | None, timezone: str | None) -> list[DriverWatcher]:
    """Who else is told: people, by messages."""
    return [Messenger(end, parse_zone(timezone or host_zone()) if end else None)]


@contextmanager
def _sheet(plan: Plan) -> Iterator[LiveSheet]:
    with patiently(lambda: LiveSheet(plan), Patience(log.warning)) as sheet:
        yield sheet


def _end(until: str | None, timezone: str | None, began: datetime) -> datetime | None:
    """The moment after which nothing is begun. Raises TimeError."""
    if until is None:
        return None
    zone = parse_zone(timezone or host_zone())
    end = next_clock(parse_clock(until), zone, began)
    log.info("nothing is begun after %s", shown(end, zone))
    return end


def _was_cancelled(result: Result) -> bool:
    return any(pair.state == "cancelled" for pair in result.pairs)


class _Self:
    """This driver's own flow run, as the server sees it."""

    def __init__(self, client: SyncPrefectClient, submission: str | None) -> None:
        context = FlowRunContext.get()
        assert context is not None
        assert context.flow_run is not None
        self._client = client
        self.run: FlowRun = context.flow_run
        self.submission = submission or str(self.run.id)
        self.began = min([now(), *(run.start_time for run in self._same_submission() if run.start_time)])
        self._checked_at = time.monotonic()

    def _same_submission(self) -> list[FlowRun]:
        tags = [names.DRIVER_TAG, names.submission_tag(self.submission)]
        return drivers.with_tags(self._client, tags)

    def describe(self, plan: Plan) -> None:
        """Name and tag the run after manifest, output and submission."""
        name = plan.manifest.name
        tags = [names.TAG, names.DRIVER_TAG, names.manifest_tag(name), names.output_tag(plan.places)]
        tags = [*self.run.tags, *tags, names.submission_tag(self.submission)]
        self._client.update_flow_run(self.run.id, name=name, tags=list(dict.fromkeys(tags)))

    def check(self) -> None:
        """Every so often: raise ReplacedError if this driver was taken for dead and another was started.

        Without such another it is counted as running again.
        """
        if time.monotonic() - self._checked_at < SELF_S:
            return
        self._checked_at = time.monotonic()
        state = self._client.read_flow_run(self.run.id).state
        if state is None or not state.is_crashed():
            return
        for other in self._same_submission():
            if not drivers.is_over(other) and other.id != self.run.id:
                raise ReplacedError(f"{other.name} ({other.id}) has taken this driver's place")
        self._client.set_flow_run_state(self.run.id, Running(message="it was taken for lost"), force=True)

    def is_cancelled(self) -> bool:
        """Whether a signal means that people want no more renders; else only this process is to end."""
        state = self._client.read_flow_run(UUID(str(self.run.id))).state
        return state is not None and (state.is_cancelling() or state.is_cancelled())
