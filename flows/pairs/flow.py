"""The flow `render_manifest`: plan a manifest, render what is left to do, sum up."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath
from typing import Any

from prefect import flow, get_client, get_run_logger
from prefect.client.schemas.objects import State
from prefect.context import FlowRunContext
from prefect.runtime import flow_run
from prefect.states import Cancelled, Completed, Failed

from flows.pairs.listeners import Listener, Listeners, LogListener, Result
from flows.pairs.renderer import Renderer
from flows.pairs.sheet import LiveSheet
from flows.pairs.slots import Slots, lock_devices
from flows.pairs.steps import first_scales, load_weights, make_plan, write_sheet
from styletransfer import storage
from styletransfer.errors import StorageError, WeightsError
from styletransfer.machine.devices import Slot, parse_devices
from styletransfer.planning.plan import Plan, PlannedPair
from styletransfer.planning.speed import machine_speed
from styletransfer.renders.previews import preview_rounds
from styletransfer.renders.same_picture import take_over
from styletransfer.renders.summary import Outcome
from styletransfer.storage.retries import Retries

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FlowCaller:
    """What the process that runs the flow brings along: someone who watches, a plan if it has made one."""

    listener: Listener
    plan: Plan | None = None


_caller: ContextVar[FlowCaller | None] = ContextVar("caller", default=None)


@contextmanager
def called_by(caller: FlowCaller) -> Iterator[None]:
    """Flows called within the block find this caller."""
    token = _caller.set(caller)
    try:
        yield
    finally:
        _caller.reset(token)


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
    settings: dict[str, Any] | None = None,
    renders_per_gpu: int = 1,
    preview: int | None = None,
    preview_s: float | None = None,
) -> State[Any]:
    """Render what is left to do of the manifest at this path or URL, on this host's devices.

    `only` keeps the pairs with these ids, `force` renders what is done again, `devices` default to all GPUs,
    else the CPU; `weights`, `output` and `settings` replace the manifest's. Each GPU renders `renders_per_gpu`
    small pairs at a time. With `preview` no more is rendered than each pair's scales up to so many px, from where
    the next run goes on; with `preview_s` as many of them as begin within so many seconds. Ends Failed, naming each
    failed pair and why, when one failed; Cancelled when stopped by Ctrl-C.
    """
    caller = _caller.get() or FlowCaller(Listener())
    plan = caller.plan or make_plan(manifest, only or [], force, weights, output, settings=settings)
    plan.check(troubles=False)
    if not (caller.plan or force):
        plan = Retries(log.warning).call(partial(take_over, plan))
    plan = first_scales(plan, preview)
    _describe_run(plan)
    speed_of = machine_speed(devices or [])
    sheet, stopped = Retries(log.warning).call(lambda: LiveSheet(plan, speed_of)), False
    listener = Listeners(sheet, caller.listener, LogListener(get_run_logger()))
    try:
        with sheet:
            render_queued(plan, devices or [], listener, renders_per_gpu, preview_s)
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
    caller.listener.ended(result)
    return final_state(result, stopped=stopped)


def render_queued(
    plan: Plan,
    devices: Sequence[str],
    listener: Listener,
    renders_per_gpu: int = 1,
    preview_s: float | None = None,
) -> None:
    """Render the plan's queued pairs in this process, on these devices or all there are.

    With `preview_s` round by round, each one scale further; none begins later than so many seconds from now.
    """
    queued = plan.having("queued")
    if not queued:
        return
    with lock_devices(parse_devices(devices), all_of_them=bool(devices)) as (held, refused):
        for reason in refused:
            log.warning("%s; rendering on %s", reason, ", ".join(held))
        most = max(planned.pair.settings.gpus for planned in queued)
        if len(held) < most:
            log.warning("there is only %s for pairs with `gpus: %d`, so they are rendered there", Slot(held), most)
        weights = load_weights(plan, queued)
        began, failures = time.monotonic(), _Failures()
        listener = Listeners(listener, failures)
        for each in [plan] if preview_s is None else preview_rounds(plan):
            slots = Slots(held, renders_per_gpu)
            left = None if preview_s is None else preview_s - (time.monotonic() - began)
            listener.planned(each, len(held))
            if left is not None and left <= 0:
                break
            with _closed_after(slots, left):
                again = [planned for planned in each.having("queued") if planned.id not in failures.ids]
                Renderer(slots, weights, listener).run(again)


class _Failures(Listener):
    """Which pairs have failed, and are not to be tried in another round."""

    def __init__(self) -> None:
        self.ids: set[str] = set()

    def finished(self, pair: PlannedPair, outcome: Outcome) -> None:
        if outcome.state == "failed":
            self.ids.add(pair.id)


@contextmanager
def _closed_after(slots: Slots, seconds: float | None) -> Iterator[None]:
    """Within the block slots are handed out for so long; what has one by then goes on."""
    if seconds is None:
        yield
        return
    timer = threading.Timer(seconds, slots.close)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def final_state(result: Result, *, stopped: bool) -> State[Any]:
    """How the flow ends: a failed pair never hides behind the others."""
    if stopped:
        return Cancelled(message=f"stopped; {result.counts}")
    message = "; ".join(filter(None, (result.counts, result.onward)))
    if result.failures:
        return Failed(message="\n".join([message, *result.failures]))
    return Completed(message=message)


def _describe_run(plan: Plan) -> None:
    """Name and tag the run after the manifest."""
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        return
    name = plan.manifest.name
    with get_client(sync_client=True) as client:
        client.update_flow_run(context.flow_run.id, name=name, tags=["styletransfer", f"manifest:{name}"])
