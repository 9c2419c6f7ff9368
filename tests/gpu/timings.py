"""Seconds and memory of an iteration in each way, at each size, beside what the plan and the roofline say."""

from __future__ import annotations

import gc
import statistics
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import torch

from styletransfer.machine.memory import memory_budgets
from styletransfer.objective.objective import Objective
from styletransfer.sizes import size_to_fit
from styletransfer.transfer.memory_plan import Budget, plan_memory
from styletransfer.transfer.replay import LEAST_STEPS, WARM_UP
from styletransfer.transfer.stylizer import Progress
from tests.bench.work import Counts, Rates, count_iteration, total
from tests.gpu.checks import short
from tests.gpu.lab import EAGER, FLOAT32, GRAPH, REFERENCE, Lab, Laps, Rendered, Way

WAYS: Mapping[str, Way] = {
    "eager": EAGER,
    "graph": GRAPH,
    "float32": FLOAT32,
    "all GPUs": Way(shared=True),
    "reference": REFERENCE,
    "reference, TF32": Way("float32", reference=True, tf32=True),
}
MOST_TIMED, LEAST_TIMED = 40, 5
TIMED_PX = 30e6
"""Iterations that are timed, times px squared."""
PROFILED_WAYS = ("eager", "graph", "reference")
PROFILED = 3
PROFILED_PX = 512
LAUNCH_CALLS = ("cudaLaunchKernel", "cuLaunchKernel", "cudaGraphLaunch", "cudaMemcpyAsync", "cudaMemsetAsync")
"""What a process calls to have a GPU do something, by how the names begin."""

Row = dict[str, Any]


def timed_iterations(px: int, most: int = MOST_TIMED) -> int:
    """Fewer where each takes long."""
    return int(min(most, MOST_TIMED, max(LEAST_TIMED, TIMED_PX / px**2)))


def row(lab: Lab, px: int, name: str, rates: Rates) -> Row:
    """One way at one size: a render of a single scale."""
    way, timed = WAYS[name], timed_iterations(px, lab.iterations)
    found: Row = {"px": px, "way": name}
    if (way.graph or way.tf32 or way.shared) and not lab.is_gpu:
        return found | {"left_out": "only on CUDA"}
    if way.shared and len(lab.devices) < 2:
        return found | {"left_out": "only with several GPUs"}
    if way.graph and not is_planned_as_graph(lab, px):
        return found | {"left_out": "no graph is planned here"}
    lab.release()
    before = (WARM_UP + LEAST_STEPS + 2) if way.graph else 3
    laps, began = Laps(lab), time.perf_counter()
    rendered = lab.render(way, one_scale(px, before + timed), callback=laps)
    seconds = laps.seconds(timed)
    lab.wait()
    found |= {
        "size": list(rendered.picture.shape[:1:-1]),
        "dtype": rendered.stylizer.precision,
        "seconds": statistics.median(seconds),
        "range": [seconds[0], seconds[-1]],
        "whole_s": time.perf_counter() - began,
        "iterations": before + timed,
        "warnings": list(rendered.warnings),
    }
    found |= _memory(lab, rendered, way)
    if way.graph:
        found["replayed"] = rendered.replayed
    if way.shared:
        found["devices"] = len(rendered.plan.devices)
    elif not way.reference:
        found |= _roofline(lab, px, rendered, rates)
    return found


def one_scale(px: int, iterations: int) -> Row:
    """Settings."""
    return {"end_scale": px, "min_scale": px, "initial_iterations": iterations}


def is_planned_as_graph(lab: Lab, px: int) -> bool:
    """Whether the memory plan has iterations replayed at this size."""
    stylizer = lab.stylizer(EAGER, one_scale(px, 1))
    size = size_to_fit(lab.content.size, px, enlarge=True)
    budget = Budget((lab.device,), memory_budgets(lab.device), replays=True)
    return plan_memory(size, stylizer.settings, stylizer.dtype.itemsize, budget).replayed


def _memory(lab: Lab, rendered: Rendered, way: Way) -> Row:
    """Most bytes allocated, those that torch reserved, and those of the plan; of GPUs alone."""
    if not lab.is_gpu:
        return {}
    found: Row = {
        "allocated": rendered.stylizer.scales_report[-1].peak_memory,
        "reserved": torch.cuda.max_memory_reserved(lab.device),
    }
    if not way.reference:
        found |= {"planned": rendered.plan.bytes[lab.device], "plan": str(rendered.plan)}
    return found


def _roofline(lab: Lab, px: int, rendered: Rendered, rates: Rates) -> Row:
    """What the device needs at least at the rates that were measured, and what to launch it takes."""
    if rendered.plan.tiling is not None:
        return {}
    counts = counted(lab, px, rendered)
    work = total(counts)
    return {
        "launches": work.launches,
        "flops": work.flops,
        "bytes": work.bytes,
        "device_s": rates.device_s(counts),
        "launches_s": rates.launches_s(counts),
    }


def counted(lab: Lab, px: int, rendered: Rendered) -> Counts:
    """What an iteration of a render asks for."""
    objective = Objective(
        lab.weights.tensors, lab.settings(), devices=(lab.device,), dtype=rendered.stylizer.dtype
    )
    content = lab.content.at(size_to_fit(lab.content.size, px, enlarge=True), torch.float32)
    style = lab.style.at(size_to_fit(lab.style.size, px, enlarge=False), torch.float32)
    return count_iteration(objective, content.to(lab.device), style.to(lab.device))


def row_or_failure(lab: Lab, px: int, name: str, rates: Rates) -> Row:
    """The same, or why there is none."""
    try:
        return row(lab, px, name, rates)
    except Exception as error:  # noqa: BLE001 - out of memory, above all; other ways may fit
        return {"px": px, "way": name, "failed": short(error)}
    finally:
        gc.collect()  # what failed is held by its traceback


# Launches and kernels, as the driver sees them


class Profiler:
    """A callback that looks at some iterations late in a scale."""

    def __init__(self, last: int) -> None:
        self._first, self._last = last - PROFILED, last
        activities = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
        self.profile = torch.profiler.profile(activities=activities)

    def __call__(self, progress: Progress) -> None:
        if progress.iteration in (self._first, self._last):
            torch.cuda.synchronize()
            if progress.iteration == self._first:
                self.profile.start()
            else:
                self.profile.stop()


def profiled(lab: Lab, name: str) -> Row:
    """Calls that launch, kernels, and the longest of these, by iteration."""
    last = WARM_UP + LEAST_STEPS + 10
    profiler = Profiler(last)
    lab.render(WAYS[name], one_scale(PROFILED_PX, last + 1), callback=profiler)
    calls, kernels, count = told_apart(profiler.profile.events() or ())
    return {
        "way": name,
        "px": PROFILED_PX,
        "calls": {call: number / PROFILED for call, number in calls.most_common()},
        "kernels": count / PROFILED,
        "kernels_s": sum(kernels.values()) / PROFILED / 1e6,
        "longest": {kernel[:120]: us / PROFILED / 1e6 for kernel, us in kernels.most_common(15)},
    }


def told_apart(events: Iterable[Any]) -> tuple[Counter[str], Counter[str], int]:
    """Calls that launch, microseconds of kernels by name, and how many kernels there were."""
    calls: Counter[str] = Counter()
    kernels: Counter[str] = Counter()
    count = 0
    for event in events:
        if event.device_type.name != "CUDA":
            calls[event.name] += event.name.startswith(LAUNCH_CALLS)
        elif not getattr(event, "is_user_annotation", False):  # those span kernels, as the optimizer's step does
            kernels[event.name] += event.time_range.elapsed_us()
            count += 1
    return +calls, kernels, count


def profile_or_failure(lab: Lab, name: str) -> Row:
    """The same, or why there is none: not every machine lets its GPU be looked at."""
    try:
        return profiled(lab, name)
    except Exception as error:  # noqa: BLE001
        return {"way": name, "failed": short(error)}
