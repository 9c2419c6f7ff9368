"""What a step asks of a device, counted while it runs: launches, floating-point operations, bytes; by part.

Nothing is fused: each operator reads its arguments and writes its results. On a GPU that is what happens, but for
what stays in its cache.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

import styletransfer
from styletransfer.objective.objective import Objective
from styletransfer.settings import Settings
from styletransfer.transfer.optimize import Adam, Average
from styletransfer.transfer.style_cache import on_devices
from tests.reference.objective import ReferenceObjective

NO_LAUNCH = {"empty", "empty_like", "new_empty", "empty_strided", "detach", "_unsafe_view", "promote_types"}
OVERWRITTEN = {"copy_", "fill_", "zero_"}
"""Operators in place that don't read what was there."""

LIBRARY = str(Path(styletransfer.__file__).parent)
PARTS = {
    "convolutions.py": "convolutions",
    "winograd.py": "convolutions",
    "vgg.py": "picture to network and back",
    "vgg.py:mask_relu": "masks of ReLUs",
    "poolings.py": "poolings",
    "moments.py": "moments",
    "moments.py:FeaturesGradient": "style gradient at features",
    "content.py": "content",
    "sqrtm.py": "roots",
    "wasserstein.py": "roots",
    "wasserstein_batch.py": "roots",
    "low_rank.py": "roots",
    "smoothness.py": "total variation",
    "optimize.py": "optimizer and average",
}
"""By file, or by a function or class in it."""
OTHER = "rest"


@dataclass(frozen=True)
class Work:
    """Of one operator of one part: `flops` are done in numbers of `dtype`."""

    launches: int = 0
    flops: int = 0
    bytes: int = 0

    def __add__(self, other: Work) -> Work:
        return Work(self.launches + other.launches, self.flops + other.flops, self.bytes + other.bytes)


@dataclass(frozen=True)
class Operation:
    """What is counted together."""

    part: str
    operator: str
    dtype: str
    shape: tuple[int, ...]


Counts = Mapping[Operation, Work]


class Counting(TorchDispatchMode):
    """Counts all operators that launch at least one kernel: not views, allocations and questions."""

    def __init__(self) -> None:
        super().__init__()
        self.found: defaultdict[Operation, Work] = defaultdict(Work)

    def __torch_dispatch__(
        self, func: Any, types: Sequence[Any], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        space, _, name = func._schema.name.partition("::")
        if space in ("aten", "mkldnn") and not func.is_view and name not in NO_LAUNCH:
            read, written = _touched(func, name, args, kwargs, result)
            largest = max([*written, *read], key=lambda tensor: tensor.numel(), default=None)
            if largest is not None:
                operation = Operation(_part(), name, str(largest.dtype)[6:], tuple(largest.shape))
                count = sum(map(_bytes, read)) + sum(map(_bytes, written))
                work = Work(1, _flops(name, args, kwargs, result, largest), count)
                self.note(operation, work, [*read, *written])
        return result

    def note(self, operation: Operation, work: Work, tensors: Sequence[Tensor]) -> None:
        """One launch, that reads and writes these tensors."""
        self.found[operation] += work


def _touched(
    func: Any, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any], result: Any
) -> tuple[list[Tensor], list[Tensor]]:
    """Tensors that are read, and those that are written."""
    read: list[Tensor] = []
    written: list[Tensor] = []
    for argument, value in _arguments(func, args, kwargs):
        tensors = [leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor)]
        is_written = argument.alias_info is not None and argument.alias_info.is_write
        if is_written:
            written += tensors
        if not is_written or not (argument.kwarg_only or name in OVERWRITTEN):
            read += tensors
    known = {id(tensor) for tensor in written}
    written += [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor) and id(leaf) not in known]
    return read, written


def _arguments(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Iterator[tuple[Any, Any]]:
    for place, argument in enumerate(func._schema.arguments):
        if place < len(args):
            yield argument, args[place]
        elif argument.name in kwargs:
            yield argument, kwargs[argument.name]


def _bytes(tensor: Tensor) -> int:
    """Those of its memory; what is expanded has them once."""
    if tensor.is_mkldnn:
        return tensor.numel() * tensor.element_size()
    there = 1
    for side, stride in zip(tensor.shape, tensor.stride(), strict=True):
        there *= side if stride else 1
    return there * tensor.element_size()


def _flops(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any], result: Any, largest: Tensor) -> int:
    """Of products and convolutions as torch counts them; of all else one for each value."""
    if name == "_convolution_pointwise":  # oneDNN's
        return int(2 * result.numel() * args[1].numel() // args[1].shape[0])
    formula = flop_registry.get(getattr(torch.ops.aten, name.rstrip("_"), None))
    if formula is None:
        return largest.numel()
    takes_out = {key: value for key, value in kwargs.items() if key not in ("beta", "alpha")}
    return int(formula(*args, **takes_out, out_val=result))


def _part() -> str:
    """The part that the innermost function of the library on the stack belongs to."""
    frame: Any = sys._getframe(2)
    while frame is not None:
        file, name = frame.f_code.co_filename, frame.f_code.co_qualname
        if file.startswith(LIBRARY):
            base = Path(file).name
            return PARTS.get(f"{base}:{name.partition('.')[0]}") or PARTS.get(base, OTHER)
        frame = frame.f_back
    return OTHER


@contextmanager
def counted() -> Iterator[Counts]:
    """What is done within."""
    with Counting() as counting:
        yield counting.found


AnyObjective = Objective | ReferenceObjective


def step_of(objective: AnyObjective, content: Tensor, style: Tensor) -> Callable[[], Any]:
    """One iteration with Adam and the average, as a render has it, at `content` (1, 3, H, W)."""
    style_targets = objective.style_targets(on_devices(objective.style_moments(style), objective.device_of))
    targets = replace(objective.targets(content, {}), style=style_targets)
    image = objective.apart(content.clone())
    optimizer, average = Adam(image), Average(image, Settings().avg_decay)

    def step() -> None:
        optimizer.step(lambda at: objective.value_and_gradients(at, targets), Settings().step_size)
        average.update(optimizer.strips)

    return step


def count_iteration(objective: AnyObjective, content: Tensor, style: Tensor) -> Counts:
    """What the second iteration of a scale asks for."""
    step = step_of(objective, content, style)
    step()
    with counted() as found:
        step()
    return found


def total(counts: Counts) -> Work:
    """All of it."""
    return sum(counts.values(), Work())


@dataclass(frozen=True)
class Rates:
    """What a device can do: operations a second in products of each number type, bytes a second; s a launch."""

    flops: Mapping[str, float]
    bytes: float
    launch_s: float

    def device_s(self, counts: Counts) -> float:
        """Seconds that a device needs at least, each operator by itself, by what binds it."""
        return sum(self.operator_s(operation, work) for operation, work in counts.items())

    def operator_s(self, operation: Operation, work: Work) -> float:
        return max(self.by_flops(operation, work), work.bytes / self.bytes)

    def by_flops(self, operation: Operation, work: Work) -> float:
        """Seconds by floating-point operations alone."""
        return work.flops / self.flops.get(operation.dtype, self.flops["float32"])

    def launches_s(self, counts: Counts) -> float:
        """Seconds to launch it all from Python."""
        return total(counts).launches * self.launch_s
