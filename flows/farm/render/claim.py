"""Which of its pairs a render run may render: those that no other run had before it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from prefect import get_client
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import FlowRun

from flows.farm import names, submissions


def claim(run_id: str, pairs: Sequence[str]) -> list[str]:
    """Those of a run's pairs that are its own: none, if it was over before, and its driver has gone on without it.

    Two drivers can submit the same pair at the same moment. The runs settle it between them: the one that was
    submitted first keeps the pair. As each asks after it was submitted itself, only one can find that it is.
    """
    with get_client(sync_client=True) as client:
        if _was_over(client, run_id):
            return []
        taken = _taken_before(client, run_id)
    return [pair for pair in pairs if pair not in taken]


def _was_over(client: SyncPrefectClient, run_id: str) -> bool:
    """Given up, or at its end, and run again by its button in the dashboard."""
    return any(state.is_final() for state in client.read_flow_run_states(UUID(run_id)))


def _taken_before(client: SyncPrefectClient, run_id: str) -> set[str]:
    """Pairs of live runs of the same output that were submitted before this one."""
    own = client.read_flow_run(UUID(run_id))
    tag = next((tag for tag in own.tags if tag.startswith(names.OUTPUT_TAG)), None)
    if tag is None:  # not submitted by a driver
        return set()
    others = submissions.with_tags(client, [names.RENDER_TAG, tag], states=submissions.LIVE)
    before = [run for run in others if _order(run) < _order(own)]
    return {pair for run in before for pair in run.parameters.get("pairs") or ()}


def _order(run: FlowRun) -> tuple[datetime, str]:
    assert run.created is not None
    return (run.created, str(run.id))
