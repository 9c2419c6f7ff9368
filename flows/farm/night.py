"""The night at a glance: every manifest that waits, is at work or ended lately, every slot, the last picture.

All of it comes from the server: each driver tells it how far its manifest is. The page in the dashboard and
`styletransfer status` show the same night.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import FlowRun

from flows.farm import names, slot_work, submissions
from flows.farm.artifacts import KEY_PREFIX
from flows.farm.manifest_progress import ManifestProgress, parse_progress
from flows.farm.markdown import unmarked
from flows.farm.orders import farm_is_paused
from flows.farm.slot_work import SlotWork
from styletransfer.records.records import now

RECENT: Final = timedelta(days=3)
"""How long manifests that are over belong to it."""

BAR_LETTERS: Final = 12


@dataclass(frozen=True)
class NightManifest:
    """One submission, by the driver that stands for it. `progress`: None until its driver has told any."""

    run: FlowRun
    progress: ManifestProgress | None

    @property
    def begun(self) -> datetime | None:
        """When its driver began; Prefect has a start of what was cancelled before it began, too."""
        return self.run.start_time if self.run.run_count else None

    @property
    def bar_text(self) -> str:
        """`██████░░░░░░ 50 %`; empty until its driver has told any."""
        if self.progress is None:
            return ""
        return f"{bar(self.progress.fraction)} {100 * self.progress.fraction:.0f} %"

    @property
    def through(self) -> datetime | None:
        """When its last pair will be, as far as is known; None once it is over."""
        return None if self.progress is None or submissions.is_over(self.run) else self.progress.through

    @property
    def over_text(self) -> str:
        """`7 done, 1 failed`, in its driver's own words, once it is over."""
        state = self.run.state
        if state is None or not state.is_final():
            return ""
        if state.is_cancelled() and state.name != names.HELD:
            return ""  # its message is the worker's, that it has ended the process
        return (state.message or "").partition("\n")[0]


@dataclass(frozen=True)
class Night:
    """`manifests`: the newest first. `picture`: the last finished, in Markdown. `paused`: the whole farm."""

    manifests: tuple[NightManifest, ...]
    slots: tuple[SlotWork, ...]
    picture: str = ""
    caption: str = ""
    paused: bool = False


def read_night(client: SyncPrefectClient) -> Night:
    """As the server knows it now. Raises StyleTransferError where nothing has been deployed."""
    slots = slot_work.read_slots(client)
    runs = night_runs(client)
    progress = slot_work.read_progress(client, runs)
    manifests = (NightManifest(run, parse_progress(progress.get(str(run.id), ""))) for run in runs)
    picture, caption = _latest(client)
    return Night(tuple(manifests), tuple(slots), picture, caption, farm_is_paused(client))


def night_runs(client: SyncPrefectClient) -> list[FlowRun]:
    """Drivers that wait or are at work, and those that ended lately; one of each submission, the newest first."""
    live = submissions.with_tags(client, [names.TAG, names.DRIVER_TAG], states=submissions.LIVE)
    found = {run.id: run for run in [*submissions.recent(client), *live]}
    newest_first = sorted(found.values(), key=lambda run: run.expected_start_time or now(), reverse=True)
    return [run for run in submissions.submissions(newest_first) if not submissions.is_over(run) or _is_recent(run)]


def _is_recent(run: FlowRun) -> bool:
    return (run.end_time or run.updated or now()) > now() - RECENT


def _latest(client: SyncPrefectClient) -> tuple[str, str]:
    """The last finished picture of any driver, in Markdown, and what it is of; empty where there is none."""
    found = slot_work.newest_artifact(client, KEY_PREFIX + names.LATEST_ARTIFACT)
    return (found.description or "", unmarked(str(found.data or ""))) if found else ("", "")


def bar(fraction: float) -> str:
    """`██████░░░░░░`."""
    full = int(BAR_LETTERS * fraction + 0.5) if fraction < 1 else BAR_LETTERS
    return "█" * full + "░" * (BAR_LETTERS - full)


PAUSED_TEXT: Final = "the farm is paused; to go on: styletransfer resume"


def slots_text(slots: Sequence[SlotWork]) -> str:
    """`2 slots, 1 idle, 1 out of service`."""
    idle = sum(not slot.run and not slot.service for slot in slots)
    out = sum(slot.service is not None for slot in slots)
    return f"{len(slots)} slot{'s' * (len(slots) != 1)}, {idle} idle" + (f", {out} out of service" if out else "")
