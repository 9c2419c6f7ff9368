"""Progress of a render for who waits for it: a bar in a terminal, or in a notebook with the picture so far."""

from __future__ import annotations

import base64
import html
import sys
import time
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from styletransfer.pictures.encode import from_tensor
from styletransfer.pictures.thumbnail import thumbnail

if TYPE_CHECKING:
    from styletransfer.transfer.stylizer import Progress as RenderProgress

_SECONDS: Final = 2.0
"""Between two looks at the picture so far: each waits for the device."""
_PX: Final = 384


def progress_bar() -> InTerminal | InNotebook:
    """A render's callback for as long as a `with` block lasts; which, depends on where this process runs."""
    display = _notebook_display()
    return InTerminal(Console(stderr=True)) if display is None else InNotebook(display)


def _notebook_display() -> Any | None:
    """IPython's `display` in a notebook's kernel; None anywhere else."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return None if getattr(shell, "kernel", None) is None else sys.modules["IPython"].display.display


class InTerminal:
    """A line that is drawn anew; where output goes to a file, the last one alone."""

    def __init__(self, console: Console) -> None:
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
        )
        self._task = self._bar.add_task("starting", total=1.0)

    def __call__(self, progress: RenderProgress) -> None:
        self._bar.update(self._task, description=progress_text(progress), completed=progress.fraction)

    def __enter__(self) -> InTerminal:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()


class InNotebook:
    """A bar above the picture so far, drawn anew every few seconds and gone with the block.

    `display` is IPython's.
    """

    def __init__(self, display: Any) -> None:
        self._display, self._next = display, 0.0
        self._handle: Any = None

    def __call__(self, progress: RenderProgress) -> None:
        if time.monotonic() >= self._next:
            self._show(_page(progress))
            self._next = time.monotonic() + _SECONDS

    def __enter__(self) -> InNotebook:
        self._show("<progress></progress> starting")
        return self

    def __exit__(self, *_: object) -> None:
        self._show("")

    def _show(self, page: str) -> None:
        shown = {"text/html": page, "text/plain": ""}
        if self._handle is None:
            self._handle = self._display(shown, raw=True, display_id=True)
        else:
            self._handle.update(shown, raw=True)


def progress_text(progress: RenderProgress) -> str:
    """`256x170 px, scale 3 of 4`."""
    return f"{progress.width}x{progress.height} px, scale {progress.scale_index + 1} of {len(progress.scales)}"


def _page(progress: RenderProgress) -> str:
    picture = base64.b64encode(thumbnail(from_tensor(progress.image(_PX)), _PX)).decode()
    bar = f'<progress value="{progress.fraction:.4f}" max="1"></progress> {progress.fraction:.0%}'
    text = html.escape(progress_text(progress))
    return f'<div>{bar} {text}</div><img alt="the picture so far" src="data:image/jpeg;base64,{picture}">'
