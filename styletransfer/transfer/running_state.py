"""Where a render stands: all that changes while it runs, as one value that can be saved and taken up again."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import torch
from pydantic import TypeAdapter
from torch import Tensor

from styletransfer.network.rows import Apart
from styletransfer.objective.objective import Losses
from styletransfer.settings import Settings
from styletransfer.transfer.optimize import Average, Evaluate, Optimizer, check_state, laid, make_optimizer
from styletransfer.transfer.report import ScaleReport
from styletransfer.transfer.state import State, snapshot

_REPORT: Final = TypeAdapter(ScaleReport)


class Stopwatch:
    """Seconds since it was made, and those `before`."""

    def __init__(self, before: float = 0.0) -> None:
        self._began = time.perf_counter() - before

    def seconds(self) -> float:
        return time.perf_counter() - self._began


@dataclass
class RunningState:
    """`iteration` iterations of scale number `scale_index` are done; `reports` tell of the scales before.

    `optimizer` and `average` are those of the last iteration, None before the first scale has begun. `trace` holds
    the losses of this scale's iterations, if they are asked for.
    """

    scale_index: int = 0
    iteration: int = 0
    optimizer: Optimizer | None = None
    average: Average | None = None
    run_time: Stopwatch = field(default_factory=Stopwatch)
    scale_time: Stopwatch = field(default_factory=Stopwatch)
    trace: list[Tensor] = field(default_factory=list)
    reports: list[ScaleReport] = field(default_factory=list)

    def lay(self, apart: Apart) -> None:
        """Has image, optimizer and average in the strips that `apart` makes of a picture. All or, when memory runs
        out, none.
        """
        if self.optimizer is not None and self.average is not None:
            optimizer = laid(self.optimizer, apart)
            self.average.lay(apart)
            self.optimizer = optimizer

    def advance(self, evaluate: Evaluate) -> Losses:
        """One iteration of optimizer and average. When memory runs out it has changed nothing."""
        assert self.optimizer is not None
        assert self.average is not None
        losses = self.optimizer.advance(evaluate)
        self.average.update(self.optimizer.strips)
        return losses

    def tensors(self) -> list[Tensor]:
        """All that `advance` changes, with Adam."""
        assert self.optimizer is not None
        assert self.average is not None
        kept = self.optimizer.state().values()
        return [self.optimizer.image, self.average.total, self.average.missing, *kept]

    def picture(self) -> Tensor:
        """The average, clamped: (1, 3, H, W) on the CPU."""
        assert self.average is not None
        return self.average.image().cpu()

    def losses_so_far(self) -> tuple[float, ...]:
        """The trace as numbers. A sync point."""
        return tuple(total.item() for total in self.trace)

    def finish_scale(self, report: ScaleReport) -> None:
        """Stands at the beginning of the next scale, with the picture of this one still in hand."""
        self.reports.append(report)
        self.trace.clear()
        self.scale_index, self.iteration, self.scale_time = self.scale_index + 1, 0, Stopwatch()

    def state(self, key: str) -> State:
        """A copy on the CPU; `key` tells what else it depends on. A sync point."""
        assert self.optimizer is not None
        assert self.average is not None
        return State(
            key=key,
            scale_index=self.scale_index,
            iteration=self.iteration,
            image=snapshot(self.optimizer.image),
            total=snapshot(self.average.total),
            missing=self.average.missing.item(),
            optimizer=snapshot(self.optimizer.state()),
            seconds=self.run_time.seconds(),
            scale_seconds=self.scale_time.seconds(),
            trace=self.losses_so_far(),
            reports=tuple(asdict(report) for report in self.reports),
        )

    @classmethod
    def of(cls, state: State, settings: Settings, avg_decay: float, **where: Any) -> RunningState:
        """Where `state` was taken, the image on the device and of the dtype in `where`.

        Raises RecordError for another optimizer's, and for one that does not fit the image.
        """
        check_state(state.optimizer, state.image)
        image = [state.image.to(**where, copy=True)]
        optimizer = make_optimizer(image, settings)
        optimizer.load_state(snapshot(state.optimizer))
        average = Average(image, avg_decay)
        average.totals = [state.total.to(image[0], copy=True)]
        average.missing.fill_(state.missing)
        return cls(
            state.scale_index,
            state.iteration,
            optimizer,
            average,
            Stopwatch(state.seconds),
            Stopwatch(state.scale_seconds),
            [torch.tensor(total, dtype=torch.float64) for total in state.trace],
            [_REPORT.validate_python(report) for report in state.reports],
        )
