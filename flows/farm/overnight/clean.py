"""The flow `clean`: what no run needs any more is found, and removed. Pictures and their records never are.

Old runs go with their artifacts and logs; checkpoints, notes and copies of manifests from the folders of results;
files of this host's caches beyond a size.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from prefect import flow, get_client, get_run_logger
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterEndTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
)
from prefect.client.schemas.objects import TERMINAL_STATES, State
from prefect.states import Completed, Failed

from flows.farm import names, submissions
from flows.farm.overnight import cron_deployments
from flows.farm.overnight.removal import remove_all
from flows.farm.overnight.waste import KeepLimits, Waste, cache_waste, folder_waste, summed_up
from styletransfer import storage
from styletransfer.errors import StorageError, StyleTransferError
from styletransfer.manifest.names import name_fault
from styletransfer.records.output_places import OutputPlaces
from styletransfer.records.records import now

log = logging.getLogger(__name__)


@flow(name=names.CLEAN_FLOW, flow_run_name="clean", persist_result=False)
def clean(
    older_than_s: int = 30 * 86_400,
    max_checkpoints: int = 100 * 10**9,
    max_cache: int = 10 * 10**9,
    outputs: list[str] | None = None,
) -> State[Any]:
    """Remove what no run needs any more; see `styletransfer clean --help`. Sizes in bytes, of each manifest's
    checkpoints and of this host's caches. Ends Failed if something could not be looked at or removed.
    """
    told = get_run_logger()
    limits = KeepLimits(timedelta(seconds=older_than_s), max_checkpoints, max_cache)
    troubles: list[str] = []
    with get_client(sync_client=True) as client:
        found = find_waste(client, limits, outputs or [], troubles.append)
        for waste in found:
            told.info("%s %s: %s", waste.kind, waste.name or storage.public(waste.what), waste.why)
        remove_all(client, found, troubles.append)
    for trouble in troubles:
        told.error("%s", trouble)
    text = "\n".join([summed_up(found), *troubles])
    return Failed(message=text) if troubles else Completed(message=text)


def find_waste(
    client: SyncPrefectClient, limits: KeepLimits, outputs: Sequence[str], tell: Callable[[str], None]
) -> list[Waste]:
    """Everything to remove; what can't be looked at is told, and left alone."""
    before = now() - limits.age
    old = list(old_runs(client, before))
    going = {waste.what for waste in old}
    folders, used = known_folders(client, outputs, going, tell)
    found = old
    for places in folders:
        if _is_live(client, places):
            log.info("%s: left alone, something is being rendered into it", storage.public(places.folder))
            continue
        try:
            found += folder_waste(places, limits, used)
        except StorageError as error:
            tell(str(error))
    try:
        found += cache_waste(limits.cache)
    except StorageError as error:
        tell(str(error))
    return found


def old_runs(client: SyncPrefectClient, before: datetime) -> Iterator[Waste]:
    """Runs of ours that ended before a moment."""
    chosen = FlowRunFilter(
        tags=FlowRunFilterTags(all_=[names.TAG]),
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=list(TERMINAL_STATES))),
        end_time=FlowRunFilterEndTime.model_validate({"before_": before}),  # it has a type of its own
    )
    for run in submissions.pages(client, chosen):
        ended = f"{run.end_time:%Y-%m-%d}" if run.end_time else ""
        yield Waste("run", str(run.id), f"{submissions.state_text(run)}, ended {ended}", name=run.name)


def known_folders(
    client: SyncPrefectClient, outputs: Iterable[str], going: set[str], tell: Callable[[str], None]
) -> tuple[list[OutputPlaces], set[str]]:
    """Folders of results: those of the server's drivers, and all in `outputs`. And the manifests still in use:
    of runs that stay, and of schedules. `going`: runs that won't stay, by id."""
    used = {str(each.parameters.get("source")) for each in cron_deployments.read_all(client)}
    found: dict[str, OutputPlaces] = {}
    read: set[str] = set()
    for run in submissions.with_tags(client, [names.TAG, names.DRIVER_TAG]):
        url = str(run.parameters.get("manifest"))
        if str(run.id) not in going:
            used.add(url)
        if url in read:
            continue
        read.add(url)
        try:
            manifest = submissions.manifest_of(run)
        except StyleTransferError as error:
            log.warning("%s: its folder is not cleaned: %s", run.name, str(error).partition("\n")[0])
            continue
        places = OutputPlaces(manifest.output, manifest.name)
        found[places.folder] = places
    for output in outputs:
        try:
            found |= {places.folder: places for places in folders_in(output)}
        except StorageError as error:
            tell(str(error))
    return list(found.values()), used


def folders_in(output: str) -> list[OutputPlaces]:
    """The folders of results in an output folder: those with a summary."""
    url = storage.resolve(".", output)
    summaries = storage.glob(storage.join(storage.escape(url), "*", "summary.json"))
    names_there = [storage.name(storage.parent(summary)) for summary in summaries]
    return [OutputPlaces(url, name) for name in names_there if name_fault(name) is None]


def _is_live(client: SyncPrefectClient, places: OutputPlaces) -> bool:
    return bool(submissions.with_tags(client, [names.TAG, names.output_tag(places)], states=submissions.AT_WORK))
