"""`styletransfer render`: the flow, right here, with a display."""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

from flows.commands.options import (
    DONE,
    FAILED,
    INTERRUPTED,
    Parser,
    add_devices,
    add_manifest_options,
    add_renders_per_gpu,
    load,
)
from flows.commands.settings_options import given_settings

if TYPE_CHECKING:
    from flows.commands.terminal import Lines
    from styletransfer.planning.plan import Plan

USAGE: Final = "MANIFEST [options]"

HELP: Final = """\
Renders on this machine: a pair at a time on each GPU (on two for `gpus: 2`), or
on the CPU. A pair that is done, and whose inputs and settings have not changed
since, is skipped. Needs no server; with PREFECT_API_URL set, that Prefect
server shows the run. Ctrl-C stops and keeps what is done; run it again to go
on.

Writes pictures, their records, summary.json and a contact sheet, index.html, to
<output>/<manifest name>/.

exit status: 0 all done, 1 some pair failed or a device is in use, 2 the
manifest or an option is wrong, 130 stopped

examples:
  styletransfer render harbour.yaml
  styletransfer render harbour.yaml --only harbour--wave --force
  styletransfer render harbour.yaml --watch
  styletransfer render harbour.yaml --set 'content_weight=[0.005, 0.05]'
  styletransfer render s3://studio/harbour.yaml --devices cuda:0 cuda:1
  styletransfer render harbour.yaml --weights random --output /tmp/dry-run
"""


def add_options(parser: Parser) -> None:
    add_manifest_options(parser)
    parser.add_shared("--embed-inputs", "--watch")
    parser.add_argument("--open", action="store_true", help="open the contact sheet in the browser")
    add_renders_per_gpu(parser)
    add_devices(parser, "cpu, cuda (every GPU) or cuda:N, any number of them (default: all GPUs, else the CPU)")
    parser.set_defaults(preview=None, preview_s=None)  # options of `preview`


def run(options: argparse.Namespace) -> int:
    """Plan, then render what is left through the flow; returns the exit status."""
    from flows.commands.tables import output
    from flows.commands.terminal import display
    from flows.pairs.signals import ending_signals, handled

    try:
        with handled(_exit, *ending_signals()), display(output(), plain=options.verbose) as lines:
            plan = _plan(options, lines)
            for note in plan.manifest.notes:
                lines.note(f"note: {note}")
            _say_expected(options, plan, lines)
            with _shown(options, plan, lines):
                if not plan.having("queued") and not _watched_from_outside():
                    return _sum_up(plan, lines)
                return _run_flow(options, plan, lines)
    except KeyboardInterrupt:
        # The flow takes the first Ctrl-C. This is a second one, or came too early: wait for no thread.
        sys.stderr.write("stopped at once\n")
        sys.stderr.flush()
        os._exit(INTERRUPTED)


def _plan(options: argparse.Namespace, lines: Lines) -> Plan:
    """The plan, without faults of the manifest; pairs whose inputs stay out of reach have failed in it."""
    from styletransfer.planning.plan import plan_manifest
    from styletransfer.renders.previews import preview_plan
    from styletransfer.renders.same_picture import take_over
    from styletransfer.storage.retries import Retries

    retries = Retries(lines.note)
    manifest = retries.call(lambda: load(options))
    plan = plan_manifest(manifest, force=options.force, only=options.only, retries=retries)
    plan.check(troubles=False)
    if not options.force:
        plan = retries.call(partial(take_over, plan, lines.say))
    return plan if options.preview is None else retries.call(lambda: preview_plan(plan, options.preview))


def _say_expected(options: argparse.Namespace, plan: Plan, lines: Lines) -> None:
    """What it will take, if that is known; for a preview this machine is measured. Of one on a budget that says
    nothing."""
    from flows.pairs.estimate import expected_text
    from styletransfer.planning.expected import expected
    from styletransfer.planning.speed import MEASURING, machine_speed

    if options.preview_s is not None:
        return
    told = None if options.preview is None else partial(lines.status, MEASURING)
    coming = expected(plan, machine_speed(options.devices or (), told))
    if text := expected_text(coming, len(plan.having("queued"))):
        lines.say(text)


def _shown(options: argparse.Namespace, plan: Plan, lines: Lines) -> AbstractContextManager[None]:
    """The contact sheet in a browser, if that was asked for."""
    if not (options.watch or options.open):
        return nullcontext()
    from flows.commands.watching import sheet_shown

    return sheet_shown(plan, lines, watch=options.watch)


def _sum_up(plan: Plan, lines: Lines) -> int:
    """Summary and contact sheet of a plan that leaves nothing to render; returns the exit status."""
    from flows.pairs.listeners import Result
    from styletransfer.contact_sheet.sheet import ContactSheet
    from styletransfer.storage.retries import Retries

    summary = Retries(lines.note).call(lambda: ContactSheet(plan).write({}))
    result = Result.of(plan, summary)
    lines.ended(result)
    return FAILED if result.failures else DONE


def _watched_from_outside() -> bool:
    """Whether a run that has nothing to do is to be seen in somebody's dashboard."""
    return bool(os.environ.get("PREFECT_API_URL"))


def _run_flow(options: argparse.Namespace, plan: Plan, lines: Lines) -> int:
    from flows.commands.farm_server import plain_errors
    from flows.server import embedded
    from styletransfer.records.output_folder import check_writable
    from styletransfer.storage.retries import Retries

    Retries(lines.note).call(partial(check_writable, plan.places.folder))
    embedded.configure(verbose=options.verbose)
    server = embedded.Server()
    lines.status("starting Prefect")
    server.wait()
    from prefect.exceptions import CancelledRun, FailedRun

    from flows.pairs.flow import FlowCaller, called_by, render_manifest  # only now: Prefect reads its settings here

    lines.status("loading weights")
    try:
        with plain_errors(), called_by(FlowCaller(lines, plan)):
            render_manifest(**_told_prefect(options))
    except FailedRun:
        return FAILED
    except CancelledRun:
        lines.note("the same command goes on from where it stood")
        return INTERRUPTED
    return DONE


def _told_prefect(options: argparse.Namespace) -> dict[str, Any]:
    """The flow's parameters, which Prefect keeps and shows: no credentials, as the plan is made already."""
    from styletransfer import storage
    from styletransfer.settings import with_places

    return {
        "manifest": storage.public(storage.resolve(".", options.manifest)),
        "only": options.only,
        "force": options.force,
        "devices": options.devices,
        "renders_per_gpu": options.renders_per_gpu,
        "weights": options.weights and storage.public(options.weights),
        "output": options.output and storage.public(options.output),
        "preview": options.preview,
        "preview_s": options.preview_s,
        "settings": with_places(given_settings(options), lambda _, url: storage.public(url)),
    }


def _exit(number: int, _: FrameType | None) -> None:
    """SIGTERM or SIGHUP ends the program as an exception, so that what it started ends, too."""
    sys.exit(128 + number)
