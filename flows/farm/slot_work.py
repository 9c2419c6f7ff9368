"""What each slot of the farm is doing, by what workers and render runs tell the server. Needs no storage."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    ArtifactFilterKey,
    ArtifactFilterType,
)
from prefect.client.schemas.objects import Artifact, FlowRun, StateType
from prefect.client.schemas.sorting import ArtifactSort

from flows.farm import names, submissions
from flows.farm.live_workers import LiveWorker, live_workers
from flows.farm.markdown import unmarked
from flows.farm.slot_service import SlotService, read_services

STARTING: Final = "(starting)"

_LEFT = re.compile(r"\d+ %, ([\d:]+) left")  # how `RenderProgress` begins
_BETWEEN = re.compile(r"(?<!&lt)(?<!&gt)(?<!&amp); ")  # pairs, not the letters of Markdown in one


@dataclass(frozen=True)
class SlotWork:
    """One slot, with the render run in it and how far each of its `pairs` is. `left`: of the run, where known.

    `service`: why it takes no more pairs, if it does not. `tags`: of the slot.
    """

    host: str
    slot: str
    pool: str
    run: str = ""
    manifest: str = ""
    pairs: Mapping[str, str] = field(default_factory=dict)
    left: str = ""
    service: SlotService | None = None
    tags: frozenset[str] = frozenset()

    @property
    def worker(self) -> str:
        """Its worker's name."""
        return f"{self.host}-{self.slot}"

    @property
    def text(self) -> str:
        """The pairs' names; `idle`; why it takes no pairs."""
        why = f"{self.service.state}: {self.service.reason}" if self.service else ""
        if self.service and self.service.until:
            why += f", until {self.service.until.astimezone():%a %H:%M}"
        pairs = ", ".join(self.pairs) or (STARTING if self.run else "")
        return "; ".join(filter(None, [pairs, why])) or "idle"


def read_slots(client: SyncPrefectClient) -> list[SlotWork]:
    """Every live slot, by name; and those with a run whose worker is not heard of."""
    workers = [worker for worker in live_workers(client) if worker.pool != names.DRIVER_POOL]
    runs = submissions.with_tags(client, [names.RENDER_TAG], states=[StateType.RUNNING])
    return slots(workers, runs, read_progress(client, runs), read_services(client))


def slots(
    workers: Iterable[LiveWorker],
    runs: Iterable[FlowRun],
    progress: Mapping[str, str],
    services: Mapping[str, SlotService],
) -> list[SlotWork]:
    """Workers with their runs; `progress` by run id, `services` by worker."""
    by_worker: dict[str, list[FlowRun]] = defaultdict(list)
    for run in runs:
        by_worker[str(run.labels.get(names.WORKER_LABEL, ""))].append(run)
    found = []
    for worker in workers:
        here: list[FlowRun | None] = [*by_worker.pop(worker.name, [])]  # in containers, several
        works = [_work(worker.name, worker.pool, run, progress) for run in here or [None]]
        found += [replace(work, tags=worker.tags) for work in works]
    for name, lost in by_worker.items():
        found += [_work(name or "?", run.work_pool_name or "", run, progress) for run in lost]
    found = [replace(slot, service=services.get(slot.worker)) for slot in found]
    return sorted(found, key=lambda slot: (slot.host, slot.slot))


def _work(worker: str, pool: str, run: FlowRun | None, progress: Mapping[str, str]) -> SlotWork:
    host, slot = names.Place.of_worker(worker)
    if run is None:
        return SlotWork(host, slot, pool)
    left, pairs = figures(progress.get(str(run.id), ""))
    return SlotWork(host, slot, pool, str(run.id), _manifest(run), pairs, left)


def _manifest(run: FlowRun) -> str:
    prefix = names.manifest_tag("")
    return next((tag.removeprefix(prefix) for tag in run.tags if tag.startswith(prefix)), run.name)


def figures(description: str) -> tuple[str, dict[str, str]]:
    """Time left of a render run, and how far the pairs are that it has in hand, from what it told."""
    left, (_, *texts) = _LEFT.match(description), _BETWEEN.split(description)
    pairs = (text.partition(": ") for text in texts if text)
    return left[1] if left else "", {unmarked(pair): how_far for pair, _, how_far in pairs}


def read_progress(client: SyncPrefectClient, runs: Sequence[FlowRun]) -> dict[str, str]:
    """What each run, driver or render, told last of its progress, by run id."""
    found: dict[str, str] = {}
    for artifact in read_artifacts(client, runs, "progress"):
        found.setdefault(str(artifact.flow_run_id), artifact.description or "")
    return found


def newest_artifact(client: SyncPrefectClient, key: str) -> Artifact | None:
    """The artifact with this key that was changed last, of whichever run; None if there is none."""
    chosen = ArtifactFilter(key=ArtifactFilterKey(any_=[key]))
    found = client.read_artifacts(artifact_filter=chosen, sort=ArtifactSort.UPDATED_DESC, limit=1)
    return found[0] if found else None


def read_artifacts(client: SyncPrefectClient, runs: Sequence[FlowRun], kind: str) -> list[Artifact]:
    """The runs' artifacts of this type, those that were changed last first within each page of runs."""
    found: list[Artifact] = []
    for first in range(0, len(runs), submissions.PAGE):
        page = [run.id for run in runs[first : first + submissions.PAGE]]
        found += client.read_artifacts(
            artifact_filter=ArtifactFilter(
                flow_run_id=ArtifactFilterFlowRunId(any_=page), type=ArtifactFilterType(any_=[kind])
            ),
            sort=ArtifactSort.UPDATED_DESC,
            limit=submissions.PAGE,
        )
    return found
