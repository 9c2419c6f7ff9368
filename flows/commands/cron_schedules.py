"""Schedules on the farm's server: checked and put there, listed, removed."""

from __future__ import annotations

import argparse
from pathlib import Path

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.responses import DeploymentResponse

from flows.commands.handing_over import check_reach, stored, until_text, when, worker_notes
from flows.commands.options import DONE
from flows.commands.tables import show, table
from flows.commands.terminal import Lines
from flows.farm import names, times
from flows.farm.live_workers import live_workers
from flows.farm.overnight import cron_deployments
from flows.farm.overnight.cron_deployments import Schedule
from flows.farm.overnight.inbox import is_manifest, manifests_in
from flows.server.connection import is_on_this_host
from styletransfer import storage
from styletransfer.errors import Fault, SettingsError, StorageError, StyleTransferError, UsageError
from styletransfer.manifest.pairs import Manifest
from styletransfer.manifest.reader import load_manifest
from styletransfer.planning.plan import plan_manifest

_NOT_SEEN = "the server has planned no run of it yet; is its scheduler at work? See: styletransfer schedule --list"


def asked_for(options: argparse.Namespace, lines: Lines) -> Schedule:
    """The schedule asked for. Raises UsageError."""
    zone, _, until = when(options)
    cron = cron_deployments.parse_cron(options.cron, zone.key)
    asked = storage.resolve(".", options.source)
    source = _source(asked, lines, shared=options.shared_filesystem)
    return Schedule(
        name=cron_deployments.name_for(asked),
        base=names.INBOX_DEPLOYMENT,
        cron=cron,
        parameters={"source": source, "until": until, "timezone": zone.key, "priority": options.priority},
        description=storage.public(asked),
    )


def put(client: SyncPrefectClient, schedule: Schedule, lines: Lines) -> int:
    """Make a schedule, and say when it runs first; returns the exit status."""
    change = cron_deployments.put(client, schedule)
    lines.say(f"{schedule.description}: {change}: '{schedule.cron.cron}' in {schedule.cron.timezone}")
    for note in worker_notes((), live_workers(client)):
        lines.note(f"note: {note}")
    begins = cron_deployments.await_next_run(client, schedule.full_name)
    if begins is None:
        lines.note(f"note: {_NOT_SEEN}")
    else:
        zone = schedule.cron.timezone or "UTC"
        end = until_text(schedule.parameters.get("until"), zone, begins)
        lines.say(f"next: {times.shown(begins, times.parse_zone(zone))}{end}")
    return DONE


# What is rendered


def _source(asked: str, lines: Lines, *, shared: bool) -> str:
    """The URL of the folder or manifest for the farm, once what it holds has been checked."""
    if not is_manifest(asked):
        _check_folder(asked, lines, shared=shared)
        return asked
    manifest = _load(asked)
    plan_manifest(manifest).check()
    check_reach(manifest, shared=shared)
    seen = shared or is_on_this_host() or not storage.is_local(asked)
    return asked if seen and storage.public(asked) == asked else stored(manifest, lines)


def _check_folder(folder: str, lines: Lines, *, shared: bool) -> None:
    """Raises UsageError for one that workers can't see, or nobody; notes manifests that are wrong now."""
    if storage.is_local(folder) and not (shared or is_on_this_host()):
        text = "is on this host; put it on s3://, or say --shared-filesystem if every worker sees it"
        raise SettingsError([Fault(folder, text)])
    if storage.is_local(folder) and not Path(folder).is_dir():
        raise SettingsError([Fault(storage.public(folder), "is no folder that is there, nor a manifest (*.yaml)")])
    try:
        found = manifests_in(folder)
    except StorageError as error:
        raise UsageError(str(error)) from error
    lines.say(f"{storage.public(folder)}: {len(found)} manifest{'' if len(found) == 1 else 's'} now")
    for url in found:
        try:
            plan_manifest(load_manifest(url)).check()
        except StyleTransferError as error:
            for line in str(error).splitlines():
                lines.note(f"note: not rendered as it is: {line}")


def _load(url: str) -> Manifest:
    try:
        return load_manifest(url)
    except StorageError as error:
        raise UsageError(str(error)) from error


# What is scheduled


def remove(client: SyncPrefectClient, asked: str, lines: Lines) -> int:
    source = storage.resolve(".", asked)
    flow = names.INBOX_DEPLOYMENT.partition("/")[0]
    if not cron_deployments.remove(client, f"{flow}/{cron_deployments.name_for(source)}"):
        known = ", ".join(each.description or each.name for each in cron_deployments.read_all(client))
        raise SettingsError([Fault(asked, f"is not scheduled; scheduled are: {known or 'none'}")])
    lines.say(f"{storage.public(source)}: scheduled no more; what is being rendered goes on")
    return DONE


def show_all(client: SyncPrefectClient, lines: Lines) -> int:
    """A table of the schedules on stdout; returns the exit status."""
    found = cron_deployments.read_all(client)
    if not found:
        lines.say("nothing is scheduled")
        return DONE
    rows = [row for deployment in found for row in _rows(client, deployment)]
    show(table(("what", "when", "time zone", "until", "next"), rows))
    return DONE


def _rows(client: SyncPrefectClient, deployment: DeploymentResponse) -> list[tuple[str, ...]]:
    begins = cron_deployments.next_run(client, deployment)
    what, until = deployment.description or deployment.name, str(deployment.parameters.get("until") or "")
    return [
        (what, cron, zone, until, times.shown(begins, times.parse_zone(zone)) if begins else "not planned yet")
        for cron, zone in cron_deployments.crons(deployment)
    ]
