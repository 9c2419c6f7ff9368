"""Attempts that end in a known way, whatever the case."""

from __future__ import annotations

import ctypes
from pathlib import Path

from styletransfer.errors import StorageError


def succeed(case: bytes, folder: Path) -> None:
    print(folder)
    assert not list(folder.iterdir())
    (folder / "a").write_bytes(case)


def refuse(case: bytes, folder: Path) -> None:
    raise StorageError("no")


def take_memory(case: bytes, folder: Path) -> None:
    assert len(bytearray(2 * 2**30))


def crash(case: bytes, folder: Path) -> None:
    ctypes.string_at(0)


def take_time(case: bytes, folder: Path) -> None:
    while True:
        pass
