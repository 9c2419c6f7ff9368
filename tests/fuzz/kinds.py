"""What is fuzzed: for each kind of input its cases, and how the program reads one.

A case is bytes, so that one that was found can be kept as a file: those in `found/<kind>/` are tried first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from hypothesis import strategies as st

from tests.fuzz import command_lines, documents, locations, manifests, pictures, renders, weights
from tests.fuzz.bounded import Attempt


@dataclass(frozen=True)
class Kind:
    """`cases` makes them when it is first called; `attempt` has the program read one."""

    cases: Callable[[], st.SearchStrategy[bytes]]
    attempt: Attempt


KINDS: Final = {
    "manifests": Kind(manifests.cases, manifests.attempt),
    "locations": Kind(locations.cases, locations.attempt),
    "documents": Kind(documents.cases, documents.attempt),
    "checkpoints": Kind(renders.checkpoint_cases, renders.resume),
    "style targets": Kind(renders.style_target_cases, renders.use_style_target),
    "pictures": Kind(pictures.cases, pictures.attempt),
    "weights": Kind(weights.cases, weights.attempt),
    "command lines": Kind(command_lines.cases, command_lines.attempt),
}
