"""What Prefect's dashboard shows of a render run: how far it is, and a preview."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from flows.farm.artifacts import Artifacts, Content, data_url
from flows.farm.markdown import markdown
from flows.farm.names import PROGRESS_ARTIFACT
from flows.pairs.estimate import Estimate, clock_text, pair_seconds_left, speed_text
from flows.pairs.listeners import Listener
from flows.pairs.so_far import seen_of
from styletransfer.contact_sheet.under_way import PairUnderWay
from styletransfer.machine.devices import Slot
from styletransfer.machine.memory import is_out_of_memory
from styletransfer.pictures.encode import from_tensor
from styletransfer.pictures.thumbnail import thumbnail
from styletransfer.planning.plan import PlannedPair
from styletransfer.records.thumbnails import LARGE_PX
from styletransfer.renders.summary import Outcome

if TYPE_CHECKING:
    from torch import Tensor

    from styletransfer.transfer.stylizer import Progress

PREVIEW_S: Final = 30.0
"""Least seconds between two previews of a run."""

FIRST_PREVIEW_S: Final = 10.0
"""A render that is over sooner has none."""

PREVIEW_BYTES: Final = 20_000
"""Of a preview as Prefect keeps it: JPEG in base64, within markdown."""

_PREVIEWS: Final = ((320, 80), (320, 60), (256, 60), (192, 60), (128, 50), (96, 40))
"""Longest edges in px and JPEG qualities, best first: noise needs more bytes than a sky."""

Clock = Callable[[], float]

Show = Callable[[str, PairUnderWay, "Tensor"], None]
"""Is told of a pair how far it is, and what it looks like; returns at once."""


@dataclass(frozen=True)
class Figures:
    """How far a pair is, as read from its progress. Holds no tensors."""

    where: str
    per_second: float | None
    loss: float
    memory: int | None

    def __str__(self) -> str:
        memory = "" if self.memory is None else f"{self.memory / 1e9:.1f} GB"
        speed = "" if self.per_second is None else speed_text(self.per_second)
        return ", ".join(filter(None, (self.where, speed, f"loss {self.loss:.4g}", memory)))


class FigureReader:
    """Reads a pair's figures, and remembers when it last did, for the speed since then."""

    def __init__(self, clock: Clock) -> None:
        self.figures: Figures | None = None
        self.seconds_left: float | None = None
        self._clock = clock
        self._since = (clock(), 0, 0)  # time, scale and iteration of the last reading, or of the scale's start

    def scale(self, progress: Progress) -> None:
        """Costs nothing; to be told of every iteration, so that the speed is that of one scale."""
        if progress.scale_index != self._since[1]:
            self._since = (self._clock(), progress.scale_index, progress.iteration)

    def read(self, progress: Progress) -> None:
        """Take the figures now. A sync point."""
        loss = progress.losses()["total"]
        now, (then, _, iteration) = self._clock(), self._since
        self._since = (now, progress.scale_index, progress.iteration)
        iterations = progress.iteration - iteration
        speed = iterations / (now - then) if iterations > 0 and now > then else None
        self.figures = Figures(f"{where(progress)} of {progress.iterations}", speed, loss, progress.peak_memory())
        self.seconds_left = pair_seconds_left(progress.seconds, progress.fraction)


def where(progress: Progress) -> str:
    """`512 px (scale 3 of 3), iteration 120`."""
    number = f"scale {progress.scale_index + 1} of {len(progress.scales)}"
    return f"{progress.scale} px ({number}), iteration {progress.iteration}"


class RenderProgress(Listener):
    """A render run in the dashboard, as long as the block that it opens: how far it is, and a preview.

    The device is waited for only when something is due. The percentage is of the work of all the run's pairs.
    Each preview is shown elsewhere, too: by `show`.
    """

    def __init__(
        self,
        pairs: Sequence[PlannedPair],
        at_once: int,
        artifacts: Artifacts,
        show: Show,
        clock: Clock = time.monotonic,
    ) -> None:
        self._artifacts, self._show_elsewhere = artifacts, show
        self._estimate = Estimate(pairs, at_once, clock)
        self._clock = clock
        self._began = clock()
        self._due = self._began + artifacts.every_s
        self._preview_due = self._began + FIRST_PREVIEW_S
        self._total, self._over = len(pairs), 0
        self._rows: dict[str, FigureReader] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> RenderProgress:
        self._artifacts.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self._artifacts.publish(PROGRESS_ARTIFACT, self._last_words)
        self._artifacts.close()

    def started(self, pair: PlannedPair, slot: Slot) -> None:
        with self._lock:
            self._rows[pair.id] = FigureReader(self._clock)
        self._estimate.started(pair.id, slot.share)

    def progress(self, pair: PlannedPair, progress: Progress) -> None:
        row = self._rows.get(pair.id)
        if row is None:
            return
        row.scale(progress)
        now = self._clock()
        if now < self._due:
            return
        self._due = now + self._artifacts.every_s
        if now >= self._preview_due:  # in place of the figures: one write is one write
            self._preview_due = now + PREVIEW_S
            self._show(pair, progress)
        else:
            self._estimate.progress(pair.id, progress.fraction, progress.seconds)
            row.read(progress)
            self._tell()

    def finished(self, pair: PlannedPair, outcome: Outcome) -> None:
        if outcome.state == "done":
            self._estimate.progress(pair.id, 1.0)
        if outcome.state in ("done", "failed"):  # what is held is as far as it was
            self._estimate.finished(pair.id)
        with self._lock:
            self._rows.pop(pair.id, None)
            self._over += outcome.state in ("done", "failed")

    def _show(self, pair: PlannedPair, progress: Progress) -> None:
        try:
            image = progress.image(LARGE_PX)  # a sync point
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            return  # the render has use for all there is
        caption = f"{markdown(pair.id)}: {where(progress)}"
        self._artifacts.publish("preview", lambda: preview(image, caption))
        self._show_elsewhere(pair.id, seen_of(progress), image)

    def _tell(self) -> None:
        left = self._estimate.seconds_left() if self._total > 1 else self._pair_left()
        if left is not None and left < self._artifacts.every_s:
            return  # the last words come soon enough
        percent = 100 * self._estimate.fraction()
        text = self._text(percent, left)
        self._artifacts.publish(PROGRESS_ARTIFACT, lambda: Content("progress", round(percent, 1), text))

    def _pair_left(self) -> float | None:
        """Of the only pair: what a resumed one took before counts, too."""
        with self._lock:
            return next((row.seconds_left for row in self._rows.values()), None)

    def _text(self, percent: float, left: float | None) -> str:
        """The dashboard's list of artifacts shows the first 45 letters only: what matters most comes first."""
        with self._lock:
            pairs = [f"{markdown(pair_id)}: {row.figures}" for pair_id, row in self._rows.items() if row.figures]
            over = f", {self._over} of {self._total} pairs done" if self._total > 1 else ""
        rest = "" if left is None else f", {clock_text(left)} left"
        return f"{percent:.0f} %{rest}{over}; {'; '.join(pairs)}"

    def _last_words(self) -> Content:
        percent, took = 100 * self._estimate.fraction(), clock_text(self._clock() - self._began)
        pairs = f", {self._over} of {self._total} pairs done" if self._total > 1 else ""
        return Content("progress", round(percent, 1), f"{percent:.0f} % after {took}{pairs}")


def preview(image: Tensor, caption: str, limit_bytes: int = PREVIEW_BYTES) -> Content:
    """A picture (1, 3, H, W) in [0, 1], of at most so many bytes as text, as large as goes into them.

    It is the description: that is what the run's list of artifacts shows, and keeps up to date.
    """
    picture = from_tensor(image)
    picture_markdown = ""
    for px, quality in _PREVIEWS:
        picture_markdown = f"![{caption}]({data_url(thumbnail(picture, px, quality=quality))})"
        if len(picture_markdown) <= limit_bytes:
            break
    return Content("markdown", caption, picture_markdown)


