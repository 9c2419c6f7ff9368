"""`styletransfer submit`: check a manifest, store it with its results, hand it to a driver."""

from __future__ import annotations

import argparse
from functools import partial
from typing import TYPE_CHECKING, Final

from flows.commands.farm_server import with_server
from flows.commands.options import Parser, add_manifest_options, add_priority, max_failed, whole_number
from flows.commands.preview import PREVIEW_PX
from styletransfer.errors import Fault, SettingsError

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

    from flows.commands.terminal import Lines

USAGE: Final = "MANIFEST [options]"

HELP: Final = """\
Checks the manifest as `check` does, stores it with its results (locations made
absolute, globs looked up) and hands it to the farm. Everything it names must
be where the workers can reach it: local paths are refused unless the server is
this host's own (`up`), or --shared-filesystem says that all hosts see them.

Times: '22:30' (the next one), 'today 22:30', 'tomorrow 01:00', or ISO 8601,
'2026-03-01 01:00' or '2026-03-01T01:00+01:00'.

--preview renders each pair's first scales, as `preview` does on one machine,
and stops there: `approve` has the chosen pairs go on, --approve-at all of them.

Ctrl-C while waiting leaves the run alone.

exit status: 0 submitted (with --wait: all done), 1 some pair failed, time was
up or the server can't be reached, 2 the manifest or an option is wrong, 130
cancelled

examples:
  styletransfer submit s3://studio/harbour.yaml
  styletransfer submit harbour.yaml --priority high --wait
  styletransfer submit harbour.yaml --at 'tomorrow 01:00' --until 07:00
  styletransfer submit harbour.yaml --only harbour--wave --force
  styletransfer submit harbour.yaml --end-scale 2896+
  styletransfer submit harbour.yaml --preview --approve-at 22:00 --until 07:00
"""


def add_options(parser: Parser) -> None:
    add_manifest_options(parser)
    add_priority(parser)
    parser.add_argument(
        "--max-failed", type=max_failed, metavar="N", help="stop once N pairs (or '10%%' of them) have failed"
    )
    parser.add_shared("--embed-inputs")
    parser.add_argument("--preview", action="store_true", help="render the first scales, and wait to be approved")
    parser.add_argument(
        "--scale",
        type=whole_number(1),
        metavar="N",
        help=f"with --preview: scales of at most N px, the first one anyhow (default: {PREVIEW_PX})",
    )
    parser.add_argument("--approve-at", metavar="TIME", help="with --preview: all go on then, unless cancelled")
    parser.add_argument("--at", metavar="TIME", help="begin then, not now")
    parser.add_shared("--until", "--timezone", "--shared-filesystem", "--wait", "--state")


@with_server
def run(options: argparse.Namespace, client: SyncPrefectClient, lines: Lines) -> int:
    """Submit, and follow the run if asked to; returns the exit status."""
    from flows.commands.handing_over import check_reach, hand_over, moment, notes, planned, stored, when
    from flows.farm import times
    from flows.farm.submissions import Submission
    from styletransfer.planning.speed import MEASURING

    zone, at, until = when(options)
    preview = preview_px(options)
    approve_at = moment(options.approve_at, zone) if options.approve_at else None
    if at is not None and approve_at is not None and approve_at <= at:
        raise SettingsError([Fault("--approve-at", "comes before --at, when the previews begin")])
    plan = planned(options, lines, preview)
    check_reach(plan.manifest, shared=options.shared_filesystem)
    for note in notes(plan, client, options.priority, partial(lines.status, MEASURING)):
        lines.note(f"note: {note}")
    submission = Submission(
        manifest=stored(plan.manifest, lines, plan.inputs),
        places=plan.places,
        queue=plan.manifest.priority,
        priority=options.priority,
        max_failed=options.max_failed,
        only=tuple(pair.id for pair in plan.pairs) if options.only else (),  # in the manifest's spelling
        force=options.force,
        at=at,
        until=until,
        timezone=options.timezone or (times.host_zone() if until or approve_at else None),
        preview=preview,
        approve_at=approve_at,
    )
    return hand_over(client, submission, lines, zone=zone, wait=options.wait)


def preview_px(options: argparse.Namespace) -> int | None:
    """How far each pair is rendered, where only a preview is asked for. Raises SettingsError."""
    if options.preview:
        return options.scale or PREVIEW_PX
    given = {"--scale": options.scale, "--approve-at": options.approve_at}
    faults = [Fault(option, "is for previews; give --preview, too") for option, value in given.items() if value]
    if faults:
        raise SettingsError(faults)
    return None
