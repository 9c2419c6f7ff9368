"""YAML as data only: scalars of the YAML 1.2 core schema, the line of every value, and bounds on everything.

`no` and `on` are text, `1e-2` and `.5` are numbers, `010` is ten. Tags that build objects, duplicate keys and
merge keys are faults. An alias counts as much as what it stands for, so that a small text cannot unfold
into a huge document. PyYAML's parser reads the text; nothing of its resolver or constructor is used.

Core schema: https://yaml.org/spec/1.2.2/#103-core-schema
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import yaml

from styletransfer.errors import Fault

Path = tuple[str | int, ...]
"""Keys and list positions that lead to a value from the top: ('pairs', 3, 'settings', 'seed')."""

Value = str | int | float | bool | None | list["Value"] | dict[str, "Value"]

_TAG = "tag:yaml.org,2002:"
_NULL = re.compile(r"null|Null|NULL|~|")
_BOOL = re.compile(r"(true|True|TRUE)|false|False|FALSE")
_INT = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEX = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INFINITE = re.compile(r"[-+]?(\.inf|\.Inf|\.INF)")
_NAN = re.compile(r"\.nan|\.NaN|\.NAN")
_FORBIDDEN_CHARACTER = re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

# libyaml's parser where PyYAML was built with it: five times as fast, the same events.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Bounds:
    """What a document may have at most. `nodes` counts values and keys, an alias as what it stands for."""

    size_bytes: int = 8 * 2**20
    depth: int = 32
    nodes: int = 300_000
    digits: int = 100


@dataclass
class _Node:
    """A scalar, list or mapping with its line; `weight` is the number of values and keys it unfolds to."""

    line: int
    value: str | int | float | bool | None = None
    items: list[_Node] | None = None
    entries: dict[str, tuple[int, _Node]] | None = None
    weight: int = 1

    def plain(self) -> Value:
        if self.items is not None:
            return [item.plain() for item in self.items]
        if self.entries is not None:
            return {key: node.plain() for key, (_, node) in self.entries.items()}
        return self.value


@dataclass(frozen=True)
class Document:
    """A document's value, what is wrong with it (the value is then incomplete), and the lines."""

    value: Value
    faults: tuple[Fault, ...] = ()
    _root: _Node = field(default_factory=lambda: _Node(1), repr=False)

    def line(self, path: Path) -> int:
        """Line (from 1) of the value at `path`, or of the nearest value around it that exists."""
        node, line = self._root, self._root.line
        for step in path:
            if isinstance(step, str) and node.entries is not None and step in node.entries:
                line, node = node.entries[step]
            elif isinstance(step, int) and node.items is not None and step < len(node.items):
                node = node.items[step]
                line = node.line
            else:
                break
        return line


def place(path: Path) -> str:
    """The path as people read it: `pairs[3].settings.seed`."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")


def load(text: str | bytes, bounds: Bounds = Bounds()) -> Document:
    """The one document of a text, in UTF-8 if it is bytes. Never raises for what the text holds."""
    try:
        return _compose(_check_text(text, bounds), bounds)
    except _Stop as stop:
        return Document(None, (stop.fault,))


def _compose(text: str, bounds: Bounds) -> Document:
    composer = _Composer(yaml.parse(text, Loader=_LOADER), bounds)
    try:
        root = composer.compose_document()
    except yaml.MarkedYAMLError as error:
        _check_before(error, text, bounds)
        return Document(None, (_syntax_fault(error, text),))
    except yaml.YAMLError as error:
        return Document(None, (Fault("YAML", f"cannot be read: {error}"),))
    return Document(root.plain(), tuple(composer.faults), root)


def _check_before(error: yaml.MarkedYAMLError, text: str, bounds: Bounds) -> None:
    """Raises _Stop where the text is beyond our bounds before the parser's error.

    The scanner reads ahead, as far as a key on one line may be long, and has a limit on nesting of its own
    (libyaml 0.2.6), so that it may fail before the values on the way have come out.
    """
    if error.problem_mark is not None:
        before = yaml.parse(text[: error.problem_mark.index], Loader=_LOADER)
        with suppress(yaml.YAMLError):
            _Composer(before, bounds).compose_document()


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
    last = text.rstrip().count("\n") + 1  # where the text ends too early, the mark is beyond it
    return Fault("YAML", f"is not valid: {problem}", min(mark.line + 1, last) if mark else None)


class _Composer:
    """Events to nodes. Faults that leave the rest readable are gathered; the others raise _Stop."""

    def __init__(self, events: Iterator[yaml.Event], bounds: Bounds) -> None:
        self.faults: list[Fault] = []
        self._events = events
        self._bounds = bounds
        self._anchors: dict[str, _Node | None] = {}  # None while the anchored value is not complete
        self._nodes = 0

    def compose_document(self) -> _Node:
        next(self._events)  # start of the stream
        if isinstance(next(self._events), yaml.StreamEndEvent):
            return _Node(1)
        root = self._compose(next(self._events), ())
        next(self._events)  # end of the document
        following = next(self._events)
        if not isinstance(following, yaml.StreamEndEvent):
            raise _Stop("holds a second document; only one is allowed", _line(following))
        return root

    def _compose(self, event: yaml.Event, path: Path) -> _Node:
        if isinstance(event, yaml.AliasEvent):
            return self._resolve_alias(event, path)
        assert isinstance(event, yaml.NodeEvent)
        if len(path) > self._bounds.depth:
            raise _Stop(f"is nested more than {self._bounds.depth} levels deep", _line(event))
        self._count(1, event)
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        node = self._compose_value(event, path)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _compose_value(self, event: yaml.NodeEvent, path: Path) -> _Node:
        if isinstance(event, yaml.ScalarEvent):
            return _Node(_line(event), self._scalar(event, path))
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(event, path)
        assert isinstance(event, yaml.MappingStartEvent)
        return self._mapping(event, path)

    def _resolve_alias(self, event: yaml.AliasEvent, path: Path) -> _Node:
        if event.anchor not in self._anchors:
            raise _Stop(f"refers to the unknown anchor {event.anchor!r}", _line(event), place(path) or "YAML")
        node = self._anchors[event.anchor]
        if node is None:
            raise _Stop("refers to itself", _line(event), place(path) or "YAML")
        self._count(node.weight, event)
        return node

    def _count(self, nodes: int, event: yaml.Event) -> None:
        self._nodes += nodes
        if self._nodes > self._bounds.nodes:
            raise _Stop(f"has more than {self._bounds.nodes:,} values, aliases unfolded", _line(event))

    def _sequence(self, event: yaml.SequenceStartEvent, path: Path) -> _Node:
        self._check_collection_tag(event, "seq", path)
        items: list[_Node] = []
        while not isinstance(following := next(self._events), yaml.SequenceEndEvent):
            items.append(self._compose(following, (*path, len(items))))
        return _Node(_line(event), items=items, weight=1 + sum(item.weight for item in items))

    def _mapping(self, event: yaml.MappingStartEvent, path: Path) -> _Node:
        self._check_collection_tag(event, "map", path)
        entries: dict[str, tuple[int, _Node]] = {}
        weight = 1
        while not isinstance(following := next(self._events), yaml.MappingEndEvent):
            key = self._key(following, path)
            node = self._compose(next(self._events), (*path, key))
            weight += 1 + node.weight
            if key in entries:
                message = f"is given twice, first in line {entries[key][0]}"
                self._fault((*path, key), message, following)
            else:
                entries[key] = (_line(following), node)
        return _Node(_line(event), entries=entries, weight=weight)

    def _key(self, event: yaml.Event, path: Path) -> str:
        if not isinstance(event, yaml.ScalarEvent):
            raise _Stop("has a key that is not plain text", _line(event), place(path) or "YAML")
        self._count(1, event)
        if event.anchor is not None:
            self._anchors[event.anchor] = _Node(_line(event), event.value)
        if event.value == "<<" and event.implicit[0]:
            self._fault((*path, "<<"), "is a merge key, which YAML 1.2 does not have", event)
        return str(event.value)

    def _check_collection_tag(self, event: yaml.CollectionStartEvent, kind: str, path: Path) -> None:
        if event.tag not in (None, "!", _TAG + kind):
            self._fault(path, f"has the tag {_shown_tag(event.tag)}, which is not allowed", event)

    def _scalar(self, event: yaml.ScalarEvent, path: Path) -> str | int | float | bool | None:
        text: str = event.value
        if event.tag in ("!", _TAG + "str") or (event.tag is None and not event.implicit[0]):
            return text
        if len(text) > self._bounds.digits and (_INT.fullmatch(text) or _HEX.fullmatch(text)):
            self._fault(path, f"is a number of more than {self._bounds.digits} digits", event)
            return None
        value = resolve(text)
        if event.tag is not None and not _fits_tag(value, event.tag):
            self._fault(path, f"has the tag {_shown_tag(event.tag)}, which is not allowed here", event)
        return value

    def _fault(self, path: Path, message: str, event: yaml.Event) -> None:
        self.faults.append(Fault(place(path) or "YAML", message, _line(event)))


def resolve(text: str) -> str | int | float | bool | None:
    """What a plain (unquoted) scalar means in the YAML 1.2 core schema."""
    if _NULL.fullmatch(text):
        return None
    if found := _BOOL.fullmatch(text):
        return found[1] is not None
    if _INT.fullmatch(text):
        return int(text)
    if _OCTAL.fullmatch(text):
        return int(text, 8)
    if _HEX.fullmatch(text):
        return int(text, 16)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _INFINITE.fullmatch(text):
        return float("-inf" if text.startswith("-") else "inf")
    return float("nan") if _NAN.fullmatch(text) else text


def _fits_tag(value: object, tag: str) -> bool:
    kinds: dict[str, tuple[type, ...]] = {
        "int": (int,),
        "float": (int, float),
        "bool": (bool,),
        "null": (type(None),),
    }
    allowed = kinds.get(tag.removeprefix(_TAG), ()) if tag.startswith(_TAG) else ()
    return type(value) in allowed


def _shown_tag(tag: str) -> str:
    return tag.replace(_TAG, "!!")


def _line(event: yaml.Event) -> int:
    assert event.start_mark is not None
    return event.start_mark.line + 1
