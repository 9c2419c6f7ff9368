"""Progress in a terminal: a live table of the pairs being rendered, or plain lines for logs and pipes."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from rich.console import Console, Group, RenderableType
from rich.constrain import Constrain
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from flows.commands.tables import plain
from flows.pairs.estimate import Estimate, clock_text, pair_seconds_left, speed_text, truth_text
from flows.pairs.listeners import Listener, Result
from styletransfer.machine.devices import Slot
from styletransfer.planning.plan import Plan
from styletransfer.renders.summary import Outcome
from styletransfer.sizes import Size, size_to_fit

if TYPE_CHECKING:
    from styletransfer.transfer.stylizer import Progress

TICK_S = 0.5
"""Least seconds between two readings of a pair's loss, since each waits for the device."""

TOLD_EVERY_S = 60.0
"""Between two lines about a pair that is within a scale, where there is no live table."""

_REFRESH_PER_S = 4
OUTCOME_STYLES = {"done": "green", "failed": "bold red"}


class DisplayedPair(Protocol):
    """What a display wants to know of a pair beforehand."""

    @property
    def id(self) -> str: ...
    @property
    def size(self) -> Size | None: ...
    @property
    def scales(self) -> tuple[int, ...]: ...
    @property
    def whole(self) -> tuple[int, ...]:
        """All scales, where no more than the first are asked for."""
        ...
    @property
    def iterations(self) -> int: ...


class Row:
    """One pair being rendered: its latest figures, read from the device no more often than every TICK_S.

    Figures only: a `Progress` kept here would hold the run's tensors on the device while the picture is stored.
    """

    def __init__(self, name: str, slot: Slot, clock: Callable[[], float] = time.monotonic) -> None:
        self.name = name
        self.slot = slot
        self.per_second: float | None = None
        self.fraction = 0.0
        self.seconds_left: float | None = None
        self._told = ("starting", "", "")  # scale, iteration, loss
        self._clock = clock
        self._since = (clock(), -1, 0)  # time, scale and iteration of the last tick

    def tick(self, progress: Progress) -> bool:
        """Take the figures if they are due; tells whether it did."""
        now = self._clock()
        then, scale, iteration = self._since
        if now - then < TICK_S and progress.iteration < progress.iterations:
            return False
        if scale == progress.scale and progress.iteration > iteration and now > then:
            self.per_second = (progress.iteration - iteration) / (now - then)
        self._since = (now, progress.scale, progress.iteration)
        self.fraction = progress.fraction
        self.seconds_left = pair_seconds_left(progress.seconds, progress.fraction)
        self._told = (
            f"{progress.scale} px ({progress.scale_index + 1}/{len(progress.scales)})",
            f"{progress.iteration}/{progress.iterations}",
            f"loss {progress.losses()['total']:.4g}",  # a sync point
        )
        return True

    def cells(self) -> tuple[str, ...]:
        """Name, scale, iteration, loss, speed, time left, devices."""
        speed = "" if self.per_second is None else speed_text(self.per_second)
        return (self.name, *self._told, speed, left_text(self.seconds_left), str(self.slot))


def left_text(seconds: float | None) -> str:
    return "" if seconds is None else f"{clock_text(seconds)} left"


class Lines(Listener):
    """Plain lines: when a pair begins, how far it is now and then, ends a scale and is done. For pipes and logs."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self.console = console
        self._clock = clock
        self._told_at: dict[str, float] = {}

    def status(self, text: str) -> None:
        """What is being waited for, until something else happens."""
        self.say(f"{text} ...")

    def note(self, text: str) -> None:
        self.say(text, "yellow")

    def started(self, pair: DisplayedPair, slot: Slot) -> None:
        self._told_at[pair.id] = self._clock()
        self.say(f"{pair.id}: started on {slot}: {_summary(pair)}")

    def progress(self, pair: DisplayedPair, progress: Progress) -> None:
        now = self._clock()
        which = f"scale {progress.scale} ({progress.scale_index + 1} of {len(progress.scales)})"
        if progress.iteration == progress.iterations:
            loss = progress.losses()["total"]
            self.say(f"{pair.id}: {which} done after {progress.seconds:.1f} s, loss {loss:.4g}")
        elif now - self._told_at.setdefault(pair.id, now) >= TOLD_EVERY_S:
            left = left_text(pair_seconds_left(progress.seconds, progress.fraction))
            self.say(f"{pair.id}: {which}: iteration {progress.iteration} of {progress.iterations}, {left}")
        else:
            return
        self._told_at[pair.id] = now

    def finished(self, pair: DisplayedPair, outcome: Outcome) -> None:
        self.say(outcome_text(pair.id, outcome), OUTCOME_STYLES.get(outcome.state, "yellow"))

    def ended(self, result: Result) -> None:
        """What it comes to, with every failure once more: the first may have scrolled away hours ago."""
        self.say(f"{result.manifest}: {result.counts}")
        if text := truth_text(result.pairs):
            self.say(text)
        for failure in result.failures:
            self.say(f"failed: {failure}", OUTCOME_STYLES["failed"])
        self.say(f"contact sheet: {result.index}")

    def say(self, text: str, style: str = "") -> None:
        """One line, above whatever else is shown."""
        # soft_wrap: a line is a line, however narrow the terminal.
        self.console.print(plain(text, style), soft_wrap=True)


def _summary(pair: DisplayedPair) -> str:
    width, height = pair.size or (0, 0)
    scales = f"{len(pair.scales)} scale{'s' if len(pair.scales) > 1 else ''}"
    if pair.whole:
        width, height = size_to_fit((width, height), pair.scales[-1], enlarge=True)
        scales = f"the first {scales} of {len(pair.whole)}"
    return f"{width}x{height} px, {scales}, {pair.iterations} iterations"


def outcome_text(pair_id: str, outcome: Outcome) -> str:
    """How a pair ended, in one line."""
    if outcome.record is None:
        return f"{pair_id}: {outcome.state}" + (f": {outcome.reason}" if outcome.reason else "")
    output = outcome.record.output
    done = "done" if outcome.state == "done" else "preview"
    return f"{pair_id}: {done} in {outcome.record.seconds:.1f} s, {output.width}x{output.height} px"


class LiveTable(Lines):
    """A row for each pair being rendered and a bar for all of them; what is over scrolls away above."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._rows: dict[str, Row] = {}
        self._status = ""
        self._estimate: Estimate | None = None
        self._total = self._over = 0
        self._lock = threading.Lock()

    def __rich__(self) -> RenderableType:
        with self._lock:
            rows = list(self._rows.values())
        parts: list[RenderableType] = [_table(rows, self.console.width)] if rows else []
        parts.append(self._bar(rows) if rows or self._estimate else plain(self._status, "dim"))
        return Group(*parts)

    def status(self, text: str) -> None:
        self._status = f"{text} ..."

    def planned(self, plan: Plan, at_once: int) -> None:
        queued = plan.having("queued")
        self._estimate, self._total = Estimate(queued, at_once), len(queued)

    def started(self, pair: DisplayedPair, slot: Slot) -> None:
        with self._lock:
            self._rows[pair.id] = Row(pair.id, slot)
        if self._estimate:
            self._estimate.started(pair.id, slot.share)

    def progress(self, pair: DisplayedPair, progress: Progress) -> None:
        row = self._rows.get(pair.id)
        if row is not None and row.tick(progress) and self._estimate:
            self._estimate.progress(pair.id, progress.fraction, progress.seconds)

    def finished(self, pair: DisplayedPair, outcome: Outcome) -> None:
        with self._lock:
            self._rows.pop(pair.id, None)
            self._over += 1
        if self._estimate:
            self._estimate.finished(pair.id)
        super().finished(pair, outcome)

    def _bar(self, rows: list[Row]) -> RenderableType:
        left = None  # of one pair its row has it
        if self._estimate is not None:
            fraction, text = self._estimate.fraction(), f"{self._over} of {self._total} pairs"
            left = self._estimate.seconds_left() if self._total > 1 else None
        else:
            fraction, text = rows[0].fraction, ""
        grid = Table.grid(padding=(0, 2), expand=True)
        grid.add_column(ratio=1)
        for _ in range(3):
            grid.add_column(no_wrap=True, justify="right")
        grid.add_row(ProgressBar(1.0, fraction), text, f"{fraction:.0%}", left_text(left))
        return Constrain(grid, self.console.width - 4)  # room for the `^C` that a terminal writes at the cursor


_DEVICES = 6
_LEFT_OUT = (_DEVICES, 3, 4, 2)
"""Cells of a row that a narrow terminal does without, first of all its devices; then loss, speed and iteration."""
_GAP = 2
NAME_COLUMNS = 32
"""Of a name, before any figure is left out for it."""


def _table(rows: list[Row], width: int) -> Table:
    """In `width` columns of the terminal: names first, and of the figures what there is room for beside them."""
    cells = [row.cells() for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    widths[0] = min(widths[0], NAME_COLUMNS)
    shown = set(range(len(widths)))
    for number in _LEFT_OUT:
        if sum(widths[each] + _GAP for each in shown) - _GAP > width:
            shown.discard(number)
    table = Table.grid(padding=(0, _GAP), expand=True)
    table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    for number in sorted(shown - {0}):
        devices = number == _DEVICES
        table.add_column(no_wrap=True, justify="left" if devices else "right", style="dim" if devices else "")
    for row in cells:
        table.add_row(*(plain(row[number]) for number in sorted(shown)))
    return table


@contextmanager
def display(console: Console, *, plain: bool = False) -> Iterator[Lines]:
    """A display for this console, live in a terminal, for the block. Warnings in the log go through it."""
    if plain or not console.is_terminal or console.is_dumb_terminal:
        lines = Lines(console)
        with _warnings(lines):
            yield lines
        return
    table = LiveTable(console)
    live = Live(table, console=console, transient=True, refresh_per_second=_REFRESH_PER_S)
    with _warnings(table), live:
        yield table


class _Notes(logging.Handler):
    """Log records as lines of a display: written straight to the terminal they would tear its table."""

    def __init__(self, lines: Lines) -> None:
        super().__init__(logging.WARNING)
        self.lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.note(record.getMessage())


@contextmanager
def _warnings(lines: Lines) -> Iterator[None]:
    """Warnings of this program are lines of the display."""
    handler = _Notes(lines)
    loggers = [logging.getLogger(package) for package in ("styletransfer", "flows")]
    for logger in loggers:
        logger.addHandler(handler)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
