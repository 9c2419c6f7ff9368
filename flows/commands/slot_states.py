"""What each slot of the farm is doing: workers and runs from Prefect, pairs from the notes in storage."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId, ArtifactFilterType
from prefect.client.schemas.objects import Artifact, FlowRun, StateType
from prefect.client.schemas.sorting import ArtifactSort

from flows.commands.tables import output, show, table
from flows.farm import names, submissions
from flows.farm.pair_notes import PairNote, read_notes
from flows.farm.submissions import LiveWorker
from styletransfer.errors import StyleTransferError
from styletransfer.renders.output_places import OutputPlaces

WORKER_LABEL: Final = "prefect.worker.name"
"""Prefect's label of a run with the worker that took it."""


STARTING: Final = "(starting)"

_LEFT = re.compile(r"\d+ %, ([\d:]+) left")  # how `RenderProgress` begins


@dataclass(frozen=True)
class SlotState:
    """One slot. `pair` is empty where nothing is rendered; `left`, of its render run, where it can't be told."""

    host: str
    slot: str
    pool: str
    manifest: str = ""
    pair: str = ""
    left: str = ""


def show_slots(client: SyncPrefectClient) -> None:
    """A table of the slots on stdout."""
    found = read_slots(client)
    if not found:
        output().print("no slot is there; start one with: styletransfer worker")
        return
    headings = ("host", "slot", "pool", "manifest", "pair", "left")
    rows = [(slot.host, slot.slot, slot.pool, slot.manifest, slot.pair or "idle", slot.left) for slot in found]
    show(table(headings, rows, right=("left",)))


def read_slots(client: SyncPrefectClient) -> list[SlotState]:
    """Every live slot, by name; and those with a run whose worker is not heard of."""
    workers = [worker for worker in submissions.live_workers(client) if worker.pool != names.DRIVER_POOL]
    runs = submissions.with_tags(client, [names.RENDER_TAG], states=[StateType.RUNNING])
    notes, progress = _rendering(runs), _progress(client, runs)
    return slots(workers, runs, notes, progress)


def slots(
    workers: Iterable[LiveWorker],
    runs: Iterable[FlowRun],
    notes: Mapping[str, PairNote],
    progress: Mapping[str, Artifact],
) -> list[SlotState]:
    """Workers with their runs; `notes` and `progress` by run id."""
    by_worker = {str(run.labels.get(WORKER_LABEL, "")): run for run in runs}
    found = []
    for worker in workers:
        run = by_worker.pop(worker.name, None)
        found.append(_state(worker.name, worker.pool, run, notes, progress))
    for name, run in by_worker.items():
        found.append(_state(name or "?", run.work_pool_name or "", run, notes, progress))
    return sorted(found, key=lambda slot: (slot.host, slot.slot))


def _state(
    worker: str, pool: str, run: FlowRun | None, notes: Mapping[str, PairNote], progress: Mapping[str, Artifact]
) -> SlotState:
    host, _, slot = worker.rpartition("-")
    if run is None:
        return SlotState(host, slot, pool)
    note, artifact = notes.get(str(run.id)), progress.get(str(run.id))
    left, pairs = figures(artifact.description or "") if artifact else ("", ())
    pair = note.pair if note else ", ".join(pairs) or STARTING
    return SlotState(host, slot, pool, _manifest(run), pair, left)


def _manifest(run: FlowRun) -> str:
    prefix = names.manifest_tag("")
    return next((tag.removeprefix(prefix) for tag in run.tags if tag.startswith(prefix)), run.name)


def figures(description: str) -> tuple[str, tuple[str, ...]]:
    """Time left of a render run, and the pairs that it renders now, from what its progress artifact says."""
    left, (_, _, rest) = _LEFT.match(description), description.partition("; ")
    pairs = tuple(text.partition(": ")[0] for text in rest.split("; ") if text)
    return left[1] if left else "", pairs


def _rendering(runs: Sequence[FlowRun]) -> dict[str, PairNote]:
    """The note of the pair that each run is rendering, by run id; an output that can't be read has none."""
    found: dict[str, PairNote] = {}
    read: set[OutputPlaces] = set()
    for run in runs:
        try:
            manifest = submissions.manifest_of(run)
            places = OutputPlaces(manifest.output, manifest.name)
            notes = read_notes(places) if places not in read else {}
        except StyleTransferError:
            continue
        read.add(places)
        found |= {note.run: note for note in notes.values() if note.state == "rendering"}
    return found


def _progress(client: SyncPrefectClient, runs: Sequence[FlowRun]) -> dict[str, Artifact]:
    """The newest progress artifact of each run, by run id."""
    if not runs:
        return {}
    artifacts = client.read_artifacts(
        artifact_filter=ArtifactFilter(
            flow_run_id=ArtifactFilterFlowRunId(any_=[run.id for run in runs]),
            type=ArtifactFilterType(any_=["progress"]),
        ),
        sort=ArtifactSort.UPDATED_DESC,
        limit=submissions.PAGE,
    )
    newest: dict[str, Artifact] = {}
    for artifact in artifacts:
        newest.setdefault(str(artifact.flow_run_id), artifact)
    return newest
