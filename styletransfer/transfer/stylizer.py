"""The coarse-to-fine loop: pictures in, picture out; progress as data; state that can be saved and resumed."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from styletransfer.errors import ImageError, RecordError, StyleTransferError
from styletransfer.machine.devices import prepare, resolve_precision
from styletransfer.machine.memory import peak_memory, reset_peak_memory
from styletransfer.network.rows import Strips
from styletransfer.network.vgg_weights import Weights
from styletransfer.objective.objective import Losses, Objective, Targets
from styletransfer.settings import InitImage, Settings
from styletransfer.sizes import size_to_fit
from styletransfer.transfer.memory_ladder import MemoryLadder
from styletransfer.transfer.memory_plan import MemoryPlan
from styletransfer.transfer.optimize import Average, make_optimizer, resize
from styletransfer.transfer.regions import EVERYWHERE, Kept, Regions, gray
from styletransfer.transfer.replay import Replay
from styletransfer.transfer.report import ScaleReport
from styletransfer.transfer.running_state import RunningState
from styletransfer.transfer.scaled_picture import ScaledPicture
from styletransfer.transfer.schedule import Scale, Schedule, Work, scales_of
from styletransfer.transfer.starts import start_image
from styletransfer.transfer.state import State
from styletransfer.transfer.style_cache import StyleCache, moved, on_devices
from styletransfer.transfer.styles import RenderStyles

Callback = Callable[["Progress"], None]


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
        """Loss terms at the iterate before the last step, and their `total`. A sync point.

        Raises StyleTransferError when one is not finite: no picture will come of it.
        """
        return self._run.read(self._losses)

    def image(self, longest: int | None = None) -> Tensor:
        """The picture so far, (1, 3, H, W) on the CPU in [0, 1], at most `longest` px a side. A sync point."""
        return self._run.picture(longest)

    def peak_memory(self) -> int | None:
        """Most memory in bytes that this scale has used so far."""
        return peak_memory(*self._run.devices)

    def state(self) -> State:
        """All that is needed to go on from here in another process. A sync point."""
        return self._run.state()


class Stylizer:
    """Renders pictures with one set of weights and settings.

    `devices` are names as in `devices.parse_devices`, any number of one type. Style targets are kept in
    `style_cache`, which several may share; without, in memory and as long as the stylizer.
    """

    def __init__(
        self,
        weights: Weights,
        settings: Settings,
        *,
        devices: Sequence[str] = ("cpu",),
        style_cache: StyleCache | None = None,
    ) -> None:
        self.settings = settings
        self.devices = tuple(devices)
        prepare(*self.devices)
        self.precision = resolve_precision(settings.precision, *devices)
        self.dtype: torch.dtype = getattr(torch, self.precision)
        self.weights_identity = weights.shared_identity
        self.objective = Objective(
            weights.tensors, settings, devices=devices, dtype=self.dtype, identity=self.weights_identity
        )
        self.style_cache = style_cache or StyleCache()
        self._run: _Run | None = None

    def run(
        self,
        content: ScaledPicture,
        styles: Sequence[ScaledPicture],
        style_weights: Sequence[float],
        *,
        start: ScaledPicture | None = None,
        regions: Regions = EVERYWHERE,
        finish: Callable[[Tensor], Tensor] | None = None,
        callback: Callback | None = None,
        resume: State | None = None,
    ) -> Tensor:
        """The finished picture: (1, 3, H, W) on the CPU in [0, 1].

        `start` is the picture that the first scale starts from, where the setting `init` names one. What `regions`
        keep is painted around; `finish` has to put it back. `finish` is what is done to a picture, at its end and
        so far, before anybody sees it; it may change it in place. `callback` is called after every iteration; what
        it raises stops the run, and `image` still gives the picture so far. `resume` goes on where another run of
        the same pictures and settings stood.
        """
        self._run = _Run(self, content, styles, style_weights, start, regions, finish)
        if resume is not None:
            self._run.resume(resume)
        return self._run.finish(callback)

    def image(self) -> Tensor | None:
        """The picture so far, (1, 3, H, W) on the CPU in [0, 1]; None before the first scale has begun."""
        return self._run.picture() if self._run and self._run.running.average else None

    @property
    def scales_report(self) -> tuple[ScaleReport, ...]:
        """One report for each finished scale of the last run."""
        return tuple(self._run.running.reports) if self._run else ()


class _Run:
    """One render while it runs."""

    def __init__(
        self,
        stylizer: Stylizer,
        content: ScaledPicture,
        styles: Sequence[ScaledPicture],
        style_weights: Sequence[float],
        start: ScaledPicture | None,
        regions: Regions,
        finish: Callable[[Tensor], Tensor] | None,
    ) -> None:
        if len(styles) != len(style_weights) or not styles:
            found = f"{len(styles)} styles and {len(style_weights)} style weights"
            raise ImageError(f"{found}; must be as many, at least 1")
        regions.check(len(styles))
        self.settings, self.devices, self.dtype = stylizer.settings, stylizer.devices, stylizer.dtype
        self.image_dtype = torch.promote_types(self.dtype, torch.float32)
        self.objective = stylizer.objective
        self.content, self.start, self.keep = content, start, regions.keep
        self._finish = finish
        self.styles = RenderStyles(
            pictures=styles,
            weights=style_weights,
            settings=self.settings,
            objective=self.objective,
            cache=stylizer.style_cache,
            network_identity=stylizer.weights_identity,
            network_dtype=self.dtype,
            image_dtype=self.image_dtype,
            regions=regions,
        )
        self.schedule = Schedule(self.settings)
        self.scales = scales_of(self.settings, content.size)
        self.work = Work.of(self.settings, content.size, [scale.px for scale in self.scales])
        self.memory = MemoryLadder(
            self.objective, self.settings, self.scales, self.devices, self.dtype.itemsize, self._move, regions
        )
        self.device, self.in_strips = torch.device(self.devices[0]), False
        self.targets: Targets | None = None
        self.kept: Kept | None = None
        self.running = RunningState()
        self.replay = Replay()

    def finish(self, callback: Callback | None) -> Tensor:
        """Runs every scale that is left."""
        try:
            for scale in self.scales[self.running.scale_index :]:
                with self.memory.out_of_memory_told():
                    self._run_scale(scale, callback)
        finally:
            self.replay.forget()  # else its memory would wait for the collector, and the next render for it
        return self.picture()

    def picture(self, longest: int | None = None) -> Tensor:
        """The picture so far as it is to be seen, (1, 3, H, W) on the CPU. A sync point."""
        picture = self.running.picture()
        if longest is not None:  # before it is finished, which takes its time
            width, height = size_to_fit((picture.shape[3], picture.shape[2]), longest, enlarge=False)
            picture = F.interpolate(picture, (height, width), mode="area")
        return picture if self._finish is None else self._finish(picture)

    def _run_scale(self, scale: Scale, callback: Callback | None) -> None:
        reset_peak_memory(*self.devices)
        self.targets = self.kept = None
        self.replay.forget()
        self.memory.enter(scale)
        self._prepare(scale)
        losses = self._iterate(scale, callback)
        self.running.finish_scale(self._report(scale, losses))

    def _prepare(self, scale: Scale) -> None:
        """Targets and, unless it was resumed, what the scale begins with."""
        content = self.content.at(scale.size, self.image_dtype)
        self.memory.fit(lambda: self._make_targets(scale, content))
        if self.keep is not None:
            kept = Kept([content], [gray(self.keep, scale.size, self.image_dtype)])
            self.kept = self.memory.fit(lambda: kept.laid(self._apart))
        if self.running.iteration == 0:
            self.memory.fit(lambda: self._begin(scale, content))

    def _make_targets(self, scale: Scale, content: Tensor) -> Targets:
        of_content = self.objective.targets(content.to(self.device), {})
        plan = self.memory.plan(scale)
        masked = self.styles.masked(scale.px, scale.size, plan)
        style = {} if masked else self.styles.targets(scale.px, plan)
        self.targets = replace(of_content, style=style, masked=masked)
        return self.targets

    def _begin(self, scale: Scale, content: Tensor) -> None:
        """First image, optimizer and average of a scale: from the start, or carried over from the scale before."""
        running = self.running
        if running.optimizer is None or running.average is None:
            image = self._apart(self._start(scale, content).contiguous())
            optimizer = make_optimizer(image, self.settings)
        else:
            image = self._apart(resize(running.average.unclamped(), scale.size, "bicubic").clamp_(0, 1))
            optimizer = running.optimizer.carried_over(image)
        running.average, running.optimizer = Average(image, self.schedule.avg_decay), optimizer

    def _start(self, scale: Scale, content: Tensor) -> Tensor:
        init = self.settings.init
        if isinstance(init, InitImage):
            if self.start is None:
                raise ImageError(f"init names {init.image}; give that picture as `start`")
            return self.start.at(scale.size, self.image_dtype)
        return start_image(init, content, self.styles.pictures, self.styles.weights, self.settings.seed)

    def _iterate(self, scale: Scale, callback: Callback | None) -> Losses:
        """Every iteration that is left of the scale; the losses at the last."""
        running, losses = self.running, None
        for iteration in range(running.iteration + 1, scale.iterations + 1):
            losses = self.memory.fit(partial(self._step, scale, iteration))
            running.iteration = iteration
            if self.settings.trace:
                running.trace.append(losses.total())
            if callback is not None:
                callback(self._progress(scale, losses))
        if losses is None:  # resumed behind the last iteration
            losses = self.memory.fit(lambda: self._losses(scale))
        return losses

    def _losses(self, scale: Scale) -> Losses:
        assert self.running.optimizer is not None
        return self._evaluate(scale, self.running.optimizer.strips)[0]

    def _step(self, scale: Scale, iteration: int) -> Losses:
        """One iteration, replayed where the memory plan has room for that."""
        running = self.running
        assert running.optimizer is not None
        running.optimizer.set_step_size(self.schedule.step_size(scale.index, iteration))
        step = partial(running.advance, partial(self._evaluate, scale))
        if not self.memory.plan(scale).replayed:
            return step()
        return self.replay.take(step, running.tensors(), scale.iterations - iteration)

    def _evaluate(self, scale: Scale, image: Strips) -> tuple[Losses, list[Tensor]]:
        targets = self.targets or self._make_targets(scale, self.content.at(scale.size, self.image_dtype))
        if self.kept is None:
            return self.objective.value_and_gradients(image, targets)
        losses, gradient = self.objective.value_and_gradients(self.kept.over(image), targets)
        return losses, self.kept.around(gradient)

    def _apart(self, picture: Tensor) -> list[Tensor]:
        """A picture in the strips that the memory plan has it in: one, or each device's."""
        return self.objective.apart(picture) if self.in_strips else [picture.to(self.device)]

    def _move(self, plan: MemoryPlan) -> None:
        """Keeps picture and targets where a memory plan has them."""
        self.replay.forget()
        self.device, self.in_strips = torch.device(plan.home), plan.picture_in_strips
        self.running.lay(self._apart)
        if self.targets is not None and (plan.in_strips or self.targets.content_in_strips):
            self.targets = None  # to be made anew: the strips are others, or none
        if self.targets is not None:
            content = {layer: feats.to(self._keeper(layer)) for layer, feats in self.targets.content.items()}
            style = on_devices(self.targets.style, self.objective.device_of)
            masked = tuple(moved(each, self.objective.device_of) for each in self.targets.masked)
            self.targets = Targets(content, style, masked)
        if self.kept is not None:
            self.kept = self.kept.laid(self._apart)

    def _keeper(self, layer: str) -> torch.device:
        """Where the content's features are kept: where they are compared, or in host memory with the picture."""
        device = self.objective.device_of(layer)
        return device if device.type == self.device.type else self.device

    def _progress(self, scale: Scale, losses: Losses) -> Progress:
        width, height = scale.size
        return Progress(
            scale=scale.px,
            scale_index=scale.index,
            scales=tuple(each.px for each in self.scales),
            width=width,
            height=height,
            iteration=self.running.iteration,
            iterations=scale.iterations,
            seconds=self.running.run_time.seconds(),
            fraction=self.work.fraction(scale.index, self.running.iteration),
            reports=tuple(self.running.reports),
            _losses=losses,
            _run=self,
        )

    def _report(self, scale: Scale, losses: Losses) -> ScaleReport:
        """What the finished scale took."""
        found = self.read(losses)  # waits for the device: the time below is all of the scale's
        width, height = scale.size
        return ScaleReport(
            scale=scale.px,
            width=width,
            height=height,
            iterations=self.running.iteration,
            losses=found,
            seconds=self.running.scale_time.seconds(),
            peak_memory=peak_memory(*self.devices),
            trace=self.running.losses_so_far(),
            tiling=asdict(self.objective.tiling) if self.objective.tiling else None,
        )

    def read(self, losses: Losses) -> dict[str, float]:
        """The losses as numbers, with their total; StyleTransferError where one is none. A sync point."""
        found = losses.read()
        if broken := [name for name, loss in found.items() if not math.isfinite(loss)]:
            raise StyleTransferError(f"the loss is not finite at {self.memory.where()}: {', '.join(broken)}")
        return found

    def state(self) -> State:
        return self.running.state(self._key(self.memory.plan(self.scales[self.running.scale_index])))

    def _key(self, plan: MemoryPlan) -> str:
        return f"{self.dtype}, {plan.bits()}"

    def resume(self, state: State) -> None:
        """Stands where `state` was taken; RecordError when it belongs to other pictures or settings."""
        if not 0 <= state.scale_index < len(self.scales):
            raise RecordError(f"checkpoint is at scale number {state.scale_index} of {len(self.scales)}")
        scale = self.scales[state.scale_index]
        self.memory.descend(scale, lambda plan: self._key(plan) == state.key)
        self._check(state, scale)
        device = torch.device(self.memory.plan(scale).home)
        try:
            self.running = RunningState.of(
                state, self.settings, self.schedule.avg_decay, device=device, dtype=self.image_dtype
            )
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            # another's, with a checksum of its own
            raise RecordError(f"checkpoint is of another kind: {error}") from error

    def _check(self, state: State, scale: Scale) -> None:
        key = self._key(self.memory.plan(scale))
        if state.key != key:
            raise RecordError(f"checkpoint was made with {state.key}, not {key}")
        if not 1 <= state.iteration <= scale.iterations:
            raise RecordError(f"checkpoint is at iteration {state.iteration} of {scale.iterations}")
        width, height = scale.size
        for name, tensor in (("image", state.image), ("average", state.total)):
            if tuple(tensor.shape) != (1, 3, height, width):
                found = tuple(tensor.shape)
                raise RecordError(f"checkpoint's {name} is {found}; must be (1, 3, {height}, {width})")
            if tensor.dtype != self.image_dtype:
                raise RecordError(f"checkpoint's {name} is of {tensor.dtype}; must be of {self.image_dtype}")
            if not tensor.isfinite().all():
                raise RecordError(f"checkpoint's {name} is not finite")
