"""Drivers as the commands see them: submitted, found again by name, read, cancelled. Client calls only."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final, TypeVar
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterStateType,
    FlowRunFilterTags,
)
from prefect.client.schemas.filters import FlowRunFilterState as StateFilter
from prefect.client.schemas.objects import TERMINAL_STATES, FlowRun, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.states import Scheduled
from prefect.utilities.urls import url_for

from flows.farm import names
from styletransfer.errors import StyleTransferError, UsageError
from styletransfer.manifest.max_failed import MaxFailed
from styletransfer.manifest.pairs import Manifest
from styletransfer.manifest.reader import load_manifest
from styletransfer.manifest.schema import Priority
from styletransfer.records.output_places import OutputPlaces
from styletransfer.records.records import now

_Item = TypeVar("_Item")

PAGE: Final = 200
"""Items that the server gives at once, at most."""

SHORT_ID: Final = 8
"""Digits of a run's id that are shown, and are enough to find it again."""

REPLACED: Final = "Replaced"
"""Name of the final state of a driver that found another at work in its place."""

LIVE: Final = [state for state in StateType if state not in TERMINAL_STATES]

AT_WORK: Final = [state for state in LIVE if state is not StateType.SCHEDULED]


@dataclass(frozen=True)
class Submission:
    """A manifest for the farm. `manifest` is where the farm reads it, `at` (UTC) when to begin, if not now.

    `priority` None leaves it to the manifest, whose own is `queue`; so does `max_failed`. With `preview` each pair
    is rendered up to so many px and waits for approval, which all have at the moment `approve_at`, if there is one.
    """

    manifest: str
    places: OutputPlaces
    queue: Priority = "normal"
    priority: Priority | None = None
    max_failed: MaxFailed | None = None
    only: tuple[str, ...] = ()
    force: bool = False
    at: datetime | None = None
    until: str | None = None
    timezone: str | None = None
    preview: int | None = None
    approve_at: datetime | None = None


@contextmanager
def deployed(*, perhaps: bool = False) -> Iterator[None]:
    """What is looked up in the block is there once the farm is deployed. Raises StyleTransferError where not.

    `perhaps`: not on every farm; the block just ends then.
    """
    try:
        yield
    except (ObjectNotFound, PrefectHTTPStatusError) as error:
        if isinstance(error, PrefectHTTPStatusError) and error.response.status_code != 404:
            raise
        if perhaps:
            return
        raise StyleTransferError("the farm is not set up on this server; run: styletransfer deploy") from error


def submit(client: SyncPrefectClient, submission: Submission, key: str | None = None) -> FlowRun:
    """Hand a manifest to a driver; with a `key`, once, however often it is called with the same.

    Raises StyleTransferError where nothing has been deployed.
    """
    with deployed():
        deployment = client.read_deployment_by_name(names.DRIVER_DEPLOYMENT)
    name, key = submission.places.manifest_name, key or uuid.uuid4().hex
    return client.create_flow_run_from_deployment(
        deployment.id,
        name=name,
        parameters=_parameters(submission, key),
        state=Scheduled(scheduled_time=submission.at) if submission.at else Scheduled(),
        tags=[
            names.TAG,
            names.DRIVER_TAG,
            names.manifest_tag(name),
            names.output_tag(submission.places),
            names.submission_tag(key),
        ],
        work_queue_name=submission.priority or submission.queue,
        idempotency_key=f"nst-submission:{key}",  # the client tries again what had no answer
    )


def submit_again(client: SyncPrefectClient, over_id: UUID) -> FlowRun:
    """A driver for what one that is over was submitted for: once for each time that it was run."""
    over = client.read_flow_run(over_id)
    deployment = client.read_deployment_by_name(names.DRIVER_DEPLOYMENT)
    key = uuid.uuid4().hex
    passing = {names.submission_tag(submission_of(over)), *names.PAUSE_TAGS}
    return client.create_flow_run_from_deployment(
        deployment.id,
        name=over.name,
        parameters={**over.parameters, "submission": key, "revivals": 0},
        state=Scheduled(),
        tags=[*(tag for tag in over.tags if tag not in passing), names.submission_tag(key)],
        work_queue_name=over.work_queue_name,
        idempotency_key=f"nst-again:{over.id}:{over.run_count}",
    )


def _parameters(submission: Submission, key: str) -> dict[str, Any]:
    return {
        "manifest": submission.manifest,
        "only": list(submission.only),
        "force": submission.force,
        "priority": submission.priority,
        "max_failed": submission.max_failed,
        "submission": key,
        "until": submission.until,
        "timezone": submission.timezone,
        **_preview_parameters(submission),
    }


def _preview_parameters(submission: Submission) -> dict[str, Any]:
    """Only where they are given: a farm deployed by an earlier version doesn't know them."""
    approve_at = submission.approve_at and submission.approve_at.isoformat()
    given = {"preview": submission.preview, "approve_at": approve_at}
    return {name: value for name, value in given.items() if value is not None}


# Finding


def recent(client: SyncPrefectClient, *, limit: int = PAGE) -> list[FlowRun]:
    """The newest drivers, those to come first."""
    return client.read_flow_runs(
        flow_run_filter=FlowRunFilter(tags=FlowRunFilterTags(all_=[names.TAG, names.DRIVER_TAG])),
        sort=FlowRunSort.EXPECTED_START_TIME_DESC,
        limit=limit,
    )


def submissions(runs: Iterable[FlowRun]) -> list[FlowRun]:
    """One driver of each submission, in the order of the runs: the one that is at work, else the first.

    A driver that died has a successor of the same submission, and one too many steps down.
    """
    chosen: dict[str, FlowRun] = {}
    for run in runs:
        known = chosen.setdefault(submission_of(run), run)
        if _rank(run) < _rank(known):
            chosen[submission_of(run)] = run
    return list(chosen.values())


def _rank(run: FlowRun) -> int:
    """How well a driver stands for its submission, or a submission for its manifest: best first."""
    if run.state is not None and run.state.name == REPLACED:
        return 3
    if is_over(run):
        return 2
    return 1 if run.state is None or run.state.is_scheduled() else 0


def live(client: SyncPrefectClient, places: OutputPlaces) -> list[FlowRun]:
    """Drivers of this output that are waiting or at work."""
    return with_tags(client, [names.TAG, names.DRIVER_TAG, names.output_tag(places)], states=LIVE)


def same_submission(client: SyncPrefectClient, run: FlowRun) -> list[FlowRun]:
    """All drivers of the run's submission: itself, and those that took its place when it died."""
    return with_tags(client, [names.DRIVER_TAG, names.submission_tag(submission_of(run))])


def with_tags(
    client: SyncPrefectClient, tags: Sequence[str], *, states: Sequence[StateType] | None = None
) -> list[FlowRun]:
    """Every run that has all the tags and is in one of the states, or in any."""
    chosen = FlowRunFilter(
        tags=FlowRunFilterTags(all_=list(tags)),
        state=StateFilter(type=FlowRunFilterStateType(any_=list(states))) if states is not None else None,
    )
    return list(pages(client, chosen))


def pages(client: SyncPrefectClient, chosen: FlowRunFilter) -> Iterator[FlowRun]:
    """All runs that a filter lets through, page by page."""
    return all_pages(partial(client.read_flow_runs, flow_run_filter=chosen, sort=FlowRunSort.ID_DESC))


def all_pages(read: Callable[..., Sequence[_Item]]) -> Iterator[_Item]:
    """All that `read(limit=..., offset=...)` gives, page by page."""
    for offset in itertools.count(0, PAGE):
        found = read(limit=PAGE, offset=offset)
        yield from found
        if len(found) < PAGE:
            return


class NoSuchRunError(UsageError):
    """A run that isn't there, or can't be told from others."""


def find(client: SyncPrefectClient, asked: str) -> FlowRun:
    """The driver with this id (or its beginning), or else the one for the manifest of this name: the newest
    that is at work, or the newest.

    Raises NoSuchRunError.
    """
    runs = recent(client)
    by_name = submissions(run for run in runs if names.manifest_tag(asked) in run.tags or run.name == asked)
    if by_name:
        at_work = [run for run in by_name if _rank(run) == 0]
        return (at_work or by_name)[0]
    wanted = asked.lower().replace("-", "")
    by_id = [run for run in runs if len(wanted) >= 4 and run.id.hex.startswith(wanted)]
    if len(by_id) == 1:
        return by_id[0]
    if by_id:
        raise NoSuchRunError(f"several runs have an id that begins with {asked!r}; give more of it")
    return _find_old(client, asked) or _not_found(runs, asked)


def _find_old(client: SyncPrefectClient, asked: str) -> FlowRun | None:
    """One that is not among the newest, by its whole id."""
    try:
        wanted = uuid.UUID(asked)
    except ValueError:
        return None
    chosen = FlowRunFilter(
        id=FlowRunFilterId(any_=[wanted]), tags=FlowRunFilterTags(all_=[names.TAG, names.DRIVER_TAG])
    )
    return next(pages(client, chosen), None)


def _not_found(runs: Sequence[FlowRun], asked: str) -> FlowRun:
    known = ", ".join(dict.fromkeys(run.name for run in runs[:10]))
    hint = f"; the latest are of: {known}" if known else "; nothing has been submitted yet"
    raise NoSuchRunError(f"there is no run {asked!r}{hint}")


def short_id(run: FlowRun) -> str:
    return run.id.hex[:SHORT_ID]


def link(run: FlowRun) -> str:
    """Its page in the dashboard."""
    return url_for("flow-run", obj_id=run.id) or str(run.id)


def state_text(run: FlowRun) -> str:
    """Its state in lower case; `paused` where people have asked for that."""
    if not is_over(run) and not names.PAUSE_TAGS.isdisjoint(run.tags):
        return "paused"
    return (run.state.name or str(run.state.type.value)).lower() if run.state else "unknown"


def is_over(run: FlowRun) -> bool:
    return run.state is not None and run.state.is_final()


def begins_later(run: FlowRun) -> bool:
    """Whether it is to begin at an hour that has not come."""
    waits = run.state is None or run.state.is_scheduled()
    return waits and run.start_time is None and (run.expected_start_time or now()) > now()


def submission_of(run: FlowRun) -> str:
    """Id of the submission: a driver that took another's place has that one's."""
    return str(run.parameters.get("submission") or run.id)


def manifest_of(run: FlowRun) -> Manifest:
    """The manifest that a driver was given, read again. Raises ManifestError, StorageError.

    StyleTransferError for a run that names none, as one that somebody made by hand may.
    """
    given = run.parameters
    if not isinstance(given.get("manifest"), str):
        raise StyleTransferError("the run names no manifest")
    return load_manifest(given["manifest"], output=given.get("output"), weights=given.get("weights"))
