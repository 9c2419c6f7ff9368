"""Previews that wait for people: what they approve is submitted anew, and goes on from where its preview stands.

Which previews wait is told by storage, so that nothing else has to be kept: a run that was cancelled can be
approved like any other.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import FlowRun, State
from prefect.states import Completed

from flows.farm import submissions
from flows.farm.submissions import NoSuchRunError, Submission
from flows.farm.times import shown, zone_of
from styletransfer.manifest.pairs import Manifest
from styletransfer.manifest.schema import Priority
from styletransfer.planning.plan import Plan
from styletransfer.records.output_places import OutputPlaces

TO_BE_APPROVED: Final = "To be approved"
"""Name of the final state of a driver whose previews are there."""

APPROVED: Final = "Approved"
"""The same, once all of them are approved, or where they were beforehand."""


@dataclass(frozen=True)
class Previewed:
    """How pairs stand that were to be previewed, by ids. `waiting`: their previews wait for approval; `under_way`:
    approved, with the run that renders them; `done`: to their end; `without`: no preview is there."""

    waiting: tuple[str, ...]
    under_way: dict[str, FlowRun]
    done: tuple[str, ...]
    without: tuple[str, ...]

    @classmethod
    def of(cls, plan: Plan, live: Iterable[FlowRun]) -> Previewed:
        """From a plan of previews, and the drivers of the same output that are waiting or at work."""
        rendering = [run for run in live if preview_px(run) is None and not submissions.begins_later(run)]
        under_way = {pair.id: run for run in rendering for pair in plan.having("held") if _asks_for(run, pair.id)}
        waiting = tuple(pair.id for pair in plan.having("held") if pair.id not in under_way)
        without = tuple(pair.id for pair in plan.pairs if pair.state in ("queued", "failed"))
        return cls(waiting, under_way, tuple(pair.id for pair in plan.having("skipped")), without)


def preview_px(run: FlowRun) -> int | None:
    """How far the driver's pairs are rendered, where it was submitted for previews."""
    px: int | None = run.parameters.get("preview")
    return px


def _asks_for(run: FlowRun, pair_id: str) -> bool:
    only = run.parameters.get("only")
    return not only or pair_id in only


def find(client: SyncPrefectClient, asked: str) -> FlowRun:
    """The driver of previews that is meant, as `submissions.find`; by a manifest's name also behind later ones that
    rendered what was approved. Raises NoSuchRunError."""
    found = submissions.find(client, asked)
    if preview_px(found) is not None:
        return found
    runs = submissions.submissions(submissions.recent(client)) if found.name == asked else []
    for run in runs:
        if run.name == asked and preview_px(run) is not None:
            return run
    submitted = f"run {submissions.short_id(found)} was submitted without --preview"
    raise NoSuchRunError(f"{found.name}: {submitted}: there is nothing to approve")


def approval(
    former: FlowRun,
    manifest: Manifest,
    pairs: tuple[str, ...],
    *,
    at: datetime | None = None,
    until: str | None = None,
    timezone: str | None = None,
    priority: Priority | None = None,
) -> Submission:
    """What renders these pairs of a driver of previews to their ends: as that was submitted, but for what is
    given."""
    given = former.parameters
    return Submission(
        manifest=given["manifest"],
        places=OutputPlaces(manifest.output, manifest.name),
        queue=manifest.priority,
        priority=priority or given.get("priority"),
        max_failed=given.get("max_failed"),
        only=pairs,
        force=bool(given.get("force")),
        at=at,
        until=until or given.get("until"),
        timezone=timezone or given.get("timezone"),
    )


def go_on(
    client: SyncPrefectClient, former: FlowRun, manifest: Manifest, pairs: tuple[str, ...], at: datetime | None
) -> str:
    """How these pairs, whose previews a driver has made, go on, in words; with `at` they are submitted, once, to
    begin then."""
    if at is None:
        return f"to go on from the previews: {how_to_approve(manifest.name)}"
    what = f"approved {submissions.submission_of(former)} {sorted(pairs)}"  # run once more it may have made others
    key = uuid.uuid5(uuid.NAMESPACE_OID, what).hex
    run = submissions.submit(client, approval(former, manifest, pairs, at=at), key)
    zone = zone_of(former.parameters.get("timezone"))
    begins = f"they go on from their previews {shown(at, zone)}, by the run {submissions.short_id(run)}"
    return f"{begins}; sooner: {how_to_approve(manifest.name)}"


def how_to_approve(manifest: str) -> str:
    return f"styletransfer approve {manifest} [--only ID ...]"


def tell_approved(client: SyncPrefectClient, former: FlowRun, by: FlowRun, pairs: int, left: int) -> None:
    """Have the state of a driver that waits for approval say that it has some."""
    if former.state is None or former.state.name != TO_BE_APPROVED:
        return
    waiting, how = (f", {left} wait", f"; to approve them: {how_to_approve(former.name)}") if left else ("", "")
    message = f"{pairs} approved{waiting}; rendered by the run {submissions.short_id(by)}{how}"
    state: State[Any] = Completed(name=TO_BE_APPROVED if left else APPROVED, message=message)
    client.set_flow_run_state(former.id, state, force=True)
