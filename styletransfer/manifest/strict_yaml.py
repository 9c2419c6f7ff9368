"""YAML as data only: scalars of the YAML 1.2 core schema, the line of every value, and bounds on everything.

`no` and `on` are text, `1e-2` and `.5` are numbers, `010` is ten. Tags that build objects, duplicate keys and
merge keys are faults. An alias counts as much as what it stands for, so that a small text cannot unfold
into a huge document. PyYAML's parser reads the text; nothing of its resolver or constructor is used.

Core schema: https://yaml.org/spec/1.2.2/#103-core-schema
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import yaml

from styletransfer.errors import Fault
from styletransfer.limits import MANIFEST_BYTES

Path = tuple[str | int, ...]
"""Keys and list positions that lead to a value from the top: ('pairs', 3, 'settings', 'seed')."""

Value = str | int | float | bool | None | list["Value"] | dict[str, "Value"]

# What plain text means; what matches none is text. In the standard's order.
_PLAIN: tuple[tuple[re.Pattern[str], Callable[[str], Value]], ...] = (
    (re.compile(r"null|Null|NULL|~|"), lambda _: None),
    (re.compile(r"true|True|TRUE|false|False|FALSE"), lambda text: text.lower() == "true"),
    (re.compile(r"[-+]?[0-9]+"), int),
    (re.compile(r"0o[0-7]+"), lambda text: int(text, 8)),
    (re.compile(r"0x[0-9a-fA-F]+"), lambda text: int(text, 16)),
    (re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"), float),
    (re.compile(r"[-+]?\.(inf|Inf|INF)"), lambda text: float(text.replace(".", ""))),
    (re.compile(r"\.nan|\.NaN|\.NAN"), lambda _: float("nan")),
)
_WHOLE = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_KINDS: dict[str, set[type]] = {"!!int": {int}, "!!float": {int, float}, "!!bool": {bool}, "!!null": {type(None)}}
_FORBIDDEN_CHARACTER = re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

# libyaml's parser where PyYAML was built with it: five times as fast, the same events.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Bounds:
    """What a document may have at most. `nodes` counts values and keys, an alias as what it stands for."""

    size_bytes: int = MANIFEST_BYTES
    depth: int = 32
    nodes: int = 300_000
    digits: int = 100


@dataclass(frozen=True)
class Document:
    """A document's value, what is wrong with it (the value is then incomplete), and the line of each value."""

    value: Value
    faults: tuple[Fault, ...] = ()
    lines: Mapping[Path, int] = field(default_factory=dict, repr=False)

    def line(self, path: Path) -> int:
        """Line (from 1) of the value at `path`, or of the nearest value around it that exists."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def place(path: Path) -> str:
    """The path as people read it: `pairs[3].settings.seed`."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")


def load(text: str | bytes, bounds: Bounds = Bounds()) -> Document:
    """The one document of a text, in UTF-8 if it is bytes. Never raises for what the text holds."""
    try:
        return _read(_check_text(text, bounds), bounds)
    except _Stop as stop:
        return Document(None, (stop.fault,))


def _read(text: str, bounds: Bounds) -> Document:
    try:
        return _Walk(text, bounds).document()
    except yaml.MarkedYAMLError as error:
        _check_before(error, text, bounds)
        return Document(None, (_syntax_fault(error, text),))
    except yaml.YAMLError as error:
        return Document(None, (Fault("YAML", f"cannot be read: {error}"),))


def _check_before(error: yaml.MarkedYAMLError, text: str, bounds: Bounds) -> None:
    """Raises _Stop where the text is beyond our bounds before the parser's error.

    The scanner reads ahead, as far as a key on one line may be long, and has a limit on nesting of its own
    (libyaml 0.2.6), so that it may fail before the values on the way have come out.
    """
    if error.problem_mark is not None:
        with suppress(yaml.YAMLError):
            _Walk(text[: error.problem_mark.index], bounds).document()


class _Stop(Exception):  # noqa: N818  (never leaves this module)
    """A fault after which reading on makes no sense."""

    def __init__(self, message: str, line: int | None = None, where: str = "YAML") -> None:
        super().__init__(message)
        self.fault = Fault(where, message, line)


def _check_text(text: str | bytes, bounds: Bounds) -> str:
    if len(text) > bounds.size_bytes:
        raise _Stop(f"has {len(text):,} bytes; at most {bounds.size_bytes:,} are allowed")
    text = (_decode(text) if isinstance(text, bytes) else text).removeprefix("\ufeff")
    if found := _FORBIDDEN_CHARACTER.search(text):
        line = text.count("\n", 0, found.start()) + 1
        raise _Stop(f"has the control character U+{ord(found[0]):04X}", line)
    return text


def _decode(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise _Stop("is not UTF-8", text.count(b"\n", 0, error.start) + 1) from error


def _syntax_fault(error: yaml.MarkedYAMLError, text: str) -> Fault:
    mark = error.problem_mark or error.context_mark
    problem = error.problem or error.context or "cannot be read"
    if mark is None:
        return Fault("YAML", f"is not valid: {problem}")
    if text[mark.index : mark.index + 1] == "\t":
        return Fault("YAML", "has a tab where only spaces are allowed; indent with spaces", mark.line + 1)
    last = text.rstrip().count("\n") + 1  # where the text ends too early, the mark is beyond it
    return Fault("YAML", f"is not valid: {problem}", min(mark.line + 1, last))


class _Walk:
    """One way through the parser's events, which gathers values, their lines, and faults.

    At an alias it goes back to what the alias stands for and walks that again, so that depth and number of
    values count what aliases unfold to. Faults that leave the rest unreadable raise _Stop.
    """

    def __init__(self, text: str, bounds: Bounds) -> None:
        self._faults: list[Fault] = []
        self._lines: dict[Path, int] = {}
        self._bounds = bounds
        self._count = 0
        self._parser = yaml.parse(text, Loader=_LOADER)
        self._events: list[yaml.Event] = []  # all that the parser has given
        self._at = 0  # of them, the next to walk
        self._anchors: dict[str, int] = {}  # where the value of each anchor begins
        self._targets: dict[int, int | None] = {}  # where the value of each alias begins
        self._open: list[int] = []  # where the values that are being walked begin

    def document(self) -> Document:
        self._next()  # start of the stream
        if isinstance(self._next(), yaml.StreamEndEvent):
            return Document(None)
        value = self._value(self._next(), ())
        self._next()  # end of the document
        following = self._next()
        if not isinstance(following, yaml.StreamEndEvent):
            raise _Stop("holds a second document; only one is allowed", _line(following))
        return Document(value, tuple(self._faults), self._lines)

    def _next(self) -> yaml.Event:
        if self._is_new():
            event = next(self._parser)
            anchor = event.anchor if isinstance(event, yaml.NodeEvent) else None
            if anchor is not None and isinstance(event, yaml.AliasEvent):
                self._targets[self._at] = self._anchors.get(anchor)
            elif anchor is not None:
                self._anchors[anchor] = self._at
            self._events.append(event)
        self._at += 1
        return self._events[self._at - 1]

    def _is_new(self) -> bool:
        """Whether what comes is walked for the first time."""
        return self._at == len(self._events)

    def _value(self, event: yaml.Event, path: Path) -> Value:
        begin = self._at - 1
        if isinstance(event, yaml.AliasEvent):
            return self._aliased(self._targets[begin], event, path)
        if len(path) > self._bounds.depth:
            raise _Stop(f"is nested more than {self._bounds.depth} levels deep", _line(event))
        self._count_value()
        self._lines.setdefault(path, _line(event))
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, path)
        assert isinstance(event, yaml.CollectionStartEvent)
        is_list = isinstance(event, yaml.SequenceStartEvent)
        if (tag := _tag(event)) not in (None, "!", "!!seq" if is_list else "!!map"):
            self._fault(path, f"has the tag {tag}, which is not allowed", event)
        self._open.append(begin)
        value = self._list(path) if is_list else self._mapping(path)
        self._open.pop()
        return value

    def _aliased(self, target: int | None, event: yaml.AliasEvent, path: Path) -> Value:
        if target is None:
            raise _Stop(f"refers to the unknown anchor {event.anchor!r}", _line(event), place(path) or "YAML")
        if target in self._open:
            raise _Stop("refers to itself", _line(event), place(path) or "YAML")
        here, self._at = self._at, target
        value = self._value(self._next(), path)
        self._at = here
        return value

    def _count_value(self) -> None:
        self._count += 1
        if self._count > self._bounds.nodes:
            message = f"has more than {self._bounds.nodes:,} values, aliases unfolded"
            raise _Stop(message, _line(self._events[-1]))

    def _list(self, path: Path) -> Value:
        items: list[Value] = []
        while not isinstance(following := self._next(), yaml.SequenceEndEvent):
            items.append(self._value(following, (*path, len(items))))
        return items

    def _mapping(self, path: Path) -> Value:
        entries: dict[str, Value] = {}
        while not isinstance(following := self._next(), yaml.MappingEndEvent):
            key = self._key(following, path)
            first = self._lines.setdefault((*path, key), _line(following))
            value = self._value(self._next(), (*path, key))
            if key in entries:
                self._fault((*path, key), f"is given twice, first in line {first}", following)
            entries.setdefault(key, value)
        return entries

    def _key(self, event: yaml.Event, path: Path) -> str:
        if not isinstance(event, yaml.ScalarEvent):
            raise _Stop("has a key that is not plain text", _line(event), place(path) or "YAML")
        self._count_value()
        if event.value == "<<" and event.implicit[0]:
            self._fault((*path, "<<"), "is a merge key, which YAML 1.2 does not have", event)
        return str(event.value)

    def _scalar(self, event: yaml.ScalarEvent, path: Path) -> Value:
        text, tag = str(event.value), _tag(event)
        if tag in ("!", "!!str") or (tag is None and not event.implicit[0]):
            return text
        if len(text) > self._bounds.digits and _WHOLE.fullmatch(text):
            self._fault(path, f"is a number of more than {self._bounds.digits} digits", event)
            return None
        value = resolve(text)
        if tag is not None and type(value) not in _KINDS.get(tag, set()):
            self._fault(path, f"has the tag {tag}, which is not allowed here", event)
        return value

    def _fault(self, path: Path, message: str, event: yaml.Event) -> None:
        """A fault is told where it stands, not again where an alias repeats it."""
        if self._is_new():
            self._faults.append(Fault(place(path) or "YAML", message, _line(event)))


def resolve(text: str) -> Value:
    """What a plain (unquoted) scalar means in the YAML 1.2 core schema."""
    return next((meaning(text) for pattern, meaning in _PLAIN if pattern.fullmatch(text)), text)


def _tag(event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> str | None:
    tag: str | None = event.tag
    return tag and tag.replace("tag:yaml.org,2002:", "!!")


def _line(event: yaml.Event) -> int:
    assert event.start_mark is not None
    return event.start_mark.line + 1
