"""Tables on stdout: columns by their headings, lines that end with their last word."""

import io
import re

import pytest
from rich.console import Console

from flows.commands import tables
from flows.commands.tables import show, table, watch


def test_columns_are_as_wide_as_their_widest_cell_and_lines_end_with_their_last_word(capsys):
    show(table(("pair", "left", "why"), [("a", "5", ""), ("long--name", "12:05", "because")], right=("left",)))
    assert capsys.readouterr().out.splitlines() == [
        "pair         left  why",
        "a               5",
        "long--name  12:05  because",
    ]


def test_a_line_is_not_broken_where_somebody_reads_it_through_a_pipe(capsys):
    reason = "x" * 500
    show(table(("pair", "why"), [("a", reason)]))
    assert capsys.readouterr().out.splitlines()[-1] == f"a     {reason}"


def test_brackets_are_text(capsys):
    show(table(("why",), [("[bold]a[/bold]",)]))
    assert capsys.readouterr().out == "why\n[bold]a[/bold]\n"


def test_no_line_is_wider_than_the_terminal(capsys, monkeypatch):
    monkeypatch.setattr(tables, "output", lambda: Console(width=60, highlight=False))
    show(table(("run", "manifest", "why"), [("1234abcd", "harbour " * 9, "because " * 20)] * 2, right=("run",)))
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 60


def test_what_is_watched_is_shown_again_and_again(capsys):
    numbers = iter(range(3))
    with pytest.raises(StopIteration):
        watch(lambda: table(("n",), [(str(next(numbers)),)]), 0.0)
    assert capsys.readouterr().out.split() == ["n", "0", "n", "1", "n", "2"]


def shown_in_a_terminal(monkeypatch, made):
    """What `show` writes where stdout is a terminal of 60 columns that knows colours."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "60")
    written = io.StringIO()
    monkeypatch.setattr(written, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdout", written)
    show(made)
    return written.getvalue()


def test_a_narrow_terminal_breaks_no_name(monkeypatch):
    name = "pagoda-under-another-sky--night"
    made = table(("pair", "why"), [(name, "not rendered yet " * 4)])
    assert name in shown_in_a_terminal(monkeypatch, made)


COLOUR = r"\x1b\[[\d;]*3\d[\d;]*m"


def test_states_are_coloured_unless_the_environment_asks_for_none(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert re.search(COLOUR, shown_in_a_terminal(monkeypatch, table(("state",), [("done",)])))
    monkeypatch.setenv("NO_COLOR", "1")
    plainly = shown_in_a_terminal(monkeypatch, table(("state",), [("done",)]))
    assert "done" in plainly
    assert not re.search(COLOUR, plainly)
