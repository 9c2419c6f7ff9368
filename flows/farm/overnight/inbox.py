"""The flow `render-inbox`: every manifest in a folder that is new or unfinished is handed to a driver.

It waits for no render. What one round has handed over and is still being rendered, the next leaves alone.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from prefect import flow, get_client, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed, Failed

from flows.farm import messages, names, submissions
from flows.farm.submissions import Submission
from styletransfer import storage
from styletransfer.errors import FaultsError, StyleTransferError
from styletransfer.manifest.reader import load_manifest
from styletransfer.manifest.schema import Priority
from styletransfer.planning.plan import Plan, plan_manifest
from styletransfer.storage.retries import Retries

log = logging.getLogger(__name__)

SUFFIXES: Final = (".yaml", ".yml")
"""Of a manifest's name, in any case."""

Verdict = Literal["submitted", "finished", "at work", "wrong"]


@dataclass(frozen=True)
class ManifestResult:
    """What was found about one manifest, and done about it. `faults` of one that is wrong, a line each."""

    manifest: str
    verdict: Verdict
    text: str
    faults: tuple[str, ...] = ()


@dataclass(frozen=True)
class RoundOptions:
    """How the manifests of a round are to be rendered."""

    until: str | None = None
    timezone: str | None = None
    priority: Priority | None = None


def _run_name() -> str:
    return f"inbox: {storage.name(str(flow_run.parameters['source']).rstrip('/'))}"


@flow(name=names.INBOX_FLOW, flow_run_name=_run_name, persist_result=False)
def render_inbox(
    source: str,
    until: str | None = None,
    timezone: str | None = None,
    priority: Priority | None = None,
) -> State[Any]:
    """Hand over what is unfinished of the manifests in the folder `source`, or of the manifest that it is.

    `until` (`07:00`, in `timezone`) and `priority` go to the drivers. Ends Failed, naming each, if a manifest
    is wrong; the others are handed over all the same.
    """
    options, told = RoundOptions(until, timezone, priority), get_run_logger()
    taken: dict[str, str] = {}
    looked = []
    with get_client(sync_client=True) as client:
        for manifest in find_manifests(source):
            found = look(manifest, taken, client, options)
            told.log(logging.ERROR if found.faults else logging.INFO, "%s: %s", storage.name(manifest), found.text)
            looked.append(found)
    for found in looked:
        if found.faults:
            messages.tell_wrong(found.manifest, found.faults)
    return final_state(looked)


@task(name="list inbox", task_run_name="list inbox", cache_policy=NO_CACHE, persist_result=False)
def find_manifests(source: str) -> list[str]:
    """URLs of the manifests at `source`, sorted."""
    return Retries(log.warning).call(lambda: manifests_in(source))


def is_manifest(source: str) -> bool:
    """Whether this names a manifest, not a folder of them."""
    return storage.name(source).lower().endswith(SUFFIXES)


def manifests_in(source: str) -> list[str]:
    """URLs of the manifests in a folder, those of its subfolders not; of a manifest itself, its own."""
    if is_manifest(source):
        return [source]
    found = storage.glob(storage.join(storage.escape(source.rstrip("/")), "*"))
    return [url for url in found if is_manifest(url)]


def look(manifest: str, taken: dict[str, str], client: SyncPrefectClient, options: RoundOptions) -> ManifestResult:
    """Find out what is left of a manifest, and hand that over. `taken`: who has which folder in this round."""
    try:
        plan = _plan(manifest)
    except FaultsError as error:
        faults = tuple(str(error).splitlines())
        return ManifestResult(manifest, "wrong", f"not rendered: {'; '.join(faults)}", faults)
    except StyleTransferError as error:
        return ManifestResult(manifest, "wrong", f"not rendered: {error}", (str(error),))
    other = taken.setdefault(plan.places.folder, manifest)
    if other != manifest:
        text = f"has the name, and so the results' folder, of {storage.name(other)}; give it another `name`"
        return ManifestResult(manifest, "wrong", f"not rendered: {text}", (text,))
    queued = len(plan.having("queued"))
    if not queued:
        return ManifestResult(manifest, "finished", f"all of {len(plan.pairs)} pairs are done")
    if runs := submissions.live(client, plan.places):
        return ManifestResult(manifest, "at work", f"run {submissions.short_id(runs[0])} is at it; left alone")
    run = submissions.submit(client, _submission(plan, manifest, options))
    run_id = submissions.short_id(run)
    return ManifestResult(manifest, "submitted", f"{queued} of {len(plan.pairs)} pairs are run {run_id}'s")


def _plan(manifest: str) -> Plan:
    """Its plan, without a fault of the manifest; pairs whose inputs can't be reached are the driver's to retry."""
    retries = Retries(log.warning)
    plan = plan_manifest(retries.call(lambda: load_manifest(manifest)), retries=retries)
    plan.check(troubles=False)
    return plan


def _submission(plan: Plan, manifest: str, options: RoundOptions) -> Submission:
    return Submission(
        manifest=manifest,
        places=plan.places,
        queue=plan.manifest.priority,
        priority=options.priority,
        until=options.until,
        timezone=options.timezone,
    )


def final_state(looked: Sequence[ManifestResult]) -> State[Any]:
    """How the flow ends: Failed when a manifest is wrong."""
    found = Counter(each.verdict for each in looked)
    counts = ", ".join(f"{count} {verdict}" for verdict, count in found.items()) or "no manifests"
    wrong = [f"{storage.name(each.manifest)}: {each.text}" for each in looked if each.faults]
    return Failed(message="\n".join([counts, *wrong])) if wrong else Completed(message=counts)
