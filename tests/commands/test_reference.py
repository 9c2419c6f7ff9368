"""The page of all commands: what a cell of it is made of."""

import argparse

import pytest

from flows.commands import reference


def action(*names, **details):
    return argparse.ArgumentParser().add_argument(*names, **details)


@pytest.mark.parametrize(
    ("argument", "spelled"),
    [
        (action("manifest", metavar="MANIFEST"), "`MANIFEST`"),
        (action("--force", action="store_true"), "`--force`"),
        (action("-o", "--output", metavar="OUT"), "`-o`, `--output OUT`"),
        (action("--priority", choices=["low", "high"]), "`--priority {low,high}`"),
        (action("what", choices=["drain", "resume"]), "`{drain,resume}`"),
    ],
)
def test_an_argument_is_spelled_as_it_is_typed(argument, spelled):
    assert reference._spelled(argument) == spelled


@pytest.mark.parametrize(
    ("value", "shown"),
    [(2.0, "2"), (0.015, "0.015"), (None, "null"), (False, "false"), (("relu4_2",), "[relu4_2]"), ("max", "max")],
)
def test_a_default_is_shown_as_a_manifest_has_it(value, shown):
    assert reference._shown(value) == shown


def test_a_bar_in_a_cell_ends_no_column():
    assert list(reference._table(["A"], [["x | y"]]))[2] == "| x \\| y |\n"


def test_what_help_says_of_a_default_is_filled_in():
    argument = action("--age", default="30d", help="12h, 30d (default: %(default)s), of 100 %%")
    assert reference._meaning(argument) == "12h, 30d (default: 30d), of 100 %"
