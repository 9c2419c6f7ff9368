"""Who waits sees a bar, in a notebook with the picture so far; it is gone afterwards."""

import base64
import io
import re
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image
from rich.console import Console

from styletransfer.renders import progress_bar as module
from styletransfer.renders.progress_bar import InNotebook, InTerminal, progress_bar, progress_text
from styletransfer.transfer.stylizer import Progress
from tests.transfer.small_renders import make_stylizer, render


class Display:
    """Keeps what IPython's would show."""

    def __init__(self) -> None:
        self.shown: list[str] = []

    def __call__(self, data: dict[str, str], *, raw: bool, display_id: bool) -> "Display":
        assert raw
        assert display_id
        return self.update(data, raw=raw)

    def update(self, data: dict[str, str], *, raw: bool) -> "Display":
        assert raw
        self.shown.append(data["text/html"])
        return self


def run_with(bar: Any) -> list[Progress]:
    seen: list[Progress] = []

    def callback(progress: Progress) -> None:
        bar(progress)
        seen.append(progress)

    render(make_stylizer(), callback=callback)
    return seen


def test_in_a_terminal_it_ends_at_100_percent():
    output = io.StringIO()
    with InTerminal(Console(file=output, force_terminal=True, width=80)) as bar:
        seen = run_with(bar)
    last = next(line for line in reversed(output.getvalue().splitlines()) if "px" in line)
    assert progress_text(seen[-1]) in last
    assert "100 %" in last


def test_in_a_notebook_it_shows_the_picture_so_far_and_goes(monkeypatch):
    monkeypatch.setattr(module, "_SECONDS", 0)
    display = Display()
    with InNotebook(display) as bar:
        seen = run_with(bar)
    begun, *pages, ended = display.shown
    assert "starting" in begun
    assert ended == ""
    assert len(pages) == len(seen)
    fractions = [float(re.findall(r'value="([\d.]+)"', page)[0]) for page in pages]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1
    data = base64.b64decode(re.findall(r"base64,([^\"]+)", pages[-1])[0])
    assert Image.open(io.BytesIO(data)).size == (seen[-1].width, seen[-1].height)


def test_between_two_looks_there_are_seconds():
    display = Display()
    with InNotebook(display) as bar:
        run_with(bar)
    assert len(display.shown) == 3


def test_a_render_that_breaks_leaves_no_bar():
    display = Display()
    with pytest.raises(KeyError), InNotebook(display):
        raise KeyError
    assert display.shown[-1] == ""


def test_a_notebook_is_known_by_its_kernel(monkeypatch):
    display = Display()
    ipython = SimpleNamespace(
        get_ipython=lambda: SimpleNamespace(kernel=object()), display=SimpleNamespace(display=display)
    )
    assert isinstance(progress_bar(), InTerminal)
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    assert isinstance(progress_bar(), InNotebook)
    monkeypatch.setattr(ipython, "get_ipython", SimpleNamespace)
    assert isinstance(progress_bar(), InTerminal)
