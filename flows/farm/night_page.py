"""The page of the night in Prefect's dashboard: one artifact, kept up to date by whoever serves drivers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, tzinfo
from typing import Any, Final

from prefect import get_client
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import Artifact
from prefect.settings import PREFECT_UI_URL

from flows.farm import submissions, times
from flows.farm.markdown import markdown
from flows.farm.names import NIGHT_KEY
from flows.farm.night import PAUSED_TEXT, Night, NightManifest, read_night, slots_text
from flows.farm.slot_work import SlotWork, newest_artifact
from styletransfer.records.records import now

PAUSE_S: Final = 25.0
"""Least age of the page before it is written again, by whomever."""

MOST_ROWS: Final = 100
"""Of either table: the page is for people."""

_CHANGED: Final = "\n\nlast change: "


def keep_night_page() -> None:
    """Bring the page up to date, unless somebody else just has."""
    with get_client(sync_client=True) as client:
        there = newest_artifact(client, NIGHT_KEY)
        if there is not None and 0 <= (now() - (there.updated or now())).total_seconds() < PAUSE_S:
            return
        zone = times.zone_of(None)
        text = page(read_night(client), zone)
        if there is None or str(there.description).partition(_CHANGED)[0] != text:
            _write(client, there, text + _CHANGED + times.shown(now(), zone))


def _write(client: SyncPrefectClient, there: Artifact | None, text: str) -> None:
    """Straight to the API: Prefect's own calls send an event as well, with all of the page in it.

    As the description: that is what the dashboard shows at the address of a key.
    """
    body: dict[str, Any] = {"data": "", "description": text}
    if there is None:
        client.request("POST", "/artifacts/", json={"key": NIGHT_KEY, "type": "markdown", **body})
    else:
        client.request("PATCH", "/artifacts/{id}", path_params={"id": there.id}, json=body)


def night_link() -> str:
    """Where the page is to be seen; empty where no dashboard is known."""
    dashboard = PREFECT_UI_URL.value()
    return f"{dashboard.rstrip('/')}/artifacts/key/{NIGHT_KEY}" if dashboard else ""


# What it says


def page(night: Night, zone: tzinfo) -> str:
    """The night in Markdown, with times in `zone`."""
    parts = [f"{night.picture}\n\nlast finished: {markdown(night.caption)}"] if night.picture else []
    parts += [PAUSED_TEXT] if night.paused else []
    parts.append(_table(("manifest", "", "", "done", "failed", "left", "through"), _manifest_rows(night, zone)))
    if len(night.manifests) > MOST_ROWS:
        parts.append(f"... and {len(night.manifests) - MOST_ROWS} more manifests")
    shown = sorted(night.slots, key=lambda slot: (not slot.service, not slot.run))[:MOST_ROWS]
    parts += [slots_text(night.slots), _table(("host", "slot", "manifest", "pair", "left"), map(_slot_row, shown))]
    return "\n\n".join(parts)


def _manifest_rows(night: Night, zone: tzinfo) -> Iterator[tuple[str, ...]]:
    return (_manifest_row(each, zone) for each in night.manifests[:MOST_ROWS])


def _manifest_row(each: NightManifest, zone: tzinfo) -> tuple[str, ...]:
    name = f"[{markdown(each.run.name)}](/runs/flow-run/{each.run.id})"
    state = submissions.state_text(each.run)
    progress = each.progress
    if progress is None:
        return (name, "", f"{state} {markdown(each.over_text)}".strip(), "", "", "", "")
    counts = (progress.done, progress.failed, progress.left)
    return (
        name,
        each.bar_text,
        f"{state}, {progress.previewed} previewed" if progress.previewed else state,
        *map(str, counts),
        through_text(each.through, zone) if each.through else "",
    )


def through_text(through: datetime, zone: tzinfo | None = None) -> str:
    """`Tue 03:10`, in this host's zone unless told otherwise."""
    return f"{through.astimezone(zone):%a %H:%M}"


def _slot_row(slot: SlotWork) -> tuple[str, ...]:
    return tuple(map(markdown, (slot.host, slot.slot, slot.manifest, slot.text, slot.left)))


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
