"""What was found of a manifest's inputs when it was submitted: the last line of its stored copy, a comment.

Whoever renders from the copy takes it from there, and looks at no input before fetching it. The copy's folder is
named after its contents, so that no manifest of anybody else's is believed what it says at its end.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from typing import Final

from pydantic import BaseModel, ConfigDict, RootModel, ValidationError

from styletransfer import storage
from styletransfer.limits import MANIFEST_BYTES
from styletransfer.planning.inputs import FoundInput
from styletransfer.records.records import Digest, Pixels

log = logging.getLogger(__name__)

_MARK: Final = b"# inputs: "


class _Known(BaseModel):
    """One input by its location. A profile has no size."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    sha256: Digest
    width: Pixels | None = None
    height: Pixels | None = None

    @property
    def found(self) -> FoundInput:
        size = None if self.width is None or self.height is None else (self.width, self.height)
        return FoundInput(sha256=self.sha256, size=size)


class _AllKnown(RootModel[dict[str, _Known]]):
    pass


def with_inputs(contents: bytes, found: Mapping[str, FoundInput]) -> bytes:
    """A manifest's text, and what was found of its inputs, but for those with a fault."""
    known = {
        url: _Known(sha256=each.sha256, width=each.size and each.size[0], height=each.size and each.size[1])
        for url, each in found.items()
        if each.sha256 is not None and each.fault is None
    }
    line = _MARK + _AllKnown(known).model_dump_json(exclude_none=True).encode() + b"\n"
    return contents + line if len(contents) + len(line) <= MANIFEST_BYTES else contents


def digest(contents: bytes) -> str:
    """Name of the folder for a copy with these contents."""
    return hashlib.sha256(contents).hexdigest()[:12]


def known_inputs(contents: bytes, location: str) -> dict[str, FoundInput]:
    """What the manifest read from `location` knows of its inputs, by URL; nothing unless it is a stored copy."""
    _, mark, line = contents.rpartition(b"\n" + _MARK)
    if not mark or storage.name(storage.parent(location)) != digest(contents):
        return {}
    try:
        return {url: known.found for url, known in _AllKnown.model_validate_json(line).root.items()}
    except ValidationError as error:
        log.warning("%s: what it says of its inputs can't be read: %s", storage.public(location), error)
        return {}
