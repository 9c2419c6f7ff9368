"""How long an iteration would take on several GPUs that share a picture, by simulation: none is needed.

Every launch of an iteration is put on a clock: Python's, which launches one after the other, and each GPU's, which
works off what it was given in its order, operator by operator at the pace of one that was measured. A copy between
two GPUs waits for both and holds both up, as PyTorch's does.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from styletransfer.network.tiles import Tiling
from styletransfer.objective.objective import Objective
from styletransfer.settings import Settings
from styletransfer.transfer.arrangements import useful_devices
from styletransfer.transfer.memory_plan import Budget, memory_plans
from tests.bench.report import table
from tests.bench.work import Counting, Operation, Rates, Work, step_of
from tests.fake_cuda import fake_gpus, fake_network

LINKS = {"PCIe": 25e9, "NVLink": 450e9}
"""Bytes a second between two GPUs, one way: PCIe 4.0 x 16 as it is reached, NVLink of an H100 by its data sheet."""
COPY_S = 10e-6
"""What a copy takes beside its bytes."""
COUNTS = (2, 4, 8)
GIB = 72
"""Memory that a render plans with on an 80 GB card."""


@dataclass(frozen=True)
class Pace:
    """How fast one GPU was: seconds a launch takes from Python, and how many times what the roofline asks for."""

    launch_s: float
    slower: float

    @classmethod
    def measured(cls, rows: Sequence[Mapping[str, Any]], roofline_s: Mapping[int, float]) -> Pace:
        """By eager iterations: launches bind the smallest, the device the largest that the roofline is known of."""
        eager = [row for row in rows if row["way"] == "eager" and row.get("launches") and row["px"] in roofline_s]
        least, most = (choose(eager, key=lambda row: int(row["px"])) for choose in (min, max))
        return cls(least["seconds"] / least["launches"], most["seconds"] / roofline_s[most["px"]])


class Clock(Counting):
    """Seconds until Python, and until each device, has done all that was asked for within."""

    def __init__(self, rates: Rates, pace: Pace, link: float) -> None:
        super().__init__()
        self._rates, self._pace, self._link = rates, pace, link
        self.python_s = 0.0
        self.devices: defaultdict[torch.device, float] = defaultdict(float)
        self.launches: defaultdict[torch.device, int] = defaultdict(int)

    def note(self, operation: Operation, work: Work, tensors: Sequence[Tensor]) -> None:
        self.python_s += self._pace.launch_s
        on = list(dict.fromkeys(tensor.device for tensor in tensors if tensor.device.type == "cuda"))
        took = self._rates.operator_s(operation, work) * self._pace.slower
        if len(on) > 1:
            took = COPY_S + work.bytes / 2 / self._link  # they are read and written, and sent once
        done = max([self.python_s, *(self.devices[device] for device in on)]) + took
        for device in on:
            self.devices[device] = done
            self.launches[device] += 1

    def now(self) -> float:
        return max([self.python_s, *self.devices.values()])


@dataclass(frozen=True)
class Simulated:
    """An iteration at this size, shared by so many devices; `launching` is Python's part."""

    px: int
    count: int
    link: str
    tiling: Tiling | None
    seconds: float
    launching: float
    launches: tuple[int, ...]


def simulate(px: int, count: int, rates: Rates, pace: Pace) -> list[Simulated]:
    """Over each link, at 4 : 3 in bf16, by the fastest plan that fits, of those for one GPU or for all of them."""
    size = (px, px * 3 // 4)
    devices = tuple(f"cuda:{index}" for index in range(count))
    budget = Budget(devices, {**dict.fromkeys(devices, GIB * 2**30), "cpu": 2**40})
    plan = next(
        plan
        for plan in memory_plans(size, Settings(), 2, budget)
        if plan.fill(budget) <= 1 and len(plan.devices) == count
    )
    with fake_gpus(count):
        objective = Objective(fake_network(), Settings(), devices=devices[:1], dtype=torch.bfloat16)
        objective.tiling = plan.tiling
        objective.place(plan.devices, plan.last_on_first, in_strips=plan.in_strips)
        content, style = (torch.empty(1, 3, size[1], size[0], device=plan.home) for _ in range(2))
        step = step_of(objective, content, style)
        step()
        with ExitStack() as running:
            clocks = {link: running.enter_context(Clock(rates, pace, rate)) for link, rate in LINKS.items()}
            step()
            began = {link: (clock.now(), clock.python_s) for link, clock in clocks.items()}
            for clock in clocks.values():
                clock.launches.clear()
            step()
    return [
        Simulated(
            px,
            count,
            link,
            plan.tiling,
            clock.now() - began[link][0],
            clock.python_s - began[link][1],
            tuple(clock.launches[torch.device(device)] for device in devices),
        )
        for link, clock in clocks.items()
    ]


def simulated(rates: Rates, pace: Pace, sizes: Sequence[int]) -> list[Simulated]:
    """One GPU alone, then several, at each size."""
    found = []
    for px in sizes:
        found += simulate(px, 1, rates, pace)[-1:]
        for count in COUNTS:
            found += simulate(px, count, rates, pace)
    return found


def page(found: Sequence[Simulated], pace: Pace) -> str:
    """The section about pictures that several GPUs share."""
    alone = {one.px: one for one in found if one.count == 1}
    shared = {(one.px, one.count, one.link): one for one in found if one.count > 1}
    cells = [
        [
            str(px),
            str(count),
            *(_cell(shared[px, count, link], alone[px]) for link in LINKS),
            f"{1000 * shared[px, count, 'NVLink'].launching:.1f}",
            " + ".join(map(str, shared[px, count, "NVLink"].launches)),
            f"{min(count, useful_devices((px, px * 3 // 4)))} of {count}",
        ]
        for px, count in dict.fromkeys((px, count) for px, count, _ in shared)
    ]
    head = ["px", "GPUs", *(f"{link}: ms, times as fast" for link in LINKS), "ms of launches", "launches", "in use"]
    texts = [
        "## Several GPUs that share a picture",
        "Simulated, not measured: no run on two GPUs or more has been seen yet. Every launch of an iteration in "
        "bf16 at 4 : 3 is put on the clocks of Python and of each GPU, H100s that take "
        f"{pace.slower:.2f} times as long as the roofline and {pace.launch_s * 1e6:.0f} µs a launch, as one was "
        "measured to. A copy between two waits for both: "
        + ", ".join(f"{link} {rate / 1e9:g} GB/s" for link, rate in LINKS.items())
        + f", {COPY_S * 1e6:g} µs beside. One GPU alone, launched one by one: "
        + ", ".join(f"{px} px {_ms(one)} ms{_tiled(one)}" for px, one in alone.items())
        + ". Up to about 1000 px it is one launch, and faster than that. `in use` is how many a render takes for "
        "speed at that size, where all of them are there.",
        table(head, cells),
    ]
    return "\n\n".join(texts) + "\n"


def _cell(one: Simulated, alone: Simulated) -> str:
    return f"{_ms(one)}, {alone.seconds / one.seconds:.2f}{_tiled(one)}"


def _ms(one: Simulated) -> str:
    return f"{1000 * one.seconds:.1f}"


def _tiled(one: Simulated) -> str:
    return f" (blocks 1-{one.tiling.blocks} in tiles)" if one.tiling else ""
