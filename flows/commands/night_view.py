"""The night in a terminal, and as JSON: manifests with how far they are, slots with what they render."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import FlowRun
from rich.console import Group, RenderableType

from flows.commands.tables import plain, table
from flows.farm import submissions, times
from flows.farm.approvals import APPROVED, TO_BE_APPROVED
from flows.farm.names import tags_text
from flows.farm.night import PAUSED_TEXT, Night, NightManifest, read_night, slots_text
from flows.farm.night_page import night_link, through_text
from flows.farm.slot_work import SlotWork
from styletransfer.errors import StyleTransferError
from styletransfer.records.output_places import OutputPlaces
from styletransfer.records.records import PAIR_STATES, Summary, read_summary


def night_view(client: SyncPrefectClient) -> RenderableType:
    """All of it, as it is now."""
    night = read_night(client)
    parts: list[RenderableType] = [plain(f"{PAUSED_TEXT}\n")] if night.paused else []
    parts += [_manifests(night) if night.manifests else plain(NOTHING)]
    if night.caption:
        parts += [plain(f"\nlast finished: {night.caption}")]
    parts += [plain(f"\n{slots_text(night.slots)}"), slots_view(night.slots)]
    if link := night_link():
        parts.append(plain(f"\nthe night in the dashboard: {link}"))
    return Group(*parts)


NOTHING = "no runs; hand over a manifest with: styletransfer submit MANIFEST"
NO_SLOT = "no slot is there; start one with: styletransfer worker"


def slots_view(slots: Iterable[SlotWork]) -> RenderableType:
    found = list(slots)
    if not found:
        return plain(NO_SLOT)
    columns = {
        "host": [slot.host for slot in found],
        "slot": [slot.slot for slot in found],
        "pool": [slot.pool for slot in found],
        "tags": [tags_text(slot.tags) for slot in found],
        "manifest": [slot.manifest for slot in found],
        "pair": [slot.text for slot in found],
        "left": [slot.left for slot in found],
    }
    if not any(columns["tags"]):
        del columns["tags"]
    return table(tuple(columns), zip(*columns.values(), strict=True), right=("left",))


def _manifests(night: Night) -> RenderableType:
    headings = ("run", "manifest", "state", "", "pairs", "begun", "time", "through")
    return table(headings, map(_row, night.manifests), right=("time",))


def _row(each: NightManifest) -> tuple[str, ...]:
    run = each.run
    begun = each.begun or (None if submissions.is_over(run) else run.expected_start_time)
    taken = times.duration_text(run.estimated_run_time.total_seconds()) if each.begun else ""
    return (
        submissions.short_id(run),
        run.name,
        submissions.state_text(run),
        each.bar_text,
        _pairs_text(each),
        f"{begun.astimezone():%a %d %b %H:%M}" if begun else "",
        taken,
        through_text(each.through) if each.through else "",
    )


def _pairs_text(each: NightManifest) -> str:
    """`7 done, 1 failed, 4 left`; of a driver that has told nothing yet, what its summary says.

    Of previews without how to approve them, which `status RUN` tells: the column is as wide for all.
    """
    if each.over_text or each.begun is None:
        of_previews = each.run.state is not None and each.run.state.name in (TO_BE_APPROVED, APPROVED)
        return each.over_text.partition(";")[0] if of_previews else each.over_text
    if each.progress is None:
        summary = None if submissions.is_over(each.run) else _summary(each.run)
        return counts_text(summary) if summary else ""
    stand = each.progress
    counts = {"done": stand.done, "previewed": stand.previewed, "failed": stand.failed, "left": stand.left}
    return ", ".join(f"{count} {state}" for state, count in counts.items() if count)


def counts_text(summary: Summary) -> str:
    """`7 done, 1 failed`."""
    return ", ".join(f"{summary.counts[state]} {state}" for state in PAIR_STATES if state in summary.counts)


def _summary(run: FlowRun) -> Summary | None:
    """The summary of the run's results, if there is one that can be read."""
    try:
        manifest = submissions.manifest_of(run)
        return read_summary(OutputPlaces(manifest.output, manifest.name).summary)
    except StyleTransferError:
        return None


def night_json(client: SyncPrefectClient) -> dict[str, Any]:
    """The same for programs. Times are ISO 8601."""
    night = read_night(client)
    return {
        "manifests": list(map(_manifest_json, night.manifests)),
        "slots": slots_json(night.slots),
        "paused": night.paused,
        "last_finished": night.caption or None,
    }


def _manifest_json(each: NightManifest) -> dict[str, Any]:
    progress, run = each.progress, each.run
    counts = None
    if progress is not None:
        counts = {name: getattr(progress, name) for name in ("done", "failed", "rendering", "left", "previewed")}
    return {
        "run": str(run.id),
        "manifest": run.name,
        "state": submissions.state_text(run),
        "pairs": counts,
        "message": each.over_text or None,
        "begun": _iso(each.begun),
        "ended": _iso(run.end_time),
        "through": _iso(progress.through if progress else None),
    }


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def slots_json(slots: Iterable[SlotWork]) -> list[dict[str, Any]]:
    return [
        {
            "host": slot.host,
            "slot": slot.slot,
            "pool": slot.pool,
            "tags": sorted(slot.tags),
            "run": slot.run or None,
            "manifest": slot.manifest or None,
            "pairs": dict(slot.pairs),
            "left": slot.left or None,
            "service": slot.service.model_dump(mode="json", exclude={"worker"}) if slot.service else None,
        }
        for slot in slots
    ]
