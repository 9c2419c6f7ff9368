"""The flow `render_manifest`: plan a manifest, render what is left to do, sum up."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from prefect import flow, get_client, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.context import FlowRunContext
from prefect.runtime import flow_run
from prefect.states import Cancelled, Completed, Failed

from flows.pairs.patience import Patience
from flows.pairs.renders import Renders
from flows.pairs.retrying import network_task
from flows.pairs.sheet import LiveSheet
from flows.pairs.slots import Slots, lock_devices
from flows.pairs.watching import Result, Watcher, Watchers
from styletransfer import storage
from styletransfer.errors import StorageError, WeightsError
from styletransfer.machine import devices as hosts
from styletransfer.machine.devices import Slot
from styletransfer.manifest.reader import load_manifest
from styletransfer.network.weights import Weights
from styletransfer.renders import plan as plans
from styletransfer.renders.plan import Plan, PlannedPair, patiently
from styletransfer.renders.records import Summary
from styletransfer.renders.summary import Outcome
from styletransfer.renders.weights import load_weights as read_weights

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Host:
    """What the process that runs the flow brings along: someone who watches, a plan if it has made one."""

    watcher: Watcher
    plan: Plan | None = None


_host: ContextVar[Host | None] = ContextVar("host", default=None)


@contextmanager
def hosted_by(host: Host) -> Iterator[None]:
    """Flows called within the block find this host."""
    token = _host.set(host)
    try:
        yield
    finally:
        _host.reset(token)


def _run_name() -> str:
    """Until the manifest is read: its file's name."""
    return PurePosixPath(storage.name(str(flow_run.parameters["manifest"]))).stem


@flow(name="render-manifest", flow_run_name=_run_name, persist_result=False)
def render_manifest(
    manifest: str,
    only: list[str] | None = None,
    force: bool = False,
    devices: list[str] | None = None,
    weights: str | None = None,
    output: str | None = None,
) -> State[Any]:
    """Render what is left to do of the manifest at this path or URL, on this host's devices.

    `only` keeps the pairs with these ids, `force` renders what is done again, `devices` default to all GPUs,
    else the CPU; `weights` and `output` replace the manifest's. Ends Failed, naming each failed pair and why,
    when one failed; Cancelled when stopped by Ctrl-C.
    """
    host = _host.get() or Host(Watcher())
    plan = host.plan or make_plan(manifest, only or [], force, weights, output)
    plan.check(troubles=False)
    _describe_run(plan)
    sheet, stopped = patiently(lambda: LiveSheet(plan), Patience(log.warning)), False
    watcher = Watchers(sheet, host.watcher, LogWatcher(get_run_logger()))
    try:
        with sheet:
            render_queued(plan, devices or [], watcher)
    except KeyboardInterrupt:
        stopped = True
    except (WeightsError, StorageError) as error:  # the weights': pairs keep theirs to themselves
        sheet.give_up(str(error))
        write_sheet(sheet)
        raise
    except BaseException:
        write_sheet(sheet)
        raise
    result = Result.of(plan, write_sheet(sheet))
    host.watcher.ended(result)
    return final_state(result, stopped=stopped)


def render_queued(plan: Plan, devices: Sequence[str], watcher: Watcher) -> None:
    """Render the plan's queued pairs in this process, on these devices or all there are."""
    queued = plan.having("queued")
    if not queued:
        return
    with lock_devices(hosts.parse_devices(devices), all_of_them=bool(devices)) as (held, refused):
        for reason in refused:
            log.warning("%s; rendering on %s", reason, ", ".join(held))
        if len(held) == 1 and any(planned.pair.settings.gpus > 1 for planned in queued):
            log.warning("%s is the only device, so pairs with `gpus: 2` are rendered on it alone", held[0])
        weights = load_weights(plan, queued)
        watcher.planned(plan, len(held))
        Renders(Slots(held), weights, watcher).run(queued)


@task(name="plan", task_run_name="plan", cache_policy=NO_CACHE, persist_result=False)
def make_plan(location: str, only: Sequence[str], force: bool, weights: str | None, output: str | None) -> Plan:
    """Read the manifest and look at every input. Has a patience of its own: not all is looked at again."""
    again = Patience(log.warning)
    manifest = patiently(lambda: load_manifest(location, weights=weights, output=output), again)
    return plans.plan_manifest(manifest, force=force, only=only, again=again)


@network_task("load weights", "load weights")
def load_weights(plan: Plan, queued: Sequence[PlannedPair]) -> Weights:
    """The manifest's weights, as deep as any of the pairs needs them."""
    source = plan.manifest.weights
    deepest = plans.deepest_layer(planned.pair for planned in queued)
    return read_weights(source.source, sha256=source.sha256, last_layer=deepest)


@network_task("write contact sheet", "write contact sheet")
def write_sheet(sheet: LiveSheet) -> Summary:
    """Summary and contact sheet as they stand now."""
    return sheet.write()


def final_state(result: Result, *, stopped: bool) -> State[Any]:
    """How the flow ends: a failed pair never hides behind the others."""
    if stopped:
        return Cancelled(message=f"stopped; {result.counts}")
    if result.failures:
        return Failed(message="\n".join([result.counts, *result.failures]))
    return Completed(message=result.counts)


def _describe_run(plan: Plan) -> None:
    """Name and tag the run after the manifest."""
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        return
    name = plan.manifest.name
    with get_client(sync_client=True) as client:
        client.update_flow_run(context.flow_run.id, name=name, tags=["styletransfer", f"manifest:{name}"])


class LogWatcher(Watcher):
    """The run's log: what happens to each pair, its name first."""

    def __init__(self, log: logging.LoggerAdapter[logging.Logger] | logging.Logger) -> None:
        self._log = log

    def started(self, pair: PlannedPair, slot: Slot) -> None:
        self._log.info("%s: stylize: on %s, %d iterations", pair.id, slot, pair.iterations)

    def finished(self, pair: PlannedPair, outcome: Outcome) -> None:
        if outcome.record is not None:
            seconds, url = outcome.record.seconds, outcome.record.output.url
            self._log.info("%s: done: %.1f s, %s", pair.id, seconds, url)
        else:
            level = logging.ERROR if outcome.state == "failed" else logging.WARNING
            self._log.log(level, "%s: %s: %s", pair.id, outcome.state, outcome.reason)
