"""`styletransfer render`: the flow, right here, with a display."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from types import FrameType
from typing import Any

from flows.commands import main
from flows.commands.check import load
from flows.commands.terminal import Lines, Output, display
from flows.pairs.signals import handled
from flows.pairs.watching import Result
from flows.server import embedded
from styletransfer import storage
from styletransfer.renders.contact_sheet import ContactSheet
from styletransfer.renders.plan import Plan, plan_manifest
from styletransfer.storage.retries import Retries


def run(options: argparse.Namespace) -> int:
    """Plan, then render what is left through the flow; returns the exit status."""
    try:
        with handled(_exit, signal.SIGTERM), display(Output(), plain=options.verbose) as lines:
            plan = _plan(options, lines)
            for note in plan.manifest.notes:
                lines.note(f"note: {note}")
            if not plan.having("queued") and not _watched_from_outside():
                return _sum_up(plan, lines)
            return _run_flow(options, plan, lines)
    except KeyboardInterrupt:
        # The flow takes the first Ctrl-C. This is a second one, or came too early: wait for no thread.
        sys.stderr.write("stopped at once\n")
        sys.stderr.flush()
        os._exit(main.INTERRUPTED)


def _plan(options: argparse.Namespace, lines: Lines) -> Plan:
    """The plan, without faults of the manifest; pairs whose inputs stay out of reach have failed in it."""
    retries = Retries(lines.note)
    manifest = retries.call(lambda: load(options))
    plan = plan_manifest(manifest, force=options.force, only=options.only, retries=retries)
    plan.check(troubles=False)
    return plan


def _sum_up(plan: Plan, lines: Lines) -> int:
    """Summary and contact sheet of a plan that leaves nothing to render; returns the exit status."""
    summary = Retries(lines.note).call(lambda: ContactSheet(plan).write({}))
    result = Result.of(plan, summary)
    lines.ended(result)
    return main.FAILED if result.failures else main.DONE


def _watched_from_outside() -> bool:
    """Whether a run that has nothing to do is to be seen in somebody's dashboard."""
    return bool(os.environ.get("PREFECT_API_URL"))


def _run_flow(options: argparse.Namespace, plan: Plan, lines: Lines) -> int:
    embedded.configure(verbose=options.verbose)
    server = embedded.Server()
    lines.status("starting Prefect")
    server.wait()
    from prefect.exceptions import CancelledRun, FailedRun

    from flows.pairs.flow import Caller, called_by, render_manifest  # only now: Prefect reads its settings here

    lines.status("loading weights")
    try:
        with called_by(Caller(lines, plan)):
            render_manifest(**_told_prefect(options))
    except FailedRun:
        return main.FAILED
    except CancelledRun:
        return main.INTERRUPTED
    return main.DONE


def _told_prefect(options: argparse.Namespace) -> dict[str, Any]:
    """The flow's parameters, which Prefect keeps and shows: no credentials, as the plan is made already."""
    return {
        "manifest": storage.public(storage.resolve(".", options.manifest)),
        "only": options.only,
        "force": options.force,
        "devices": options.devices,
        "weights": options.weights and storage.public(options.weights),
        "output": options.output and storage.public(options.output),
    }


def _exit(number: int, _: FrameType | None) -> None:
    """SIGTERM ends the program as an exception, so that what it started ends, too."""
    sys.exit(128 + number)
