"""How many iterations each scale takes, how large the steps are, and how long the average looks back.

`original` is the original program's: a constant step size and a long average. `fast` gets by with a quarter of its
iterations. The steps begin larger and shrink to nothing within each scale, along half a cosine (Loshchilov & Hutter
2016, https://arxiv.org/abs/1608.03983), so that the last iterates lie still and a short average is enough. And Adam
forgets ten times sooner how large gradients were: at a scale's beginning they are far larger than at its end, and
would make the steps too short.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from styletransfer.settings import Settings
from styletransfer.sizes import Size, resolve_end_scale, size_to_fit

ADAM_BETAS = (0.9, 0.99)
FAST_BETAS = (0.9, 0.9)
FAST_STEP = 4
"""First step size of a scale, in units of `step_size`. What was tried is in docs/performance/ABOUT.md."""
FAST_PLATEAU = 0.3
"""Share of a scale before the steps begin to shrink."""
FAST_AVERAGE = 10
"""How many times shorter the average looks back: 0.99 becomes 0.9."""


@dataclass(frozen=True)
class Schedule:
    """The schedule that settings ask for."""

    settings: Settings

    @property
    def fast(self) -> bool:
        return self.settings.schedule == "fast"

    def iterations(self, scale_index: int) -> int:
        """Iterations at a scale; 0 is the first, and the coarsest unless `start_scale` leaves some out."""
        initial = scale_index == 0 and self.settings.start_scale is None
        return self.settings.initial_iterations if initial else self.settings.iterations

    def step_size(self, scale_index: int, iteration: int) -> float:
        """Adam's step size at an iteration, counted from 1 within the scale."""
        if not self.fast:
            return self.settings.step_size
        done = (iteration - 1) / self.iterations(scale_index)
        shrunk = max(0.0, done - FAST_PLATEAU) / (1 - FAST_PLATEAU)
        return self.settings.step_size * FAST_STEP * (1 + math.cos(math.pi * shrunk)) / 2

    @property
    def adam_betas(self) -> tuple[float, float]:
        """Decays of Adam's first and second moments."""
        return FAST_BETAS if self.fast else ADAM_BETAS

    @property
    def avg_decay(self) -> float:
        """Decay of the average of iterates."""
        if not self.fast:
            return self.settings.avg_decay
        return max(0.0, 1 - FAST_AVERAGE * (1 - self.settings.avg_decay))


@dataclass(frozen=True)
class Scale:
    """One step of the pyramid: its number from 0, longest edge in px, width and height in px, iterations."""

    index: int
    px: int
    size: Size
    iterations: int


def scales_of(settings: Settings, content: Size) -> tuple[Scale, ...]:
    """The pyramid of a content of this size in px, from coarse to fine."""
    schedule = Schedule(settings)
    edges = settings.pyramid(resolve_end_scale(settings.end_scale, content))
    return tuple(
        Scale(index, px, size_to_fit(content, px, enlarge=True), schedule.iterations(index))
        for index, px in enumerate(edges)
    )


@dataclass(frozen=True)
class Work:
    """How much there is to do: iterations and pixels of each scale. Time goes by their products."""

    iterations: tuple[int, ...]
    pixels: tuple[int, ...]

    @classmethod
    def of(cls, settings: Settings, content: Size, scales: Sequence[int]) -> Work:
        """Of a content of this size in px, over these scales from coarse to fine."""
        schedule = Schedule(settings)
        sizes = [size_to_fit(content, scale, enlarge=True) for scale in scales]
        return cls(
            tuple(schedule.iterations(index) for index in range(len(scales))),
            tuple(width * height for width, height in sizes),
        )

    @property
    def total(self) -> int:
        """Pixels times iterations over all scales."""
        return sum(iterations * pixels for iterations, pixels in zip(self.iterations, self.pixels, strict=True))

    def fraction(self, scale_index: int, iteration: int) -> float:
        """Share of all of it that is done, 0 to 1, after an iteration of a scale."""
        before = Work(self.iterations[:scale_index], self.pixels[:scale_index]).total
        return (before + iteration * self.pixels[scale_index]) / self.total
