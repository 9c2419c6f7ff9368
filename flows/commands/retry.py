"""`styletransfer retry`: the failed pairs of a run, and no others, once more."""

from __future__ import annotations

import argparse
import shlex
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from flows.commands.farm_server import with_server
from flows.commands.options import DONE, Parser, add_priority

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import FlowRun

    from flows.commands.terminal import Lines
    from styletransfer.manifest.pairs import Manifest
    from styletransfer.records.records import Summary

USAGE: Final = "RUN [--wait]"

HELP: Final = """\
Submits the pairs that failed once more, and nothing else. Submit the manifest
itself to render all that is not done.

exit status: 0 submitted (with --wait: all done), or nothing failed, 1 some
pair failed, or the server can't be reached, 2 there is no such run

examples:
  styletransfer retry harbour --wait
"""


def add_options(parser: Parser) -> None:
    parser.add_shared("run")
    add_priority(parser)
    parser.add_shared("--wait", "--state")


@with_server
def run(options: argparse.Namespace, client: SyncPrefectClient, lines: Lines) -> int:
    """Submit the failed pairs again, and follow the run if asked to; returns the exit status."""
    from flows.commands.handing_over import hand_over
    from flows.farm import submissions, times
    from flows.farm.submissions import Submission
    from styletransfer.records.output_places import OutputPlaces
    from styletransfer.records.records import read_summary

    former = submissions.find(client, options.run)
    manifest = submissions.manifest_of(former)
    places = OutputPlaces(manifest.output, manifest.name)
    summary = read_summary(places.summary)
    failed = failed_pairs(former, manifest, summary)
    if not failed:
        lines.say(f"{former.name}: no pair has failed")
        if submissions.is_over(former):
            _tell_open(former, summary, lines)
        return DONE
    lines.say(f"{former.name}: to render once more: {', '.join(failed)}")
    given = former.parameters
    approve_at = _yet_to_come(given.get("approve_at"))
    # Previews that are there are asked for, too, so that all are approved together; unless a run is to take them.
    together = given.get("preview") is not None and approve_at is None
    submission = Submission(
        manifest=given["manifest"],
        places=places,
        queue=manifest.priority,
        priority=options.priority or given.get("priority"),
        max_failed=given.get("max_failed"),
        only=tuple(given.get("only") or ()) if together else failed,
        preview=given.get("preview"),
        approve_at=approve_at,
        timezone=given.get("timezone"),
    )
    return hand_over(client, submission, lines, zone=times.zone_of(None), wait=options.wait)


def _yet_to_come(moment: str | None) -> datetime | None:
    """The moment that a former run was given, unless it has passed."""
    found = datetime.fromisoformat(moment) if moment else None
    return found if found is not None and found > datetime.now(UTC) else None


def failed_pairs(former: FlowRun, manifest: Manifest, summary: Summary | None) -> tuple[str, ...]:
    """Pairs of the run that failed, by the last summary, in the manifest's order."""
    failed = {pair.id for pair in summary.pairs if pair.state == "failed"} if summary else set()
    asked = set(former.parameters.get("only") or ()) or failed
    return tuple(pair.id for pair in manifest.pairs if pair.id in failed & asked)


def _tell_open(former: FlowRun, summary: Summary | None, lines: Lines) -> None:
    """Pairs that are not done, but have not failed either: how they are rendered after all."""
    from styletransfer import storage

    left = sum(pair.state in ("queued", "held", "cancelled") for pair in summary.pairs) if summary else 0
    if left:
        again = shlex.quote(storage.public(former.parameters["manifest"]))
        lines.note(f"note: {left} not done; to go on with what is not done: styletransfer submit {again}")
