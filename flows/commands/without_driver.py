"""What can be told of a run's pairs while no driver keeps their table: from notes, records and render runs."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import FlowRun, StateType

from flows.farm import names, submissions
from flows.farm.heartbeats import last_heard, server_time
from flows.farm.pair_notes import PairNote, read_notes
from styletransfer.records.output_places import OutputPlaces
from styletransfer.records.records import Summary, SummaryPair, read_record


def silent_s(client: SyncPrefectClient, run: FlowRun) -> float | None:
    """For how long a driver at work has not been heard of, in seconds; None if it has been lately."""
    return _silent(client, [run]).get(str(run.id)) if is_at_work(run) else None


def is_at_work(run: FlowRun) -> bool:
    """Whether its process is under way, by its state."""
    return run.state is not None and (run.state.is_running() or run.state.is_cancelling())


def _silent(client: SyncPrefectClient, runs: Collection[FlowRun]) -> dict[str, float]:
    """Seconds by id, of those runs that have not been heard of for longer than one that lives is silent."""
    moment = server_time(client)
    heard = last_heard(client, runs, moment, names.LOST_AFTER_S)
    return {str(run_id): (moment - last).total_seconds() for run_id, last in heard.items()}


def as_they_stand(client: SyncPrefectClient, places: OutputPlaces, summary: Summary) -> Summary:
    """The table with those pairs put right that notes, records and render runs tell of. Raises StorageError."""
    tags = [names.RENDER_TAG, names.output_tag(places)]
    runs = submissions.with_tags(client, tags, states=[StateType.RUNNING])
    live = {str(run.id) for run in runs} - _silent(client, runs).keys()
    notes = read_notes(places)
    pairs = [_stand(pair, notes.get(pair.id), live, places, summary.updated) for pair in summary.pairs]
    return summary.model_copy(update={"pairs": tuple(pairs)})


def _stand(
    pair: SummaryPair, note: PairNote | None, live: Collection[str], places: OutputPlaces, updated: datetime
) -> SummaryPair:
    if note is not None and note.state == "rendering" and note.run in live:
        return _changed(pair, "rendering", " ".join(filter(None, [note.host, note.slot])))
    if note is not None and note.state != "rendering" and note.since > updated:
        return _changed(pair, note.state, note.reason)
    if pair.state != "rendering" and (note is None or note.state != "rendering"):
        return pair
    record = read_record(places.record(pair.id))
    if record is not None and record.fingerprint == pair.fingerprint:
        return _changed(pair, "done", None)
    return _changed(pair, "queued", "its render run is over; a driver goes on with it")


def _changed(pair: SummaryPair, state: str, reason: str | None) -> SummaryPair:
    return pair.model_copy(update={"state": state, "reason": reason})
