"""A driver followed from a terminal: what its summary says as it changes, until the run is over."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import FlowRun

from flows.commands.options import DONE, FAILED, INTERRUPTED
from flows.commands.terminal import OUTCOME_STYLES, Lines
from flows.farm import submissions
from flows.farm.approvals import APPROVED, TO_BE_APPROVED
from flows.farm.names import HELD
from flows.pairs.listeners import Result
from styletransfer import storage
from styletransfer.errors import RecordError, StorageError
from styletransfer.records.output_places import OutputPlaces
from styletransfer.records.records import Summary, SummaryPair, read_summary

POLL_S: Final = 3.0

REVIVAL_S: Final = 60.0
"""A driver that died is started again within this time."""


def follow(
    client: SyncPrefectClient,
    run: FlowRun,
    places: OutputPlaces,
    lines: Lines,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Tell what happens to the run's pairs until it is over; returns the exit status.

    A driver that died and was revived is the same submission, and followed on.
    """
    before = _pairs(_summary(places))
    told, crashed = "", 0.0
    while True:
        run = _current(client, run)
        crashed = crashed + POLL_S if run.state is not None and run.state.is_crashed() else 0.0
        over = submissions.is_over(run) and not 0 < crashed < REVIVAL_S
        summary = _summary(places)  # read after the run: that of one that is over is its last
        now = _pairs(summary)
        if not submissions.is_over(run):
            told = _tell_state(run, told, lines)
        _tell_changes(before, now, lines)
        told = _tell_state(run, told, lines)
        before = now or before
        if over:
            return _sum_up(run, summary, places, lines)
        sleep(POLL_S)


def _tell_state(run: FlowRun, told: str, lines: Lines) -> str:
    """Say how the run stands, unless that is what was told last; returns it."""
    state = submissions.state_text(run)
    if state != told:
        lines.say(f"{run.name}: {state}")
    return state


def _current(client: SyncPrefectClient, run: FlowRun) -> FlowRun:
    """The run as it is now; or the one that took its place, once there is one."""
    run = client.read_flow_run(run.id)
    if run.state is None or not run.state.is_crashed():
        return run
    others = submissions.same_submission(client, run)
    return next((other for other in others if not submissions.is_over(other)), run)


def _summary(places: OutputPlaces) -> Summary | None:
    """The summary, if it can be read just now."""
    try:
        return read_summary(places.summary)
    except (RecordError, StorageError):
        return None


def _pairs(summary: Summary | None) -> dict[str, SummaryPair]:
    return {pair.id: pair for pair in summary.pairs} if summary else {}


def _tell_changes(before: Mapping[str, SummaryPair], now: Mapping[str, SummaryPair], lines: Lines) -> None:
    for pair in now.values():
        former = before.get(pair.id)
        if former is not None and _stand(former) == _stand(pair):
            continue
        if pair.state not in ("queued", "skipped"):
            lines.say(pair_text(pair), OUTCOME_STYLES.get(pair.state, ""))


def _stand(pair: SummaryPair) -> tuple[str, datetime | None]:
    """What is told when it changes. Two drivers of one output write its summary in turns: what the one has
    done, the other has skipped."""
    return ("done" if pair.state == "skipped" else pair.state, pair.finished)


def pair_text(pair: SummaryPair) -> str:
    """How a pair stands, in one line."""
    if pair.state == "done" and pair.seconds is not None:
        return f"{pair.id}: done in {pair.seconds:.1f} s, {pair.width}x{pair.height} px"
    return f"{pair.id}: {pair.state}" + (f": {pair.reason}" if pair.reason else "")


def _sum_up(run: FlowRun, summary: Summary | None, places: OutputPlaces, lines: Lines) -> int:
    """The last lines, and the exit status for how the run ended."""
    assert run.state is not None
    if summary is not None:
        only = set(run.parameters.get("only") or ())
        pairs = tuple(pair for pair in summary.pairs if not only or pair.id in only)
        lines.ended(Result(summary.manifest, storage.public(places.index), pairs))
    if run.state.is_completed():
        if run.state.name in (APPROVED, TO_BE_APPROVED):
            lines.say(f"{run.name}: {run.state.message}")
        return DONE
    message = f": {run.state.message}" if run.state.message else ""
    lines.note(f"{run.name}: {submissions.state_text(run)}{message}")
    return INTERRUPTED if run.state.is_cancelled() and run.state.name != HELD else FAILED
