"""Tables: plain columns, whole lines for pipes."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

from rich.console import Console, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from styletransfer.redaction import legible_lines

_WIDE = 10_000  # columns

_NAMES = ("manifest", "pair")
_NAME_SHARE = 0.6
"""Of the terminal's width: so long a name is not broken, whatever else has to make room for it."""

STYLES = {
    "done": "green",
    "completed": "green",
    "failed": "bold red",
    "crashed": "bold red",
    "rendering": "bold",
    "running": "bold",
    "render": "bold",
    "skip": "dim",
    "wrong": "bold red",
}
"""Of cells that name a state."""


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[str] = ()) -> Table:
    """A table without lines; columns named in `right` are aligned so."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    rows, longest = list(rows), _NAME_SHARE * output().width
    for number, heading in enumerate(headings):
        whole = heading in _NAMES and all(len(row[number]) <= longest for row in rows)
        side: Literal["left", "right"] = "right" if heading in right else "left"
        made.add_column(heading, justify=side, overflow="fold", no_wrap=whole)
    for row in rows:
        made.add_row(*(plain(cell, STYLES.get(cell, "")) for cell in row))
    return made


def plain(text: str, style: str = "") -> Text:
    """Text that a terminal shows, and obeys nothing in it."""
    return Text(legible_lines(text), style)


def show(made: RenderableType) -> None:
    """Write it to stdout; lines of tables end with their last word, not with the column."""
    console = output()
    with console.capture() as captured:
        console.print(made)
    console.out("\n".join(line.rstrip() for line in captured.get().splitlines()), highlight=False)


def watch(make: Callable[[], RenderableType], every_s: float) -> None:
    """Show on stdout what `make` gives, anew every so often, until Ctrl-C; in one place of a terminal."""
    console = output()
    if not console.is_terminal:
        while True:
            show(make())
            time.sleep(every_s)
    with Live(make(), console=console, auto_refresh=False) as live:
        while True:
            time.sleep(every_s)
            live.update(make(), refresh=True)


def output() -> Console:
    """stdout: as wide as the terminal, or as its longest line where somebody reads it through a pipe."""
    return Console(width=None if sys.stdout.isatty() else _WIDE, highlight=False)
