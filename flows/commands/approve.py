"""`styletransfer approve`: have pairs go on from their previews to their ends."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from flows.commands.farm_server import with_server
from flows.commands.options import DONE, FAILED, Parser, add_only, add_priority
from styletransfer.errors import ManifestError, StyleTransferError

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import FlowRun

    from flows.commands.terminal import Lines
    from flows.farm.approvals import Previewed
    from styletransfer.manifest.pairs import Manifest
    from styletransfer.planning.plan import Plan

USAGE: Final = "RUN [--only ID ...] [options]"

HELP: Final = """\
Has the pairs of a run that was submitted with --preview go on from their
previews to their ends: all whose preview is there, or those of --only. The
others stay held behind theirs, and can be approved later. So can what a
cancelled run has previewed. Once the previews are all there, `status` shows the
run as to be approved.

exit status: 0 submitted (with --wait: all done), or approved before, 1 the
previews are not all there yet, none is there, some pair failed, or the server
can't be reached, 2 there is no such run or pair

examples:
  styletransfer approve harbour
  styletransfer approve harbour --only cat--wave dog--wave
  styletransfer approve harbour --at 22:00 --until 07:00
"""

_SHOWN: Final = 10
"""Ids that are listed of many."""


def add_options(parser: Parser) -> None:
    parser.add_shared("run")
    add_only(parser, lambda _: True)
    add_priority(parser)
    parser.add_argument("--at", metavar="TIME", help="begin then, not now")
    parser.add_shared("--until", "--timezone", "--wait", "--state")


@with_server
def run(options: argparse.Namespace, client: SyncPrefectClient, lines: Lines) -> int:
    """Submit what is approved, and follow the run if asked to; returns the exit status."""
    from flows.commands.following import follow
    from flows.commands.handing_over import submitted, when
    from flows.farm import approvals, submissions

    zone, at, until = when(options)
    former = approvals.find(client, options.run)
    if not submissions.is_over(former):
        state, cancel = submissions.state_text(former), f"styletransfer cancel {former.name}"
        raise StyleTransferError(
            f"{former.name}: its previews are not all there yet, it is {state}; approve it then, or end it to "
            f"approve what is there: {cancel}"
        )
    manifest = submissions.manifest_of(former)
    plan = _plan(former, manifest, lines)
    live = submissions.live(client, plan.places)
    found = approvals.Previewed.of(plan, live)
    asked = approvals.Previewed.of(_chosen(plan, options.only), live)
    for note in _left_out(former, asked):
        lines.note(f"note: {note}")
    if not asked.waiting:
        lines.say(f"{former.name}: nothing waits to be approved")
        return FAILED if asked.without else DONE
    submission = approvals.approval(
        former,
        manifest,
        asked.waiting,
        at=at,
        until=until,
        timezone=options.timezone,
        priority=options.priority,
    )
    lines.say(f"{former.name}: approved: {_listed(asked.waiting)}")
    by = submitted(client, submission, lines, zone=zone)
    approvals.tell_approved(client, former, by, len(asked.waiting), len(found.waiting) - len(asked.waiting))
    for later in filter(submissions.begins_later, live):
        run_id = submissions.short_id(later)
        lines.note(f"note: run {run_id} is to take others later; to leave them: styletransfer cancel {run_id}")
    return follow(client, by, submission.places, lines) if options.wait else DONE


def _plan(former: FlowRun, manifest: Manifest, lines: Lines) -> Plan:
    """How the previews of a run stand, by what is stored. Raises StorageError."""
    from flows.commands.handing_over import SUBMIT_DELAYS_S
    from flows.farm.approvals import preview_px
    from styletransfer.planning.plan import plan_manifest
    from styletransfer.renders.previews import preview_plan
    from styletransfer.storage.retries import Retries

    retries, given = Retries(lines.note, SUBMIT_DELAYS_S), former.parameters
    plan = plan_manifest(manifest, force=bool(given.get("force")), only=given.get("only") or (), retries=retries)
    return retries.call(lambda: preview_plan(plan, preview_px(former) or 1))


def _chosen(plan: Plan, only: Sequence[str]) -> Plan:
    """Of the plan those pairs, or all. Raises ManifestError for those that were not to be previewed."""
    from styletransfer.planning.plan import choose

    pairs, faults = choose(tuple(planned.pair for planned in plan.pairs), only)
    if faults:
        raise ManifestError(faults, f"the previews of {plan.manifest.name}")
    chosen = {pair.id for pair in pairs}
    return replace(plan, pairs=tuple(planned for planned in plan.pairs if planned.id in chosen))


def _left_out(former: FlowRun, asked: Previewed) -> Iterator[str]:
    """Why pairs are not among those that are approved now."""
    from flows.farm.submissions import short_id

    for run in {run.id: run for run in asked.under_way.values()}.values():
        pairs = [pair for pair, by in asked.under_way.items() if by.id == run.id]
        yield f"approved before, and left to the run {short_id(run)}: {_listed(pairs)}"
    if asked.done:
        yield f"done: {_listed(asked.done)}"
    if asked.without:
        ways = f"styletransfer retry {former.name}, for those that failed; else submit it with --preview again"
        yield f"not approved, as no preview is there: {_listed(asked.without)}; to make them: {ways}"


def _listed(ids: Sequence[str]) -> str:
    """`cat--wave, dog--wave and 12 more`."""
    more = f" and {len(ids) - _SHOWN} more" if len(ids) > _SHOWN else ""
    return ", ".join(ids[:_SHOWN]) + more
