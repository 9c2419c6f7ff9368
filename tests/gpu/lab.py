"""The device under test, and renders on it: in which ways, of what, and what is known of them afterwards."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from styletransfer.machine.devices import prepare
from styletransfer.network.vgg_weights import Weights, random_weights
from styletransfer.objective.objective import Targets
from styletransfer.settings import Precision, Settings
from styletransfer.sizes import size_to_fit
from styletransfer.transfer.memory_plan import MemoryPlan
from styletransfer.transfer.regions import EVERYWHERE, Regions
from styletransfer.transfer.replay import GRAPHS_VARIABLE
from styletransfer.transfer.state import State
from styletransfer.transfer.stylizer import Progress, Stylizer
from tests.gpu.pictures import PlainPicture, painting, photograph
from tests.reference.objective import ReferenceObjective

Values = Mapping[str, Any]
"""Settings by name."""
NOTHING: Values = {}
SHALLOW: Values = {"content_layers": ("relu2_1",), "style_layers": {"relu1_1": 1, "relu2_1": 1}}


@dataclass(frozen=True)
class Way:
    """How a picture is rendered: by the reference or by this program; replayed where that is planned.

    `tf32`: convolutions in TF32, as torch has them where nobody says otherwise. `shared`: by all devices.
    """

    precision: Precision = "auto"
    reference: bool = False
    graph: bool = False
    tf32: bool = False
    shared: bool = False


REFERENCE, FLOAT32 = Way("float32", reference=True), Way("float32")
IN_STRIPS = Way("float32", shared=True)
EAGER, GRAPH = Way(), Way(graph=True)


@dataclass(frozen=True)
class Rendered:
    """A finished picture (1, 3, H, W) and how it came about; `warnings` are what was logged meanwhile."""

    picture: Tensor
    stylizer: Stylizer
    warnings: Sequence[str]

    @property
    def replayed(self) -> bool:
        """Whether a graph was recorded, proved and used."""
        assert self.stylizer._run is not None
        return self.stylizer._run.replay.replayed > 0

    @property
    def plan(self) -> MemoryPlan:
        """That of the last scale."""
        run = self.stylizer._run
        assert run is not None
        return run.memory.plan(run.scales[-1])


@dataclass
class Lab:
    """`px` and `iterations` are those of the renders that checks compare; `basic` are settings of all renders."""

    device: str
    px: int = 256
    iterations: int = 200
    basic: Values = field(default_factory=dict)
    content: PlainPicture = field(default_factory=photograph)
    style: PlainPicture = field(default_factory=painting)
    _judges: dict[tuple[int, ...], tuple[ReferenceObjective, Targets]] = field(default_factory=dict)

    @property
    def is_gpu(self) -> bool:
        return torch.device(self.device).type == "cuda"

    @cached_property
    def devices(self) -> tuple[str, ...]:
        """This one and all others of its kind; in place of another CPU the same once more."""
        if not self.is_gpu:
            return (self.device, self.device)
        names = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
        own = names[torch.device(self.device).index or 0]
        return (own, *(name for name in names if name != own))

    @cached_property
    def weights(self) -> Weights:
        return random_weights(0, self.settings().layers()[-1])

    def settings(self, values: Values = NOTHING) -> Settings:
        return Settings.model_validate({**self.basic, **values})

    def stylizer(self, way: Way, values: Values = NOTHING, devices: Sequence[str] = ()) -> Stylizer:
        """One scale of `px` with `iterations`, unless `values` say otherwise."""
        one = {"end_scale": self.px, "min_scale": self.px, "initial_iterations": self.iterations}
        settings = self.settings({**one, "precision": way.precision, **values})
        devices = devices or (self.devices if way.shared else (self.device,))
        stylizer = Stylizer(self.weights, settings, devices=devices)
        if way.reference:
            stylizer.weights_identity = None  # its targets are no one else's
            stylizer.objective = ReferenceObjective(  # type: ignore[assignment]
                self.weights.tensors, settings, devices=devices, dtype=stylizer.dtype
            )
        return stylizer

    def render(
        self,
        way: Way,
        values: Values = NOTHING,
        *,
        callback: Callable[[Progress], None] | None = None,
        resume: State | None = None,
        content: PlainPicture | None = None,
        styles: Sequence[PlainPicture] = (),
        regions: Regions = EVERYWHERE,
        stylizer: Stylizer | None = None,
    ) -> Rendered:
        """A picture in the settings of `values`, by a `stylizer` if there is one that has them."""
        stylizer = stylizer or self.stylizer(way, values)
        with graphs(way.graph), tf32(way.tf32, self.device), warnings_of_the_library() as found:
            styles = styles or [self.style]
            picture = stylizer.run(
                content or self.content,
                styles,
                [1 / len(styles)] * len(styles),
                regions=regions,
                callback=callback,
                resume=resume,
            )
        return Rendered(picture, stylizer, found)

    def worth(self, picture: Tensor) -> float:
        """The objective of a picture of the content, in float64 by the reference: less is better."""
        objective, targets = self._judge(tuple(picture.shape[2:]))
        losses, _ = objective.value_and_gradient(picture.to(self.device, torch.float64), targets)
        return losses.read()["total"]

    def _judge(self, size: tuple[int, ...]) -> tuple[ReferenceObjective, Targets]:
        if size not in self._judges:
            height, width = size
            settings = self.settings({"end_scale": max(size), "min_scale": max(size)})
            objective = ReferenceObjective(
                self.weights.tensors, settings, devices=(self.device,), dtype=torch.float64
            )
            longest = settings.style_limit(max(size))
            content = self.content.at((width, height), torch.float64)
            style = self.style.at(size_to_fit(self.style.size, longest, enlarge=False), torch.float64)
            moments = objective.style_moments(style.to(self.device))
            self._judges[size] = objective, objective.targets(content.to(self.device), moments)
        return self._judges[size]

    def wait(self) -> None:
        """Until the device has done all that it was given."""
        if self.is_gpu:
            torch.cuda.synchronize(self.device)

    def release(self) -> None:
        """What torch has cached on the device goes back."""
        if self.is_gpu:
            with torch.cuda.device(self.device):
                torch.cuda.empty_cache()


class Laps:
    """A callback that takes the time of each iteration, by the device's clock where it has one."""

    def __init__(self, lab: Lab) -> None:
        self._lab, self._marks = lab, list[Any]()

    def __call__(self, _: Progress) -> None:
        if self._lab.is_gpu:
            with torch.cuda.device(self._lab.device):
                mark: Any = torch.cuda.Event(enable_timing=True)
                mark.record()
        else:
            mark = time.perf_counter()
        self._marks.append(mark)

    def seconds(self, last: int) -> list[float]:
        """Of the last so many iterations, sorted."""
        self._lab.wait()
        marks = self._marks[-last - 1 :]
        if self._lab.is_gpu:
            return sorted(before.elapsed_time(after) / 1000 for before, after in pairwise(marks))
        return sorted(after - before for before, after in pairwise(marks))


@contextmanager
def graphs(wanted: bool) -> Iterator[None]:
    """With iterations replayed where that is planned, or without."""
    before = os.environ.get(GRAPHS_VARIABLE)
    os.environ[GRAPHS_VARIABLE] = "1" if wanted else "0"
    try:
        yield
    finally:
        if before is None:
            del os.environ[GRAPHS_VARIABLE]
        else:
            os.environ[GRAPHS_VARIABLE] = before


@contextmanager
def tf32(wanted: bool, device: str) -> Iterator[None]:
    """With convolutions in TF32, or as renders have them."""
    cudnn: Any = torch.backends.cudnn
    if wanted and hasattr(cudnn, "fp32_precision"):
        cudnn.conv.fp32_precision = "tf32"
    elif wanted:
        cudnn.allow_tf32 = True
    try:
        yield
    finally:
        if wanted:
            prepare(device)


@contextmanager
def warnings_of_the_library() -> Iterator[list[str]]:
    """What the library warns of, in place of its being logged."""
    found: list[str] = []

    class Keeper(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(record.getMessage())

    logger, keeper = logging.getLogger("styletransfer"), Keeper(logging.WARNING)
    logger.addHandler(keeper)
    try:
        yield found
    finally:
        logger.removeHandler(keeper)


def distance(found: Tensor, expected: Tensor) -> float:
    """Norm of the difference over the norm of what is expected."""
    found, expected = found.double().cpu(), expected.double().cpu()
    return float(torch.linalg.vector_norm(found - expected) / torch.linalg.vector_norm(expected))
