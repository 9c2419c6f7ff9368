"""Strategies for hypothesis: files that are nearly right."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, Final

from hypothesis import strategies as st

HOSTILE_TEXTS: Final = (
    "", " ", "\0", "a\0b", "..", "../../etc/passwd", "/etc/passwd", "~", "~root", "-", "--", "-x", "%00", "%2e%2e",
    "a" * 300, "a" * 70_000, "/" * 5_000, "\x1b[31m", "a\nb", "\r", "\t", "\u202e", "\U0001f600", "\ud800",
    "<img onerror=alert(1)>", "[x](javascript:alert(1))", "{{7*7}}", "${HOME}", "nan", "inf", "1e400", "0x", "0o9",
    "null", "true", "con", "nul.png", "**", "[", "*?[!a]", "a" * 100 + "/**" * 50, "random:1", "random:-1",
    "random:" + "9" * 5_000, "imagenet", "s3://", "s3://b", "s3://K:hunter2@b/k", "http://", "http://[::1/x",
    "http://127.0.0.1:9/x?k=hunter2", "https://u:hunter2@127.0.0.1:9/x", "file://", "file:///%00", "file://u:hunter2@h/x",
    "ftp://127.0.0.1:9/x", "sftp://u:hunter2@127.0.0.1:9/x", "local:///tmp", "memory://x", "data:,x", "/dev/zero",
    "/dev/stdin", "/proc/self/mem", "/proc/kmsg", "/proc/**", "content.png", "style.png", ".", "./", "content.png/",
)  # fmt: skip

HOSTILE_NUMBERS: Final = (
    0, -1, 1, 2**31, 2**63, 2**64, -(2**63), 10**30, 10**400, 0.0, -0.0, 1e-308, 5e-324, 1e308, -1e308,
    float("inf"), float("-inf"), float("nan"), 0.1, 1e9,
)  # fmt: skip

UNWRITABLE: Final = {
    "@deep list": "[" * 3_000 + "]" * 3_000,
    "@deep mapping": '{"a":' * 3_000 + "1" + "}" * 3_000,
    "@open lists": "[" * 100_000,
    "@long number": "9" * 5_000,
    "@long octal": "0o" + "7" * 5_000,
    "@long fraction": "1." + "9" * 5_000 + "e99999999",
    "@bare word": "word",
    "@tag": "!!python/object/apply:os.system [id]",
    "@alias": "*a",
    "@anchors": "[" + ",".join(f"&a{number} 1" for number in range(700)) + "]",
}
"""Texts by the names that stand for them in a document."""

_PARTS: Final = (
    b"", b"\0", b"\xff", b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"\x01\0\0\0",
)  # fmt: skip


def hostile_values() -> st.SearchStrategy[Any]:
    """JSON values that nobody means: of the wrong kind, far out of range, deep or long."""
    return st.one_of(
        st.sampled_from(HOSTILE_TEXTS),
        st.sampled_from(HOSTILE_NUMBERS),
        st.sampled_from((None, True, False)),
        st.sampled_from(sorted(UNWRITABLE)),
        st.lists(st.sampled_from(HOSTILE_TEXTS[:20]), max_size=3),
        st.dictionaries(st.sampled_from(HOSTILE_TEXTS[:20]), st.sampled_from(HOSTILE_NUMBERS), max_size=3),
        st.text(max_size=20),
        st.floats(),
        st.integers(),
    )


@st.composite
def mutated_documents(draw: st.DrawFn, document: Any, words: Sequence[str]) -> Any:
    """A JSON document with up to three values replaced, removed, or added under one of `words`."""
    changed = json.loads(json.dumps(document))
    for _ in range(draw(st.integers(1, 3))):
        holder = draw(st.sampled_from(_holders(changed)))
        keys = list(range(len(holder))) if isinstance(holder, list) else [*holder, *words]
        if not keys:
            continue
        key = draw(st.sampled_from(keys))
        if draw(st.integers(0, 5)) == 0 and (isinstance(holder, list) or key in holder):
            del holder[key]
        else:
            holder[key] = draw(hostile_values())
    return changed


def _holders(value: Any) -> list[Any]:
    """All lists and mappings in it, this one first; not those of the deep ones that were put there."""
    found, left = [], [(value, 0)]
    while left:
        part, depth = left.pop()
        if isinstance(part, list | dict) and depth < 12:
            found.append(part)
            left += [(inner, depth + 1) for inner in (part if isinstance(part, list) else part.values())]
    return found


def as_json(value: Any) -> bytes:
    """Written as JSON, with what stands for text that Python can't write itself in its place."""
    text = json.dumps(value)
    for name, unwritable in UNWRITABLE.items():
        text = text.replace(json.dumps(name), unwritable)
    return text.encode()


@st.composite
def mutated_bytes(draw: st.DrawFn, bases: Sequence[bytes]) -> bytes:
    """One of `bases` with up to six pieces overwritten, cut out, put in, doubled, or all behind them cut off."""
    data = draw(st.sampled_from(list(bases)))
    for _ in range(draw(st.integers(1, 6))):
        at = _place(draw, len(data))
        length = draw(st.sampled_from((1, 2, 4, 8, 64, 1_000)))
        edit = draw(st.sampled_from(_EDITS))
        piece = draw(st.sampled_from(_PARTS) | st.binary(max_size=8))
        data = edit(data, at, length, piece)
    return data


def _place(draw: st.DrawFn, size: int) -> int:
    """Anywhere, and every second time among the first bytes, where headers are."""
    return draw(st.integers(0, max(0, min(size, 200) if draw(st.booleans()) else size)))


def _flip(data: bytes, at: int, length: int, piece: bytes) -> bytes:
    return data[:at] + bytes(byte ^ (1 << length % 8) for byte in data[at : at + 1]) + data[at + 1 :]


_EDITS: Final[tuple[Callable[[bytes, int, int, bytes], bytes], ...]] = (
    _flip,
    lambda data, at, length, piece: data[:at] + piece + data[at + len(piece) :],
    lambda data, at, length, piece: data[:at] + data[at + length :],
    lambda data, at, length, piece: data[:at] + piece + data[at:],
    lambda data, at, length, piece: data[:at] + data[at : at + length] * 2 + data[at + length :],
    lambda data, at, length, piece: data[:at],
)
