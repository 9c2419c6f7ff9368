"""Hostile command lines. Of commands that start servers or work only the reading is tried."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Final

from hypothesis import strategies as st

from flows.commands.main import COMMANDS, make_parser
from tests.fuzz.mutations import HOSTILE_TEXTS
from tests.fuzz.running import RefusedError, run
from tests.studio import picture_file

_WAITING: Final = frozenset({"up", "worker", "render"})
"""These start servers, or work: of their command lines only the reading is tried."""
_WORDS: Final = (
    "night.yaml", "content.png", "style.png", "-", "--", "-o", "out.png", "--only", "a", "--output", "--set", "-v",
    "--help", "--weights", "random", "--devices", "cpu", "cuda:99", "cpu:1", "--end-scale", "32", "--until",
    "07:00", "25:00", "--cron", "* * * * *", "--timezone", "Mars/Base", "--state", "--wait", "--at", "2026-01-01",
    "=", "--x",
)  # fmt: skip


def cases() -> st.SearchStrategy[bytes]:
    words = st.sampled_from((*_WORDS, *_options())) | st.sampled_from(HOSTILE_TEXTS) | st.text(max_size=8)
    first = st.sampled_from(sorted(COMMANDS)) | words
    lines = st.tuples(first, st.lists(words, max_size=6)).map(lambda line: [line[0], *line[1]])
    return lines.map(lambda line: json.dumps(line).encode())


@cache
def _options() -> tuple[str, ...]:
    return tuple({name for command in COMMANDS for name in make_parser(command)._option_string_actions})


def attempt(case: bytes, folder: Path) -> None:
    (folder / "content.png").write_bytes(picture_file(1))
    (folder / "night.yaml").write_bytes(b"version: 1\n")
    arguments = [word for word in json.loads(case) if "\0" not in word]  # no program can be given one
    if arguments and arguments[0] in _WAITING:
        _read_line(arguments)
    else:
        run(arguments)


def _read_line(arguments: Sequence[str]) -> None:
    try:
        make_parser(arguments[0]).parse_args(arguments[1:])
    except SystemExit as end:
        if end.code == 2:
            raise RefusedError("a command line") from end
