"""When runs were last heard of, by the server's clock alone: Prefect keeps their heartbeats as events."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import FlowRun
from prefect.events.filters import (
    EventFilter,
    EventNameFilter,
    EventOccurredFilter,
    EventOrder,
    EventResourceFilter,
)

_BEAT: Final = EventNameFilter(name=["prefect.flow-run.heartbeat"])
_RUN: Final = "prefect.flow-run."
_AHEAD: Final = timedelta(days=1)
"""A host's clock may be before the server's: what it says happened later than now has happened all the same."""


def server_time(client: SyncPrefectClient) -> datetime:
    """What the server's clock shows, in whole seconds."""
    return parsedate_to_datetime(client.request("GET", "/health").headers["date"])


def last_heard(
    client: SyncPrefectClient, runs: Iterable[FlowRun], moment: datetime, quiet_s: float
) -> dict[UUID, datetime]:
    """When those of the runs were last heard of that have been silent for so long at the `moment`.

    The last change of a run's state counts, too. The server tells of all runs at once which have beaten lately,
    by their hosts' clocks; only of the others it is asked when it received their last word.
    """
    since = moment - timedelta(seconds=quiet_s)
    old = {run.id: run.state.timestamp for run in runs if run.state and run.state.timestamp <= since}
    beating = _beating(client, since, moment + _AHEAD) if old else set()
    silent = {run_id: changed for run_id, changed in old.items() if f"{_RUN}{run_id}" not in beating}
    heard = {run_id: max(changed, _last_beat(client, run_id) or changed) for run_id, changed in silent.items()}
    return {run_id: last for run_id, last in heard.items() if last <= since}


def _beating(client: SyncPrefectClient, since: datetime, until: datetime) -> set[str]:
    """Resources with a heartbeat that occurred between."""
    between = {"since": since, "until": until}
    chosen = EventFilter(event=_BEAT, occurred=EventOccurredFilter.model_validate(between))
    path: dict[str, Any] = {"countable": "resource"}
    asked = {"filter": chosen.model_dump(mode="json")}
    counts = client.request("POST", "/events/count-by/{countable}", path_params=path, json=asked).json()
    return {str(count["value"]) for count in counts}


def _last_beat(client: SyncPrefectClient, run_id: UUID) -> datetime | None:
    """When the server received the run's latest heartbeat; None if it has none."""
    resource = EventResourceFilter(id=[f"{_RUN}{run_id}"])
    chosen = EventFilter(event=_BEAT, resource=resource, order=EventOrder.DESC)
    events = client.read_events(chosen, limit=1).events
    return events[0].received if events else None
