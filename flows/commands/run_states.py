"""How runs stand: a table of those that wait, are at work or ended lately; one run with its open pairs."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import FlowRun

from flows.commands.tables import output, plain, show, table
from flows.farm import submissions, times
from flows.farm.names import HELD
from styletransfer import storage
from styletransfer.errors import StyleTransferError
from styletransfer.renders.output_places import OutputPlaces
from styletransfer.renders.records import PAIR_STATES, Summary, SummaryPair, now, read_summary

RECENT: Final = timedelta(days=3)
"""How long runs that are over are listed."""

_MOST_PAIRS: Final = 200


# Runs


def show_runs(client: SyncPrefectClient) -> None:
    """Those that wait or are at work, and those that ended lately; the newest first."""
    runs = [
        each
        for each in submissions.submissions(submissions.recent(client))
        if not submissions.is_over(each) or _ended(each) > now() - RECENT
    ]
    if not runs:
        output().print("no runs; hand over a manifest with: styletransfer submit MANIFEST")
        return
    headings = ("run", "manifest", "state", "pairs", "begun", "time")
    show(table(headings, [_row(each) for each in runs], right=("time",)))


def _row(run: FlowRun) -> tuple[str, ...]:
    begun = run.start_time or run.expected_start_time
    taken = times.duration_text(run.estimated_run_time.total_seconds()) if run.start_time else ""
    return (submissions.short_id(run), run.name, submissions.state_text(run), _counts(run), _local(begun), taken)


def _counts(run: FlowRun) -> str:
    """`7 done, 1 failed`: of a run that is over as it said itself, else by its summary."""
    if run.state is not None and run.state.is_final():
        if run.state.is_cancelled() and run.state.name != HELD:
            return ""  # its message is the worker's, that it has ended the process
        return (run.state.message or "").partition("\n")[0]
    if run.start_time is None:
        return ""
    summary = _summary(run)
    return counts_text(summary) if summary else ""


def counts_text(summary: Summary) -> str:
    """`7 done, 1 failed`."""
    return ", ".join(f"{summary.counts[state]} {state}" for state in PAIR_STATES if state in summary.counts)


def _ended(run: FlowRun) -> datetime:
    return run.end_time or run.updated or now()


def _local(moment: datetime | None) -> str:
    return f"{moment.astimezone():%a %d %b %H:%M}" if moment else ""


def _summary(run: FlowRun) -> Summary | None:
    """The summary of the run's results, if there is one that can be read."""
    try:
        manifest = submissions.manifest_of(run)
        return read_summary(OutputPlaces(manifest.output, manifest.name).summary)
    except StyleTransferError:
        return None


# One run


def show_run(run: FlowRun) -> None:
    """How it stands, and its pairs that are not done. Raises StorageError, ManifestError."""
    console = output()
    manifest = submissions.manifest_of(run)
    places = OutputPlaces(manifest.output, manifest.name)
    summary = read_summary(places.summary)
    lines = [
        f"{run.name}: {submissions.state_text(run)}" + (f", {counts_text(summary)}" if summary else ""),
        f"dashboard: {submissions.link(run)}",
        f"manifest: {storage.public(manifest.location)}",
        f"contact sheet: {storage.public(places.index)}",
    ]
    for line in lines:
        console.print(plain(line), soft_wrap=True)
    if summary is not None:
        _show_pairs(summary)


def _show_pairs(summary: Summary) -> None:
    order = {"failed": 0, "rendering": 1, "held": 2, "cancelled": 3, "queued": 4}
    pairs = sorted((pair for pair in summary.pairs if pair.state in order), key=lambda pair: order[pair.state])
    if pairs:
        show(table(("pair", "state", "why"), [_pair_row(pair) for pair in pairs[:_MOST_PAIRS]]))
    if len(pairs) > _MOST_PAIRS:
        output().print(f"... and {len(pairs) - _MOST_PAIRS} more")


def _pair_row(pair: SummaryPair) -> tuple[str, ...]:
    return (pair.id, pair.state, (pair.reason or "").partition("\n")[0])
