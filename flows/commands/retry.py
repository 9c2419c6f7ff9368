"""`styletransfer retry`: the failed pairs of a run, and no others, once more."""

from __future__ import annotations

import argparse
import shlex

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun

from flows.commands import main
from flows.commands.submit import hand_over
from flows.commands.terminal import Lines, Output
from flows.farm import submissions, times
from flows.farm.submissions import Submission
from styletransfer import storage
from styletransfer.manifest.reader import Manifest
from styletransfer.renders.places import Places
from styletransfer.renders.records import read_summary


def run(options: argparse.Namespace) -> int:
    """Submit the failed pairs again, and follow the run if asked to; returns the exit status."""
    lines = Lines(Output())
    with get_client(sync_client=True) as client:
        former = submissions.find(client, options.run)
        manifest = submissions.manifest_of(former)
        places = Places(manifest.output, manifest.name)
        failed = failed_pairs(former, manifest, places)
        if not failed:
            lines.say(f"{former.name}: no pair has failed")
            _tell_open(former, places, lines)
            return main.DONE
        lines.say(f"{former.name}: to render once more: {', '.join(failed)}")
        submission = Submission(
            manifest=former.parameters["manifest"],
            places=places,
            queue=manifest.priority,
            priority=options.priority or former.parameters.get("priority"),
            only=failed,
        )
        return hand_over(client, submission, lines, zone=times.parse_zone(times.host_zone()), wait=options.wait)


def failed_pairs(former: FlowRun, manifest: Manifest, places: Places) -> tuple[str, ...]:
    """Pairs of the run that failed, by the last summary, in the manifest's order. Raises StorageError."""
    summary = read_summary(places.summary)
    failed = {pair.id for pair in summary.pairs if pair.state == "failed"} if summary else set()
    asked = set(former.parameters.get("only") or ()) or failed
    return tuple(pair.id for pair in manifest.pairs if pair.id in failed & asked)


def _tell_open(former: FlowRun, places: Places, lines: Lines) -> None:
    """Pairs that are not done, but have not failed either: how they are rendered after all."""
    summary = read_summary(places.summary)
    left = sum(pair.state in ("queued", "held", "cancelled") for pair in summary.pairs) if summary else 0
    if left and submissions.is_over(former):
        again = shlex.quote(storage.public(former.parameters["manifest"]))
        lines.note(f"note: {left} not done; to go on with what is not done: styletransfer submit {again}")
