"""The loss over a render's iterations as a line, for renders that kept its trace."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from styletransfer.transfer.report import ScaleReport

WIDTH: Final = 200
HEIGHT: Final = 48
_MOST_POINTS: Final = WIDTH // 2


@dataclass(frozen=True)
class LossPlot:
    """`points` of the line, in a box of WIDTH by HEIGHT, the loss on a logarithmic scale; `scales`: where each
    scale but the first begins; the first and last loss."""

    points: str
    scales: tuple[float, ...]
    first: float
    last: float


def loss_plot(reports: Sequence[ScaleReport]) -> LossPlot | None:
    """The plot of all scales one after the other; None without a trace. What is no number is left out."""
    losses = [loss for report in reports for loss in report.trace]
    found = [(at, loss) for at, loss in enumerate(losses) if loss is not None and loss > 0 and math.isfinite(loss)]
    if len(found) < 2:
        return None
    step = math.ceil(len(found) / _MOST_POINTS)
    shown = [*found[: -1 : step], found[-1]]
    logs = [math.log(loss) for _, loss in shown]
    low, span = min(logs), max(logs) - min(logs) or 1.0
    across = WIDTH / (len(losses) - 1)
    down = [HEIGHT * (1 - (log - low) / span) for log in logs]
    points = (f"{at * across:.1f},{y:.1f}" for (at, _), y in zip(shown, down, strict=True))
    starts = accumulate(len(report.trace) for report in reports[:-1])
    return LossPlot(" ".join(points), tuple(round(at * across, 1) for at in starts), found[0][1], found[-1][1])
