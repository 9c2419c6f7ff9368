"""How one run stands, with its open pairs and how far those are that are being rendered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import FlowRun, StateType
from rich.console import Group, RenderableType

from flows.commands.night_view import counts_text
from flows.commands.tables import plain, table
from flows.farm import names, submissions
from flows.farm.slot_work import figures, read_progress
from styletransfer import storage
from styletransfer.renders.output_places import OutputPlaces
from styletransfer.renders.records import Summary, SummaryPair, read_summary

_MOST_PAIRS: Final = 200


def run_view(client: SyncPrefectClient, run: FlowRun) -> RenderableType:
    """How it stands, and its pairs that are not done. Raises StorageError, ManifestError."""
    manifest = submissions.manifest_of(run)
    places = OutputPlaces(manifest.output, manifest.name)
    summary = read_summary(places.summary)
    lines = [
        f"{run.name}: {submissions.state_text(run)}" + (f", {counts_text(summary)}" if summary else ""),
        f"dashboard: {submissions.link(run)}",
        f"manifest: {storage.public(manifest.location)}",
        f"contact sheet: {storage.public(places.index)}",
    ]
    return Group(*map(plain, lines), *_pairs(summary, pairs_progress(client, run)) if summary else ())


def run_json(client: SyncPrefectClient, run: FlowRun) -> dict[str, Any]:
    """The same for programs, with all of its pairs. Raises StorageError, ManifestError."""
    manifest = submissions.manifest_of(run)
    places = OutputPlaces(manifest.output, manifest.name)
    summary, progress = read_summary(places.summary), pairs_progress(client, run)
    pairs = summary.pairs if summary else ()
    return {
        "run": str(run.id),
        "manifest": run.name,
        "state": submissions.state_text(run),
        "contact_sheet": storage.public(places.index),
        "pairs": [
            {"id": pair.id, "state": pair.state, "reason": pair.reason, "progress": progress.get(pair.id)}
            for pair in pairs
        ],
    }


def pairs_progress(client: SyncPrefectClient, run: FlowRun) -> dict[str, str]:
    """How far the pairs are that the run's render runs have in hand."""
    tags = [names.RENDER_TAG, names.submission_tag(submissions.submission_of(run))]
    runs = submissions.with_tags(client, tags, states=[StateType.RUNNING])
    told = read_progress(client, runs).values()
    return {pair: how_far for text in told for pair, how_far in figures(text)[1].items()}


def _pairs(summary: Summary, progress: Mapping[str, str]) -> Iterator[RenderableType]:
    order = {"failed": 0, "rendering": 1, "held": 2, "cancelled": 3, "queued": 4}
    pairs = sorted((pair for pair in summary.pairs if pair.state in order), key=lambda pair: order[pair.state])
    if pairs:
        yield table(("pair", "state", "why"), [_pair_row(pair, progress) for pair in pairs[:_MOST_PAIRS]])
    if len(pairs) > _MOST_PAIRS:
        yield plain(f"... and {len(pairs) - _MOST_PAIRS} more")


def _pair_row(pair: SummaryPair, progress: Mapping[str, str]) -> tuple[str, ...]:
    how_far = progress.get(pair.id) if pair.state == "rendering" else None
    return (pair.id, pair.state, "; ".join(filter(None, [(pair.reason or "").partition("\n")[0], how_far])))
