"""How one run stands, with its open pairs and how far those are that are being rendered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import FlowRun, StateType
from rich.console import Group, RenderableType

from flows.commands.night_view import counts_text
from flows.commands.tables import plain, table
from flows.commands.without_driver import as_they_stand, is_at_work, silent_s
from flows.farm import names, submissions
from flows.farm.approvals import APPROVED, TO_BE_APPROVED
from flows.farm.slot_work import figures, read_progress
from flows.farm.times import duration_text
from styletransfer import storage
from styletransfer.errors import StyleTransferError
from styletransfer.records.output_places import OutputPlaces
from styletransfer.records.records import Summary, SummaryPair, now, read_summary

_MOST_PAIRS: Final = 200


@dataclass(frozen=True)
class RunState:
    """How a run stands: in words, and by the table of its pairs. `missing`: why there is none, or a part of it.

    `age_s`: the table's, where no driver keeps it.
    """

    text: str
    manifest: str
    summary: Summary | None = None
    contact_sheet: str = ""
    age_s: float | None = None
    missing: str = ""


def read_run(client: SyncPrefectClient, run: FlowRun) -> RunState:
    """From the server; and from storage, as far as that can be read."""
    silent = silent_s(client, run)
    text = submissions.state_text(run)
    text += f", but not heard of for {duration_text(silent)}" if silent is not None else ""
    state = RunState(text, str(run.parameters.get("manifest")))
    try:
        manifest = submissions.manifest_of(run)
        places = OutputPlaces(manifest.output, manifest.name)
        state = replace(state, manifest=manifest.location, contact_sheet=places.index)
        summary = read_summary(places.summary)
        if summary is None or _is_kept(run, silent):
            return replace(state, summary=summary)
        state = replace(state, summary=summary, age_s=max(0.0, (now() - summary.updated).total_seconds()))
        return replace(state, summary=as_they_stand(client, places, summary))
    except StyleTransferError as error:
        return replace(state, missing=str(error))


def _is_kept(run: FlowRun, silent: float | None) -> bool:
    """Whether the table is as its driver has it, which writes it within seconds, and last before it ends."""
    if is_at_work(run):
        return silent is None
    return submissions.is_over(run) and run.state is not None and not run.state.is_crashed()


def run_view(client: SyncPrefectClient, run: FlowRun) -> RenderableType:
    """How it stands, and its pairs that are not done."""
    state = read_run(client, run)
    counts = f", {counts_text(state.summary)}" if state.summary else ""
    lines = [
        f"{run.name}: {state.text}{counts}",
        f"dashboard: {submissions.link(run)}",
        f"manifest: {storage.public(state.manifest)}",
    ]
    if state.contact_sheet:
        lines.append(f"contact sheet: {storage.public(state.contact_sheet)}")
    if run.state is not None and run.state.name in (TO_BE_APPROVED, APPROVED):
        lines.append(f"previews: {run.state.message}")
    if state.age_s is not None:
        lines.append(f"no driver is at work; what it knew last is {duration_text(state.age_s)} old")
    if state.missing:
        lines.append(f"not to be read just now: {state.missing}")
    return Group(*map(plain, lines), *_pairs(state.summary, pairs_progress(client, run)) if state.summary else ())


def run_json(client: SyncPrefectClient, run: FlowRun) -> dict[str, Any]:
    """The same for programs, with all of its pairs."""
    state, progress = read_run(client, run), pairs_progress(client, run)
    pairs = state.summary.pairs if state.summary else ()
    return {
        "run": str(run.id),
        "manifest": run.name,
        "state": submissions.state_text(run),
        "contact_sheet": storage.public(state.contact_sheet) or None,
        "age_s": state.age_s,
        "missing": state.missing or None,
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
