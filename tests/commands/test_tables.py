"""Tables on stdout: columns by their headings, lines that end with their last word."""

from flows.commands.tables import show, table


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
