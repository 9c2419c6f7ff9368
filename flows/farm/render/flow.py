"""The flow `render_pairs`: one render run of the farm, a group of pairs rendered in one slot.

What it leaves in storage tells how each pair stands: a record where it is done, else a note. A run that is
stopped, by SIGTERM or by its time window, ends each render after the iteration in hand, with a checkpoint: the
next run that gets the pair goes on from there.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.context import FlowRunContext
from prefect.exceptions import CancelledRun, FailedRun, TerminationSignal
from prefect.states import Cancelled

from flows.farm.names import HELD, RENDER_FLOW, GpuCount
from flows.farm.render.claim import claim
from flows.farm.render.pairs_run import Assignment, PairsRun
from flows.farm.render.stopping import why_stopped
from flows.farm.run_process import outlive_suspension, outlive_worker
from flows.farm.times import next_clock, parse_clock, zone_of
from flows.pairs.steps import first_scales, make_plan
from styletransfer.records.records import now


@flow(name=RENDER_FLOW, persist_result=False)
def render_pairs(
    manifest: str,
    pairs: list[str],
    submission: str,
    gpus: GpuCount = 1,
    attempts: dict[str, int] | None = None,
    force_before: datetime | None = None,
    weights: str | None = None,
    output: str | None = None,
    until: str | None = None,
    timezone: str | None = None,
    preview: int | None = None,
) -> State[Any]:
    """Render those of the manifest's pairs that are not done, on this process's devices.

    `until`: ISO 8601, or a time of day (`07:00`), its next one in `timezone` after the run was submitted. With
    `preview` no more is rendered than each pair's scales up to so many px. Ends Completed; Failed, naming each
    failed pair; Cancelled, named Held where pairs are handed back.
    """
    logging.getLogger("prefect.flow_runs").addFilter(_no_traceback)
    outlive_worker()
    outlive_suspension()
    logging.getLogger("styletransfer").setLevel(logging.INFO)  # tells where a render goes on
    zone = zone_of(timezone)
    end = _moment(until, zone, _submitted()) if until else None
    assignment = Assignment(submission, _run_id(), gpus, attempts or {}, force_before, end, zone)
    run = PairsRun(assignment)
    try:
        pairs = claim(assignment.run, pairs)
        if not pairs:
            way = "what failed is rendered once more by `styletransfer retry`, or Retry on the manifest's own run"
            return Cancelled(name=HELD, message=f"all its pairs are left to other runs; {way}")
        plan = make_plan(manifest, pairs, force_before is not None, weights, output, True)
        run.render(first_scales(plan, preview))
    except (TerminationSignal, KeyboardInterrupt):  # before or after rendering
        run.stopped = run.stopped or why_stopped(assignment.run)
    return run.final_state(pairs)


def _no_traceback(record: logging.LogRecord) -> bool:
    """Prefect logs a traceback of its own when a flow returns a state such as Held; the state says it better."""
    return not (record.exc_info and isinstance(record.exc_info[1], CancelledRun | FailedRun))


def _run_id() -> str:
    context = FlowRunContext.get()
    return str(context.flow_run.id) if context and context.flow_run else ""


def _submitted() -> datetime:
    context = FlowRunContext.get()
    created = context.flow_run.created if context and context.flow_run else None
    return created or now()


def _moment(until: str, zone: ZoneInfo, since: datetime) -> datetime:
    """The end of the run's time. Raises TimeError."""
    with suppress(ValueError):
        moment = datetime.fromisoformat(until)
        return moment if moment.tzinfo else moment.replace(tzinfo=zone)
    return next_clock(parse_clock(until), zone, since)
