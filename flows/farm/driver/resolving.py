"""Drivers that ended Failed count as resolved once another one has rendered what failed: red ends by itself."""

from __future__ import annotations

from typing import Final

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.states import Completed

from flows.farm import names, submissions
from styletransfer.records.output_places import OutputPlaces
from styletransfer.records.records import Summary

RESOLVED: Final = "Resolved"
"""Name of the state that a failed driver then has."""


def resolve_former(client: SyncPrefectClient, by: FlowRun, places: OutputPlaces, summary: Summary) -> None:
    """If every pair of the manifest is rendered by now, its failed drivers are resolved by this one."""
    if not summary.counts.keys() <= {"done", "skipped"}:
        return
    tags = [names.TAG, names.DRIVER_TAG, names.output_tag(places)]
    for run in submissions.with_tags(client, tags, states=[StateType.FAILED]):
        why = (run.state.message or "" if run.state else "").partition("\n")[0]
        told = f"{why}; rendered since, by the run {submissions.short_id(by)}"
        client.set_flow_run_state(run.id, Completed(name=RESOLVED, message=told), force=True)
