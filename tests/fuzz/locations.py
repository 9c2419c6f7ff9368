"""Hostile paths and URLs, as storage takes them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

from hypothesis import strategies as st

from styletransfer import storage
from styletransfer.errors import StyleTransferError
from tests.fuzz.mutations import HOSTILE_TEXTS

_SCHEMES: Final = (
    "", "s3://", "http://", "https://", "file://", "local://", "ftp://", "memory://", "x://", "file:", "~",
)  # fmt: skip
_HOSTS: Final = (
    "", "127.0.0.1:9", "[::1]:9", "[::1", "u:hunter2@127.0.0.1:9", "bucket", "K:hunter2@bucket", ":", "@",
)  # fmt: skip


def cases() -> st.SearchStrategy[bytes]:
    pieces = st.sampled_from(HOSTILE_TEXTS) | st.text(max_size=10)
    paths = st.lists(pieces, max_size=4).map("/".join)
    queries = st.sampled_from(("", "?", "?k=hunter2", "#x", "?k=hunter2#hunter2", "?\0"))
    starts = st.tuples(st.sampled_from(_SCHEMES), st.sampled_from(_HOSTS)).map("".join)
    made = st.tuples(starts, st.just("/"), paths, queries).map("".join)
    texts = made | pieces
    return texts.map(lambda text: text.encode("utf-8", "surrogatepass"))


def attempt(case: bytes, folder: Path) -> None:
    """Every question to storage; what is refused must be refused by each in its turn, and tell no secret."""
    text = case.decode("utf-8", "surrogatepass")
    (folder / "base").mkdir()
    try:
        url = storage.resolve(str(folder / "base"), text)
    except StyleTransferError as error:
        if re.match(r"[a-z0-9]+://", text):
            _tell_no_secret(error)
        raise
    refusals = []
    for question in _QUESTIONS:
        try:
            question(url)
        except StyleTransferError as error:
            refusals.append(error)
    if not storage.is_local(url):  # else it is the name of a file
        _tell_no_secret(*refusals)
    if refusals:
        raise refusals[0]


def _tell_no_secret(*errors: StyleTransferError) -> None:
    assert not [error for error in errors if "hunter2" in str(error)]


def _public(url: str) -> None:
    assert storage.is_local(url) or "hunter2" not in storage.public(url)


_QUESTIONS: Final[tuple[Callable[[str], object], ...]] = (
    _public,
    storage.stat,
    storage.exists,
    lambda url: storage.read(url, limit_bytes=2**20),
    lambda url: storage.glob(storage.join(storage.escape(url), "*.png")),
    storage.glob,
    storage.name,
    storage.parent,
    lambda url: storage.join(url, "a", "b"),
)
