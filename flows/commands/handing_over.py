"""A manifest handed to the farm: checked, within the workers' reach, stored with its results, submitted."""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime, tzinfo
from itertools import islice
from typing import Final
from zoneinfo import ZoneInfo

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import FlowRun

from flows.commands.following import follow
from flows.commands.options import DONE, load
from flows.commands.slot_speeds import slot_speed
from flows.commands.terminal import Lines
from flows.farm import manifest_copy, names, orders, submissions, times
from flows.farm.driver.groups import needs_of
from flows.farm.live_workers import LiveWorker, live_workers
from flows.farm.names import Needs, tags_text
from flows.farm.night_length import in_service, length_text, read_ahead
from flows.farm.slot_devices import read_devices
from flows.farm.slot_service import read_services
from flows.farm.submissions import Submission
from flows.farm.workers.host_slots import host_name
from flows.pairs.estimate import expected_text
from flows.server.connection import is_on_this_host
from styletransfer import storage
from styletransfer.errors import Fault, ManifestError
from styletransfer.manifest.pairs import Manifest
from styletransfer.manifest.schema import Priority
from styletransfer.planning.expected import expected
from styletransfer.planning.inputs import FoundInput
from styletransfer.planning.plan import Plan, plan_manifest
from styletransfer.records.records import now
from styletransfer.renders.previews import preview_plan
from styletransfer.renders.same_picture import foreseen
from styletransfer.storage.retries import Retries

_SHOWN = 5

SUBMIT_DELAYS_S: Final = (1.0, 2.0, 4.0)
"""Between tries: somebody waits, and an address may be wrong for good. What is submitted is tried for longer."""


def hand_over(client: SyncPrefectClient, submission: Submission, lines: Lines, *, zone: tzinfo, wait: bool) -> int:
    """Submit, say where it can be seen, and follow it if asked to; returns the exit status."""
    run = submitted(client, submission, lines, zone=zone)
    return follow(client, run, submission.places, lines) if wait else DONE


def submitted(client: SyncPrefectClient, submission: Submission, lines: Lines, *, zone: tzinfo) -> FlowRun:
    """Submit, and say where it can be seen; returns the run."""
    run = submissions.submit(client, submission)
    begins = f", to begin {times.shown(submission.at, zone)}" if submission.at else ""
    end = until_text(submission.until, submission.timezone, submission.at or now())
    lines.say(f"{run.name}: submitted as {submissions.short_id(run)}{begins}{end}")
    lines.say(f"dashboard: {submissions.link(run)}")
    if orders.farm_is_paused(client):
        lines.note("note: the farm is paused; to go on: styletransfer resume")
    return run


def until_text(until: str | None, timezone: str | None, begins: datetime) -> str:
    """`, until Mon 2026-03-02 07:00 CET`, for what begins then; nothing where it has no end."""
    if until is None:
        return ""
    zone = times.zone_of(timezone)
    return f", until {times.shown(times.next_clock(times.parse_clock(until), zone, begins), zone)}"


def when(options: argparse.Namespace) -> tuple[ZoneInfo, datetime | None, str | None]:
    """Time zone, moment to begin and time of day to end, as far as the command takes them. Raises TimeError."""
    given = vars(options)
    at, until = given.get("at"), given.get("until")
    zone = asked_zone(options)
    return zone, moment(at, zone) if at else None, f"{times.parse_clock(until):%H:%M}" if until else None


def asked_zone(options: argparse.Namespace) -> ZoneInfo:
    """`--timezone`, or else this host's. Raises TimeError."""
    return times.zone_of(options.timezone)


def moment(text: str, zone: tzinfo) -> datetime:
    """The moment that is meant, in UTC. Raises TimeError."""
    return times.parse_at(text, zone, datetime.now(UTC))


def planned(options: argparse.Namespace, lines: Lines, preview: int | None = None) -> Plan:
    """The manifest's plan, or that of its previews up to so many px, without a fault. Raises ManifestError with all
    there are."""
    retries = Retries(lines.note, SUBMIT_DELAYS_S)
    manifest = retries.call(lambda: load(options))
    plan = plan_manifest(manifest, force=options.force, only=options.only, retries=retries)
    plan.check()
    if not options.force:
        plan = retries.call(lambda: foreseen(plan))
    return plan if preview is None else retries.call(lambda: preview_plan(plan, preview))


def check_reach(manifest: Manifest, *, shared: bool) -> None:
    """Raises ManifestError where the manifest names what workers on other hosts can't see."""
    if shared or is_on_this_host():
        return
    local = [(what, url) for what, url in manifest_copy.locations(manifest) if storage.is_local(url)]
    if local:
        raise ManifestError(_reach_faults(local), storage.name(manifest.location))


def _reach_faults(local: list[tuple[str, str]]) -> Iterator[Fault]:
    for what, url in islice(local, _SHOWN):
        yield Fault(what, f"is {url}, on this host; workers on others may not see it")
    if len(local) > _SHOWN:
        yield Fault("", f"names {len(local) - _SHOWN} more such paths")
    yield Fault("", "put them on s3://, or say --shared-filesystem if every worker sees these paths")


def stored(manifest: Manifest, lines: Lines, found: Mapping[str, FoundInput] | None = None) -> str:
    """URL of the manifest's copy among its results, with what was `found` of its inputs."""
    if manifest_copy.has_private_urls(manifest):
        folder = storage.public(manifest.output)
        lines.note(f"note: the copy of the manifest in {folder} holds the secrets of the URLs that it names")
    return Retries(lines.note, SUBMIT_DELAYS_S).call(lambda: manifest_copy.store(manifest, found))


def notes(
    plan: Plan, client: SyncPrefectClient, priority: Priority | None = None, told: Callable[[], None] = lambda: None
) -> Iterable[str]:
    """What whoever submits should know. `told` is called before this machine is measured, where it has slots."""
    queued, held = plan.having("queued"), plan.having("held")
    previewed = f", {len(held)} previewed before" if held else ""
    yield f"{len(queued)} to render, {len(plan.pairs) - len(queued) - len(held)} done before{previewed}"
    workers = live_workers(client)
    slots = in_service(workers, read_services(client))
    coming = expected(plan, slot_speed(slots, read_devices(client), host_name(), told))
    if text := expected_text(coming, len(queued)):
        yield text
    if len(coming.seconds) == len(queued):
        seconds = defaultdict(list)
        for pair in queued:
            seconds[needs_of(pair)].append(coming.seconds[pair.id])
        if text := length_text(seconds, slots, read_ahead(client, priority or plan.manifest.priority)):
            yield text
    yield from worker_notes({pair.pair.settings.gpus for pair in queued}, workers)
    yield from tag_notes(map(needs_of, queued), workers)
    for run in submissions.live(client, plan.places):
        yield (
            f"run {submissions.short_id(run)} for the same results is {submissions.state_text(run)}; "
            "what it is rendering is left to it, and nothing is rendered twice"
        )


def worker_notes(gpu_counts: Iterable[int], workers: Iterable[LiveWorker]) -> Iterator[str]:
    """Which of the workers that it takes are not there now."""
    there = {worker.pool for worker in workers}
    if names.DRIVER_POOL not in there:
        yield "no worker for drivers is there now; the run waits for one (styletransfer worker --driver)"
    for gpus in sorted(set(gpu_counts)):
        if names.RENDER_POOLS[names.pool_for(gpus)] not in there:
            option = f" --gpus-per-render {gpus}" if gpus > 1 else ""
            yield (
                f"no worker for pairs with `gpus: {gpus}` is there now; they wait for one "
                f"(styletransfer worker{option})"
            )


def tag_notes(needs: Iterable[Needs], workers: Collection[LiveWorker]) -> Iterator[str]:
    """For which tags no slot is there now, and which there are."""
    for each in sorted(set(needs), key=str):
        if each.requires and not any(worker.has(each) for worker in workers):
            same = {worker.tags for worker in workers if worker.has(Needs(each.gpus))}
            there = "; ".join(sorted(map(tags_text, filter(None, same)))) or "none with tags"
            options = "".join(f" --tag {tag}" for tag in sorted(each.requires))
            yield (
                f"no slot of {each} is there now (there are: {there}); the pairs that require it wait for one "
                f"(styletransfer worker{options})"
            )
