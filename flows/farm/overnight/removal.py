"""Removes what was found to be waste: files from storage, runs with their artifacts from the server."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId
from prefect.exceptions import ObjectNotFound

from flows.farm import submissions
from flows.farm.overnight.waste import Waste
from styletransfer import storage
from styletransfer.errors import StorageError
from styletransfer.planning.plan import READERS
from styletransfer.storage.plain_files import removed


def remove_all(client: SyncPrefectClient, found: Iterable[Waste], tell: Callable[[str], None]) -> None:
    """Remove it all; what can't be removed is told, and left for the next time."""
    waste = list(found)
    with ThreadPoolExecutor(READERS, thread_name_prefix="clean") as removers:
        for trouble in removers.map(_remove_file, (each for each in waste if each.kind != "run")):
            if trouble:
                tell(trouble)
    for each in waste:
        if each.kind == "run":
            remove_run(client, UUID(each.what))


def _remove_file(waste: Waste) -> str | None:
    try:
        if waste.base:
            removed(waste.base, *Path(waste.what).relative_to(waste.base).parts)
        else:
            storage.delete(waste.what)
    except StorageError as error:
        return str(error)
    return None


def remove_run(client: SyncPrefectClient, run_id: UUID) -> None:
    """Remove a run. Its logs go with it on the server; its artifacts would stay."""
    chosen = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run_id]))
    while artifacts := client.read_artifacts(artifact_filter=chosen, limit=submissions.PAGE):
        for artifact in artifacts:
            with suppress(ObjectNotFound):
                client.delete_artifact(artifact.id)
    with suppress(ObjectNotFound):
        client.delete_flow_run(run_id)
