"""An iteration as one launch: what a step had a GPU do is recorded as a CUDA graph, and replayed.

Below some 1000 px a GPU works off a kernel faster than Python launches the next. A graph is only used where its
first replay gave what the step itself gives. On an H100 all did, to the bit; tests replay traced steps on the CPU,
and prove that two steps do the same operations with the same numbers on the same memory.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from styletransfer.machine.streams import EXCLUSIVE
from styletransfer.objective.objective import Losses

log = logging.getLogger(__name__)

Step = Callable[[], Losses]
"""Changes tensors in place; returns the losses before it, which are overwritten when it is replayed."""

GRAPHS_VARIABLE = "STYLETRANSFER_CUDA_GRAPHS"
WARM_UP = 2
"""Steps of a scale before one is recorded: libraries set up at the first what no graph can hold."""
LEAST_STEPS = 20
"""Steps that must be left to make good for recording one."""
AGREEMENT = 1e-3
"""Largest difference, relative to the largest value, between a tensor after the first replay and after the step:
rounding, as a library may choose another algorithm. What a graph gets wrong is of the size of the values."""


def graphs_wanted() -> bool:
    """Whether the environment leaves graphs on."""
    return os.environ.get(GRAPHS_VARIABLE) != "0"


def cuda_graph(step: Step, tensors: Sequence[Tensor]) -> Step:
    """`step` as a replay of what it has the GPU of `tensors`, those that it changes, do; nothing is done yet.

    RuntimeError when the step does what a graph can't hold, such as to wait for the GPU.
    """
    graph, device = torch.cuda.CUDAGraph(), tensors[0].device
    # Other threads may allocate meanwhile: by default that spoils the recording.
    recording = torch.cuda.graph(graph, stream=_stream(device), capture_error_mode="thread_local")
    with EXCLUSIVE, torch.cuda.device(device), recording:
        losses = step()

    def replay() -> Losses:
        graph.replay()
        return losses

    return replay


_own = threading.local()


def _stream(device: torch.device) -> torch.cuda.Stream:
    """One for all recordings of a thread: for each stream cuBLAS keeps a workspace for good."""
    streams: dict[torch.device, torch.cuda.Stream] = _own.__dict__.setdefault("streams", {})
    if device not in streams:
        streams[device] = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    return streams[device]


class Replay:
    """Takes the steps of a render, replayed where that works: `record` makes a replay of a step."""

    def __init__(self, record: Callable[[Step, Sequence[Tensor]], Step] = cuda_graph) -> None:
        self._record = record
        self.replayed = 0
        """How many steps of the render were replays."""
        self._replay: Step | None = None
        self._taken = 0
        self._failed = False

    def forget(self) -> None:
        """The tensors are others from now on, and the memory of a graph is given back."""
        self._replay, self._taken = None, 0

    def take(self, step: Step, tensors: Sequence[Tensor], left: int) -> Losses:
        """One step, of `left` that are left; `tensors` are all that it changes."""
        if self._replay is not None:
            self.replayed += 1
            return self._replay()
        self._taken += 1
        if self._failed or self._taken <= WARM_UP or left < LEAST_STEPS:
            return step()
        before = [tensor.clone() for tensor in tensors]
        losses = step()
        try:
            self._replay = self._proved(step, tensors, before)
        except RuntimeError as error:
            self._failed = True
            log.warning("no CUDA graph, so small pictures take longer: %s", str(error).partition("\n")[0])
        return losses

    def _proved(self, step: Step, tensors: Sequence[Tensor], before: Sequence[Tensor]) -> Step:
        """A replay that leads from `before` to where `tensors` stand, and leaves them there; else RuntimeError."""
        after = [tensor.clone() for tensor in tensors]
        try:
            replay = self._record(step, tensors)
            _set(tensors, before)
            replay()
            if all(map(_agree, tensors, after)):
                return replay
        finally:
            _set(tensors, after)
        raise RuntimeError("its first replay gave something else")


def _set(tensors: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    for tensor, value in zip(tensors, values, strict=True):
        tensor.copy_(value)


def _agree(found: Tensor, expected: Tensor) -> bool:
    """A sync point."""
    return bool((found - expected).abs().max() <= AGREEMENT * expected.abs().max())
