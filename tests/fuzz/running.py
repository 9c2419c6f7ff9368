"""A command of the program, run in this process."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence

from flows.commands.main import main
from styletransfer.errors import StyleTransferError


class RefusedError(StyleTransferError):
    """A command said what is wrong, and ended with the status for it."""


def run(arguments: Sequence[str]) -> None:
    """One command. Raises RefusedError if it said so in lines of its own, AssertionError if it went wrong."""
    errors = io.StringIO()
    with contextlib.redirect_stderr(errors):
        try:
            status = main(arguments)
        except SystemExit as end:
            status = int(end.code or 0)
    said = errors.getvalue()
    assert status in (0, 1, 2), f"status {status}: {said}"
    assert "fault of the program" not in said, said
    assert "Traceback" not in said or {"-v", "--verbose"} & set(arguments), said
    assert "hunter2" not in said, said
    if status:
        assert "error: " in said or not arguments, said  # without a word: help
        raise RefusedError(said)
