"""Render runs as their driver sees them: submitted, read, given up, cancelled. Client calls only, no decisions.

Every call can be repeated, so whoever calls may begin anew after any failure: what was submitted already is
found again, by its tags and by its key.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterIdempotencyKey,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.deployments import run_deployment
from prefect.events.filters import (
    EventFilter,
    EventNameFilter,
    EventOccurredFilter,
    EventResourceFilter,
)
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelled, Cancelling, Crashed, Running

from flows.farm import names, submissions
from flows.farm.driver.attempts import RunEnd
from flows.farm.driver.groups import Group
from flows.farm.live_workers import LiveWorker, live_workers
from flows.farm.names import HELD, WORKER_LABEL, Needs, Place
from flows.farm.slot_service import read_services
from styletransfer.manifest.max_failed import MaxFailed
from styletransfer.manifest.schema import Priority
from styletransfer.planning.plan import PlannedPair
from styletransfer.records.output_places import OutputPlaces

PAGE: Final = 200
"""Runs asked for by id at once: the server's limit."""

KEYS: Final = 20
"""Runs of one and the same group that are looked for at once."""

log = logging.getLogger(__name__)

Phase = Literal["waiting", "pending", "running", "suspended", "cancelling"] | RunEnd

_PHASES: Final[Mapping[StateType, Phase]] = {
    StateType.SCHEDULED: "waiting",
    StateType.PENDING: "pending",
    StateType.RUNNING: "running",
    StateType.PAUSED: "suspended",
    StateType.CANCELLING: "cancelling",
    StateType.COMPLETED: "completed",
    StateType.FAILED: "failed",
    StateType.CANCELLED: "cancelled",
    StateType.CRASHED: "crashed",
}


@dataclass(frozen=True)
class RenderRun:
    """A render run as it stands: `phase`, `since` when (the server's clock), why; whether it began, and where."""

    id: str
    name: str
    phase: Phase
    pairs: tuple[str, ...]
    submission: str
    needs: Needs
    message: str = ""
    since: datetime | None = None
    begun: bool = True
    place: Place | None = None

    @property
    def live(self) -> bool:
        return self.phase in ("waiting", "pending", "running", "suspended", "cancelling")


@dataclass(frozen=True)
class RenderRequest:
    """What a driver asks of every render run, beside its pairs. `priority` in place of the pairs' own.

    `max_failed` in place of the manifest's. With `preview` no more than each pair's scales up to so many px.
    """

    manifest: str
    submission: str
    places: OutputPlaces
    force_before: datetime | None = None
    until: datetime | None = None
    timezone: str | None = None
    priority: Priority | None = None
    max_failed: MaxFailed | None = None
    preview: int | None = None


class RenderRuns:
    """The render runs of one output folder, through a client."""

    def __init__(self, client: SyncPrefectClient, request: RenderRequest) -> None:
        self._client = client
        self._request = request

    # Reading

    def live(self) -> list[RenderRun]:
        """All live render runs of this output, whoever submitted them. One that is suspended goes on."""
        tags = [names.RENDER_TAG, names.output_tag(self._request.places)]
        runs = [as_run(run) for run in submissions.with_tags(self._client, tags, states=submissions.LIVE)]
        for run in runs:
            if run.phase == "suspended":
                self._wake(run)
        return [replace(run, phase="running") if run.phase == "suspended" else run for run in runs]

    def _wake(self, run: RenderRun) -> None:
        way = f"pause its manifest: styletransfer pause {self._request.places.manifest_name}"
        log.warning("%s: its render run can't be suspended; %s", run.name, way)
        self._set(run, Running(message=f"a render run can't be suspended; {way}"), force=True)

    def read(self, run_ids: Iterable[str]) -> dict[str, RenderRun]:
        """Runs by id; one that was deleted is missing."""
        found: dict[str, RenderRun] = {}
        wanted = [UUID(run_id) for run_id in run_ids]
        for first in range(0, len(wanted), PAGE):
            chosen = FlowRunFilter(id=FlowRunFilterId(any_=wanted[first : first + PAGE]))
            runs = self._client.read_flow_runs(flow_run_filter=chosen, limit=PAGE)
            found |= {str(run.id): as_run(run) for run in runs}
        return found

    def slots_in_service(self) -> list[LiveWorker]:
        """Slots that have been heard of lately and take runs, one at a time."""
        out = read_services(self._client)
        workers = [worker for worker in live_workers(self._client) if worker.name not in out]
        return [worker for worker in workers if worker.pool != names.DRIVER_POOL]

    def beats_since(self, run_id: str, moment: datetime) -> bool:
        """Whether a run has been heard of since then: it lives, whatever its state says."""
        chosen = EventFilter(
            event=EventNameFilter(name=["prefect.flow-run.heartbeat"]),
            resource=EventResourceFilter(id=[f"prefect.flow-run.{run_id}"]),
            occurred=EventOccurredFilter.model_validate({"since": moment}),
        )
        return bool(self._client.read_events(chosen, limit=1).events)

    # Changing

    def submit(self, group: Group, attempts: Mapping[str, int]) -> RenderRun:
        """A live run that renders the group: a new one, or the one that was submitted for it before.

        `attempts`: which attempt this is of each pair. Raises StyleTransferError where nothing is deployed.
        """
        with submissions.deployed():
            run = run_deployment(
                names.RENDER_DEPLOYMENTS[group.needs.gpus],
                timeout=0,
                parameters=self._parameters(group, attempts),
                flow_run_name=run_name(self._request.places.manifest_name, group.ids),
                tags=self._tags(group),
                idempotency_key=self._key(group, attempts),
                work_queue_name=group.priority,
            )
        assert isinstance(run, FlowRun)  # no coroutine: this is no async caller
        return as_run(run)

    def _parameters(self, group: Group, attempts: Mapping[str, int]) -> dict[str, Any]:
        request = self._request
        return {
            "manifest": request.manifest,
            "pairs": list(group.ids),
            "attempts": {pair: attempt for pair, attempt in attempts.items() if attempt > 1},
            "submission": request.submission,
            "gpus": group.needs.gpus,
            "force_before": _iso(request.force_before),
            "until": _iso(request.until),
            "timezone": request.timezone,
            **({} if request.preview is None else {"preview": request.preview}),
        }

    def _tags(self, group: Group) -> list[str]:
        places = self._request.places
        tags = [names.TAG, names.RENDER_TAG, names.manifest_tag(places.manifest_name), names.output_tag(places)]
        tags += [names.submission_tag(self._request.submission), *names.requirement_tags(group.needs.requires)]
        return [*tags, *pair_tags(group.pairs[0])] if len(group.pairs) == 1 else tags

    def _key(self, group: Group, attempts: Mapping[str, int]) -> str:
        """The group's key; with a number behind it where runs with that key are over."""
        base = group_key(self._request.places, group.pairs, max(attempts.values(), default=1))
        first = 0
        while True:
            keys = [f"{base}:{number}" if number else base for number in range(first, first + KEYS)]
            chosen = FlowRunFilter(idempotency_key=FlowRunFilterIdempotencyKey(any_=keys))
            runs = self._client.read_flow_runs(flow_run_filter=chosen, limit=PAGE)
            over = {run.idempotency_key for run in runs if submissions.is_over(run)}
            for key in keys:
                if key not in over:
                    return key
            first += KEYS

    def cancel(self, run: RenderRun) -> None:
        """End a run for good: at once if it waits, else its worker ends it, and it saves its state first."""
        message = "its driver was cancelled"
        self._set(run, Cancelled(message=message) if run.phase == "waiting" else Cancelling(message=message))

    def take_back(self, run: RenderRun, reason: str) -> None:
        """End a run that waits for a worker, and have its pairs back."""
        self._set(run, Cancelled(name=HELD, message=reason))

    def give_up(self, run: RenderRun, reason: str) -> None:
        """Count a run as crashed that nothing has been heard of."""
        self._set(run, Crashed(message=reason), force=True)

    def bring_back(self, run: RenderRun) -> None:
        """Count a run as running again that was given up too soon."""
        self._set(run, Running(message="it was taken for lost, but is heard of again"), force=True)

    def _set(self, run: RenderRun, state: State[Any], *, force: bool = False) -> None:
        with suppress(ObjectNotFound):  # somebody has deleted the run
            self._client.set_flow_run_state(UUID(run.id), state, force=force)


def as_run(run: FlowRun) -> RenderRun:
    """What a driver wants to know of a flow run."""
    state: State[Any] | None = run.state
    given = run.parameters
    return RenderRun(
        id=str(run.id),
        name=run.name,
        phase=_phase(state),
        pairs=tuple(given.get("pairs") or ()),
        submission=str(given.get("submission") or ""),
        needs=Needs(2 if given.get("gpus") == 2 else 1, names.required_by(run.tags)),
        message=(state.message if state else None) or "",
        since=state.timestamp if state else None,
        begun=run.start_time is not None,
        place=Place.of_worker(str(run.labels[WORKER_LABEL])) if WORKER_LABEL in run.labels else None,
    )


def _phase(state: State[Any] | None) -> Phase:
    if state is None:
        return "waiting"
    return "held" if state.is_cancelled() and state.name == HELD else _PHASES[state.type]


def group_key(places: OutputPlaces, pairs: Sequence[PlannedPair], attempt: int) -> str:
    """The same for the same pictures under the same ids, place, attempt and tags, whoever asks for them."""
    prints = sorted(map(_print, pairs))
    requires = sorted(frozenset[str]().union(*(planned.pair.requires for planned in pairs)))
    text = "\n".join([places.folder, *prints, str(attempt), *requires])
    return f"nst:{hashlib.sha256(text.encode()).hexdigest()}"


def _print(planned: PlannedPair) -> str:
    """With its id, as pairs may share a fingerprint, and how far it is rendered if not to its end."""
    return " ".join([planned.id, str(planned.fingerprint), *map(str, planned.scales[-1:] if planned.whole else ())])


def run_name(manifest: str, pairs: Collection[str]) -> str:
    """`harbour: boat--wave`, `harbour: 12 pairs`."""
    return f"{manifest}: {next(iter(pairs))}" if len(pairs) == 1 else f"{manifest}: {len(pairs)} pairs"


def pair_tags(planned: PlannedPair) -> Iterator[str]:
    """Of a run with one pair."""
    yield names.pair_tag(planned.id)
    yield names.style_tag(style.image for style in planned.pair.styles)
    if planned.scales:
        yield names.size_tag(planned.scales[-1])


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
