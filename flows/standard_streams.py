"""stdout and stderr that stop nobody: what is written for people must never cost what they wait for."""

from __future__ import annotations

import io
import os
import sys
from typing import Any, Final, TextIO

_DESCRIPTORS: Final = (0, 1, 2)


def make_lenient() -> None:
    """Write to both whatever happens: what can't be written is left out, what can't be encoded spelled out.

    A disk may be full, a reader or a terminal gone. Streams that were closed lead nowhere, so that no file that is
    opened later takes their place and gets what is meant for people. Streams that something else has put in place
    are left as they are.
    """
    _open_closed()
    if sys.stdout is sys.__stdout__:
        sys.stdout = _lenient(sys.stdout, 1)
    if sys.stderr is sys.__stderr__:
        sys.stderr = _lenient(sys.stderr, 2)


def _open_closed() -> None:
    for descriptor in _DESCRIPTORS:
        try:
            os.fstat(descriptor)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
            os.set_inheritable(opened, True)


def _lenient(stream: TextIO | None, descriptor: int) -> io.TextIOWrapper:
    raw = _Lenient(descriptor, "w", closefd=False)
    encoding = "utf-8" if stream is None else stream.encoding
    by_line = descriptor == 2 or raw.isatty() or bool(getattr(stream, "write_through", False))  # as Python has it
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding, "backslashreplace", line_buffering=by_line)


class _Lenient(io.FileIO):
    """A descriptor that takes all that is written to it, and leaves out what can't be."""

    def write(self, contents: Any, /) -> int:
        written: int | None
        try:
            written = super().write(contents)
        except OSError:
            written = None
        return memoryview(contents).nbytes if written is None else written  # None: its reader is too slow
