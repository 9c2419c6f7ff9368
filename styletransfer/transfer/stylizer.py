"""The coarse-to-fine loop: pictures in, picture out; progress as data; state that can be saved and resumed."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TypeVar

import torch
from torch import Tensor

from styletransfer.errors import ImageError, OutOfMemoryError, RecordError, StyleTransferError
from styletransfer.machine import devices as hosts
from styletransfer.network.weights import Weights
from styletransfer.objective.objective import Losses, Objective, Targets
from styletransfer.pictures.picture import Picture
from styletransfer.pictures.resize import resize as resize_picture
from styletransfer.pictures.resize import to_tensor
from styletransfer.settings import Settings
from styletransfer.sizes import Size, pyramid, resolve_end_scale, size_to_fit
from styletransfer.transfer.memory import MemoryPlan, Room, memory_plans, plan_memory
from styletransfer.transfer.optimize import Average, Optimizer, make_optimizer, move, resize
from styletransfer.transfer.schedule import Schedule, Work
from styletransfer.transfer.starts import start_image
from styletransfer.transfer.state import State, snapshot
from styletransfer.transfer.style_cache import moved
from styletransfer.transfer.styles import RenderStyles

log = logging.getLogger(__name__)

Callback = Callable[["Progress"], None]
T = TypeVar("T")


@dataclass(frozen=True)
class ScaleReport:
    """What one scale took: sizes in px, `seconds` of wall time, final losses by term, peak memory in bytes."""

    scale: int
    width: int
    height: int
    iterations: int
    seconds: float
    losses: Mapping[str, float]
    peak_memory: int | None
    trace: tuple[float, ...] = ()
    tiling: Mapping[str, int] | None = None


@dataclass(frozen=True)
class Progress:
    """Where a render stands after an iteration. Cheap: nothing waits for the device until a method is called.

    `iteration` counts from 1 in this scale, `seconds` from the start of the run. Methods speak of the moment of
    the callback: call them within it.
    """

    scale: int
    scale_index: int
    scales: tuple[int, ...]
    width: int
    height: int
    iteration: int
    iterations: int
    seconds: float
    fraction: float
    """Share of the whole pyramid's work that is done, 0 to 1; work is pixels times iterations."""
    reports: tuple[ScaleReport, ...]
    _losses: Losses = field(repr=False)
    _run: _Run = field(repr=False)

    def losses(self) -> dict[str, float]:
        """Loss terms at the iterate before the last step, and their `total`. A sync point."""
        return self._losses.read()

    def image(self) -> Tensor:
        """The picture so far, (1, 3, H, W) on the CPU in [0, 1]. A sync point."""
        return self._run.picture()

    def peak_memory(self) -> int | None:
        """Most memory in bytes that this scale has used so far."""
        return hosts.peak_memory(*self._run.devices)

    def state(self) -> State:
        """All that is needed to go on from here in another process. A sync point."""
        return self._run.state()


class Stylizer:
    """Renders pictures with one set of weights and settings.

    `devices` are names as in `devices.parse_devices`, one or two of one type.
    """

    def __init__(
        self,
        weights: Weights,
        settings: Settings,
        *,
        devices: Sequence[str] = ("cpu",),
    ) -> None:
        self.settings = settings
        self.devices = tuple(devices)
        hosts.prepare(*self.devices)
        self.precision = hosts.resolve_precision(settings.precision, *devices)
        self.dtype: torch.dtype = getattr(torch, self.precision)
        self.weights_identity = weights.shared_identity
        self.objective = Objective(
            weights.tensors, settings, devices=devices, dtype=self.dtype, identity=self.weights_identity
        )
        self._run: _Run | None = None

    def run(
        self,
        content: Picture,
        styles: Sequence[Picture],
        style_weights: Sequence[float],
        *,
        callback: Callback | None = None,
        resume: State | None = None,
    ) -> Tensor:
        """The finished picture: (1, 3, H, W) on the CPU in [0, 1].

        `callback` is called after every iteration; what it raises stops the run, and `image` still gives the
        picture so far. `resume` goes on where another run of the same pictures and settings stood.
        """
        self._run = _Run(self, content, styles, style_weights)
        if resume is not None:
            self._run.resume(resume)
        return self._run.finish(callback)

    def image(self) -> Tensor | None:
        """The picture so far, (1, 3, H, W) on the CPU in [0, 1]; None before the first scale has begun."""
        return self._run.picture() if self._run and self._run.average else None

    @property
    def scales_report(self) -> tuple[ScaleReport, ...]:
        """One report for each finished scale of the last run."""
        return tuple(self._run.reports) if self._run else ()


class _Run:
    """One render while it runs."""

    def __init__(
        self, stylizer: Stylizer, content: Picture, styles: Sequence[Picture], style_weights: Sequence[float]
    ) -> None:
        if len(styles) != len(style_weights) or not styles:
            found = f"{len(styles)} styles and {len(style_weights)} style weights"
            raise ImageError(f"{found}; must be as many, at least 1")
        self.settings, self.devices = stylizer.settings, stylizer.devices
        self.objective = stylizer.objective
        self.device = torch.device(self.devices[0])
        self.dtype = stylizer.dtype
        self.image_dtype = torch.promote_types(stylizer.dtype, torch.float32)
        self.content = content
        self.styles = RenderStyles(
            pictures=styles,
            weights=style_weights,
            settings=self.settings,
            objective=self.objective,
            network_identity=stylizer.weights_identity,
            network_dtype=self.dtype,
            image_dtype=self.image_dtype,
        )
        end_scale = resolve_end_scale(self.settings.end_scale, content.size)
        self.scales = pyramid(self.settings.min_scale, end_scale)
        self.schedule = Schedule(self.settings)
        self.work = Work.of(self.settings, content.size, self.scales)
        self.room = Room(self.devices, hosts.memory_budgets(*self.devices))
        self._plans = self._plan_memory()
        self.reports: list[ScaleReport] = []
        self.scale_index = self.iteration = 0
        self.optimizer: Optimizer | None = None
        self.average: Average | None = None
        self.targets: Targets | None = None
        self._resumed_seconds = self._scale_seconds = 0.0
        self._trace: list[Tensor] = []
        self.started = self._scale_began = time.perf_counter()

    def _plan_memory(self) -> list[MemoryPlan]:
        """One plan for each scale; OutOfMemoryError now if the last can't fit."""
        sizes = [size_to_fit(self.content.size, scale, enlarge=True) for scale in self.scales]
        return [plan_memory(size, self.settings, self.dtype.itemsize, self.room) for size in sizes]

    def finish(self, callback: Callback | None) -> Tensor:
        """Runs every scale that is left."""
        for index in range(self.scale_index, len(self.scales)):
            try:
                self._run_scale(index, callback)
            except RuntimeError as error:
                if not hosts.is_out_of_memory(error):
                    raise
                raise OutOfMemoryError(f"out of memory at {self._where()}") from error
        return self.picture()

    def _run_scale(self, index: int, callback: Callback | None) -> None:
        hosts.reset_peak_memory(*self.devices)
        self.scale_index, self._scale_began = index, time.perf_counter()
        size = self._size()
        self.targets = None
        self._follow(self._plans[index])
        self._prepare_scale(size)
        assert self.optimizer is not None
        assert self.average is not None

        losses: Losses | None = None
        for iteration in range(self.iteration + 1, self.work.iterations[index] + 1):
            losses = self.optimizer.step(self._evaluate, self.schedule.step_size(index, iteration))
            self.average.update(self.optimizer.image)
            self.iteration = iteration
            if self.settings.trace:
                self._trace.append(losses.total())
            if callback is not None:
                callback(self._progress(losses))
        if losses is None:  # resumed behind the last iteration
            losses, _ = self._evaluate(self.optimizer.image)
        self._report(size, losses)
        self.scale_index, self.iteration, self._scale_seconds = index + 1, 0, 0.0

    def _prepare_scale(self, size: Size) -> None:
        """Targets and, unless it was resumed, what the scale begins with."""
        content = self._tensor(self.content, size)
        self.targets = self._with_less_memory(lambda: self._targets(content))
        if self.iteration == 0:
            self._begin_scale(content.to(self.device))

    def _evaluate(self, image: Tensor) -> tuple[Losses, Tensor]:
        def compute() -> tuple[Losses, Tensor]:
            assert self.targets is not None
            return self.objective.value_and_gradient(image, self.targets)

        return self._with_less_memory(compute)

    def _follow(self, plan: MemoryPlan) -> None:
        """Renders by `plan` from here on: moves the network, the picture and what it is compared with."""
        self.objective.tiling = plan.tiling
        self.objective.place(plan.devices, plan.last_on_first)
        self.device = torch.device(plan.home)
        if self.optimizer is not None and self.average is not None:
            move(self.optimizer, self.device)
            self.average.total = self.average.total.to(self.device)
        if self.targets is not None:
            self.targets = replace(self.targets, style=moved(self.targets.style, self.objective.device_of))

    def _with_less_memory(self, compute: Callable[[], T]) -> T:
        """What `compute` returns; with the next cheaper memory plan each time it runs out of memory.

        It changes nothing before it returns, so the render goes on from where it stood.
        """
        while True:
            try:
                return compute()
            except RuntimeError as error:
                if not hosts.is_out_of_memory(error):
                    raise
            # Not before the handler is left: the error holds on to all that the failed try had allocated.
            hosts.release_memory(*self.devices)
            self._take_cheaper_plan()

    def _take_cheaper_plan(self) -> None:
        tried = self._plans[self.scale_index]
        plans = list(memory_plans(self._size(), self.settings, self.dtype.itemsize, self.room))
        cheaper, where = plans[plans.index(tried) + 1 :], self._where()
        if not cheaper:
            done = f"; the largest scale that completed is {self.reports[-1].scale} px" if self.reports else ""
            raise OutOfMemoryError(f"out of memory at {where}{done}")
        log.warning("out of memory at %s; going on with %s", where, cheaper[0])
        self._plans[self.scale_index] = cheaper[0]
        self._follow(cheaper[0])

    def _where(self) -> str:
        width, height = self._size()
        return f"scale {self._scale} ({width}x{height} px) on {', '.join(self.devices)}"

    @property
    def _scale(self) -> int:
        """The scale in hand."""
        return self.scales[self.scale_index]

    def _size(self) -> Size:
        """Width and height in px there."""
        return size_to_fit(self.content.size, self._scale, enlarge=True)

    def _begin_scale(self, content: Tensor) -> None:
        """First image, optimizer and average of a scale."""
        if self.optimizer is None or self.average is None:
            image = self._start(content)
            self.optimizer = make_optimizer(image, self.settings)
        else:
            size = (content.shape[3], content.shape[2])
            image = resize(self.average.unclamped(), size, "bicubic").clamp_(0, 1)
            self.optimizer = self.optimizer.carried_over(image)
        self.average = Average(image, self.schedule.avg_decay)

    def _start(self, content: Tensor) -> Tensor:
        styles = self.styles.tensors(self._scale, self.device)
        start = start_image(self.settings.init, content, styles, self.styles.weights, self.settings.seed)
        return start.contiguous()

    def _targets(self, content: Tensor) -> Targets:
        content_feats = self.objective.targets(content, {}).content
        return Targets(content_feats, self.styles.targets(self._scale, self._plans[self.scale_index]))

    def _tensor(self, picture: Picture, size: Size) -> Tensor:
        return to_tensor(resize_picture(picture, size), self.image_dtype).to(self.device)

    def _progress(self, losses: Losses) -> Progress:
        assert self.optimizer is not None
        height, width = self.optimizer.image.shape[-2:]
        return Progress(
            scale=self._scale,
            scale_index=self.scale_index,
            scales=self.scales,
            width=width,
            height=height,
            iteration=self.iteration,
            iterations=self.work.iterations[self.scale_index],
            seconds=self.seconds(),
            fraction=self.work.fraction(self.scale_index, self.iteration),
            reports=tuple(self.reports),
            _losses=losses,
            _run=self,
        )

    def _report(self, size: Size, losses: Losses) -> None:
        """Takes down what the finished scale took; StyleTransferError if its picture is no picture."""
        found = losses.read()  # waits for the device: the time below is all of the scale's
        if broken := [name for name, loss in found.items() if not math.isfinite(loss)]:
            raise StyleTransferError(f"the loss is not finite at {self._where()}: {', '.join(broken)}")
        self.reports.append(
            ScaleReport(
                scale=self._scale,
                width=size[0],
                height=size[1],
                iterations=self.iteration,
                losses=found,
                seconds=self.scale_seconds(),
                peak_memory=hosts.peak_memory(*self.devices),
                trace=tuple(total.item() for total in self._trace),
                tiling=asdict(self.objective.tiling) if self.objective.tiling else None,
            )
        )
        self._trace.clear()

    def seconds(self) -> float:
        """Since the run began, with what a resumed one had taken before."""
        return self._resumed_seconds + time.perf_counter() - self.started

    def scale_seconds(self) -> float:
        """Since this scale began, with what it had taken before the run was resumed."""
        return self._scale_seconds + time.perf_counter() - self._scale_began

    def picture(self) -> Tensor:
        """The average, clamped, on the CPU."""
        assert self.average is not None
        return self.average.image().cpu()

    def state(self) -> State:
        assert self.optimizer is not None
        assert self.average is not None
        return State(
            key=self._key(self.scale_index),
            scale_index=self.scale_index,
            iteration=self.iteration,
            image=snapshot(self.optimizer.image),
            total=snapshot(self.average.total),
            missing=self.average.missing,
            optimizer=snapshot(self.optimizer.state()),
            seconds=self.seconds(),
            scale_seconds=self.scale_seconds(),
            trace=tuple(total.item() for total in self._trace),
            reports=tuple(asdict(report) for report in self.reports),
        )

    def _key(self, scale_index: int) -> str:
        return f"{self.dtype}, {self._plans[scale_index].tiling or 'untiled'}"

    def resume(self, state: State) -> None:
        """Stands where `state` was taken; RecordError when it belongs to other pictures or settings."""
        if not 0 <= state.scale_index < len(self.scales):
            raise RecordError(f"checkpoint is at scale number {state.scale_index} of {len(self.scales)}")
        if state.key != self._key(state.scale_index):
            raise RecordError(f"checkpoint was made with {state.key}, not {self._key(state.scale_index)}")
        iterations = self.work.iterations[state.scale_index]
        if not 1 <= state.iteration <= iterations:
            raise RecordError(f"checkpoint is at iteration {state.iteration} of {iterations}")
        width, height = size_to_fit(self.content.size, self.scales[state.scale_index], enlarge=True)
        if tuple(state.image.shape) != (1, 3, height, width):
            raise RecordError(
                f"checkpoint's image is {tuple(state.image.shape)}; must be (1, 3, {height}, {width})"
            )
        self._follow(self._plans[state.scale_index])
        image = state.image.to(self.device, self.image_dtype, copy=True)
        self.optimizer = make_optimizer(image, self.settings)
        self.optimizer.load_state(snapshot(state.optimizer))
        self.average = Average(image, self.schedule.avg_decay)
        self.average.total = state.total.to(image, copy=True)
        self.average.missing = state.missing
        self.scale_index, self.iteration = state.scale_index, state.iteration
        self.reports = [ScaleReport(**{**report, "trace": tuple(report["trace"])}) for report in state.reports]
        self._resumed_seconds, self._scale_seconds = state.seconds, state.scale_seconds
        self._trace = [torch.tensor(total, dtype=torch.float64) for total in state.trace]
