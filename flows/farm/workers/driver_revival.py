"""Drivers that died and were not begun again: the server's automation sees a crash only if it is up at that moment.

So whoever serves drivers looks for such ones now and then. Several may: a driver is begun again once. One that
has crashed too often is left, and people are told.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from prefect import get_client
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import FlowRun
from prefect.states import Crashed, Scheduled

from flows.farm import names, submissions
from flows.farm.messages import tell_wrong
from styletransfer.renders.records import now

EVERY_S: Final = 60.0
"""Between two looks."""

AUTOMATION_S: Final = 60.0
"""What the automation is given to begin a driver again."""

FORGOTTEN_AFTER: Final = timedelta(days=1)
"""A driver that died longer ago is nobody's expectation any more."""

LEFT: Final = (
    f"it was begun again {names.MOST_REVIVALS} times, which did not help; look for the cause, then submit it again"
)
"""What is said of a driver that stays crashed."""

log = logging.getLogger(__name__)


def revive_lost() -> None:
    """Begin again every driver that has crashed, and in whose place there is no other."""
    with get_client(sync_client=True) as client:
        for run in lost(submissions.recent(client), now()):
            if _revivals(run) < names.MOST_REVIVALS:
                log.warning("%s: its driver %s has crashed; it is begun again", run.name, run.id)
                _revive(client, run)
            elif LEFT not in _message(run):
                _leave(client, run)


def lost(runs: list[FlowRun], moment: datetime) -> Iterator[FlowRun]:
    """The last driver of each submission, if it has crashed some time ago."""
    by_submission: dict[str, list[FlowRun]] = defaultdict(list)
    for run in runs:
        by_submission[submissions.submission_of(run)].append(run)
    for same in by_submission.values():
        if not all(run.state is not None and run.state.is_crashed() for run in same):
            continue
        last = max(same, key=_crashed_at)
        since = moment - _crashed_at(last)
        if timedelta(seconds=AUTOMATION_S) < since < FORGOTTEN_AFTER:
            yield last


def _revivals(run: FlowRun) -> int:
    """How often the driver's submission has been begun again by then."""
    return int(run.parameters.get("revivals") or 0)


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
