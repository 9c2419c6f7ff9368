"""Drivers that died: each is begun again in a run that has its name and its tags from the first moment.

Whoever serves drivers looks for such ones now and then. Several may: a driver is begun again once. One that has
crashed too often is left, and people are told.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import PrefectHTTPStatusError
from prefect.states import Crashed, Scheduled

from flows.farm import names, submissions
from flows.farm.messages import tell_wrong
from styletransfer.records.records import now

FORGOTTEN_AFTER: Final = timedelta(days=1)
"""A driver that died longer ago is nobody's expectation any more."""

LEFT: Final = (
    f"it was begun again {names.MOST_REVIVALS} times, which did not help; look for the cause, then submit it again"
)
"""What is said of a driver that stays crashed."""

log = logging.getLogger(__name__)


def revive_lost(client: SyncPrefectClient) -> bool:
    """Begin again every driver that has crashed and has no other in its place; tells whether there was one."""
    runs = submissions.recent(client)
    crashed = to_be_revived(runs)
    for run in crashed:
        log.warning("%s: its driver %s has crashed; it is begun again", run.name, run.id)
        try:
            _revive(client, run)
        except PrefectHTTPStatusError as error:  # others shall be all the same
            log.warning("%s: its driver %s can't be begun again: %s", run.name, run.id, error)
    for run in lost(runs, now()):
        if _is_hopeless(run) and LEFT not in _message(run):
            _leave(client, run)
    return bool(crashed)


def to_be_revived(runs: Sequence[FlowRun]) -> list[FlowRun]:
    """Those of the drivers that have crashed and are to be begun again."""
    return [run for run in lost(runs, now()) if not _is_hopeless(run)]


def lost(runs: Sequence[FlowRun], moment: datetime) -> Iterator[FlowRun]:
    """The last driver of each submission, if it has crashed of late."""
    by_submission: dict[str, list[FlowRun]] = defaultdict(list)
    for run in runs:
        by_submission[submissions.submission_of(run)].append(run)
    for same in by_submission.values():
        if not all(run.state is not None and run.state.is_crashed() for run in same):
            continue
        last = max(same, key=_crashed_at)
        if moment - _crashed_at(last) < FORGOTTEN_AFTER:
            yield last


def _revivals(run: FlowRun) -> int:
    """How often the driver's submission has been begun again by then."""
    return int(run.parameters.get("revivals") or 0)


def _is_hopeless(run: FlowRun) -> bool:
    return _revivals(run) >= names.MOST_REVIVALS


def _message(run: FlowRun) -> str:
    return (run.state.message if run.state else None) or ""


def _leave(client: SyncPrefectClient, run: FlowRun) -> None:
    """Say in its state, here, and to whoever gets messages that this driver is not begun again."""
    log.error("%s: its driver %s has crashed, and %s: %s", run.name, run.id, LEFT, _message(run))
    client.set_flow_run_state(run.id, Crashed(message=f"{LEFT}; {_message(run)}"), force=True)
    tell_wrong(str(run.parameters.get("manifest")), [LEFT, _message(run)])


def _crashed_at(run: FlowRun) -> datetime:
    assert run.state is not None
    return run.state.timestamp


def _revive(client: SyncPrefectClient, run: FlowRun) -> None:
    submission = submissions.submission_of(run)
    deployment = client.read_deployment_by_name(names.DRIVER_DEPLOYMENT)
    client.create_flow_run_from_deployment(
        deployment.id,
        name=run.name,
        parameters={**run.parameters, "submission": submission, "revivals": _revivals(run) + 1},
        state=Scheduled(),
        tags=list(dict.fromkeys([*run.tags, names.submission_tag(submission)])),
        work_queue_name=run.work_queue_name,
        idempotency_key=f"revive:{run.id}",
    )
