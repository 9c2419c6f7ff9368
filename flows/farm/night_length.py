"""How long a manifest will take the slots that are there, and what is at work or waits before it.

As told when it is submitted, before any driver knows better.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, get_args

from prefect.client.orchestration import SyncPrefectClient

from flows.farm import names, submissions
from flows.farm.live_workers import LiveWorker
from flows.farm.manifest_progress import parse_progress
from flows.farm.names import Needs
from flows.farm.slot_work import read_progress
from flows.pairs.estimate import clock_text
from styletransfer.manifest.schema import Priority

_PRIORITIES: Final[tuple[str, ...]] = get_args(Priority)
"""From low to high."""


@dataclass(frozen=True)
class Ahead:
    """A manifest that slots render first, or at the same time: how many pairs are `left`, and when it will be
    through, as far as it has told."""

    manifest: str
    left: int | None = None
    through: datetime | None = None

    def __str__(self) -> str:
        """`harbour (7 pairs left)`."""
        return self.manifest + ("" if self.left is None else f" ({self.left} pair{'s' * (self.left != 1)} left)")


def read_ahead(client: SyncPrefectClient, priority: Priority) -> list[Ahead]:
    """Manifests of this priority or a higher one that wait or are at work, by name; not those of a later hour."""
    live = submissions.with_tags(client, [names.TAG, names.DRIVER_TAG], states=submissions.LIVE)
    due = [run for run in submissions.submissions(live) if not submissions.begins_later(run)]
    first = [run for run in due if _rank(run.work_queue_name) >= _rank(priority)]
    told, found = read_progress(client, first), []
    for run in first:
        progress = parse_progress(told.get(str(run.id), ""))
        found.append(Ahead(run.name, progress.left, progress.through) if progress else Ahead(run.name))
    return sorted(found, key=lambda each: each.manifest)


def _rank(queue: str | None) -> int:
    return _PRIORITIES.index(queue if queue in _PRIORITIES else "normal")


def in_service(workers: Iterable[LiveWorker], out: Collection[str]) -> list[LiveWorker]:
    """The slots among them, without those of these names."""
    return [worker for worker in workers if worker.pool != names.DRIVER_POOL and worker.name not in out]


def length_s(seconds: Mapping[Needs, Sequence[float]], slots: Sequence[LiveWorker]) -> float | None:
    """Until all pairs are done, by their seconds in a slot: shared out evenly at best, never before the longest is.

    None where some can't be rendered on any of the slots.
    """
    counts = {needs: sum(slot.slots for slot in slots if slot.has(needs)) for needs in seconds}
    if not counts or not all(counts.values()):
        return None
    spent = {needs: sum(each) for needs, each in seconds.items()}
    anywhere = sum(slot.slots for slot in slots if any(slot.has(needs) for needs in seconds))
    longest = max(max(each, default=0.0) for each in seconds.values())
    return max(longest, sum(spent.values()) / anywhere, *(spent[needs] / counts[needs] for needs in spent))


def length_text(
    seconds: Mapping[Needs, Sequence[float]], slots: Sequence[LiveWorker], ahead: Sequence[Ahead]
) -> str | None:
    """`on 2 slots about 0:40:00, once harbour (7 pairs left) is through`; None where it isn't known."""
    length = length_s(seconds, slots)
    if length is None:
        return None
    count = sum(slot.slots for slot in slots if any(slot.has(needs) for needs in seconds))
    text = f"on {count} slot{'s' * (count > 1)} about {clock_text(length)}"
    if not ahead:
        return text
    text += f", beside or behind {', '.join(map(str, ahead))}"
    if all(each.through for each in ahead):
        last = max(each.through for each in ahead if each.through)
        text += f", the last of them through by {last.astimezone():%a %H:%M}"
    return text
