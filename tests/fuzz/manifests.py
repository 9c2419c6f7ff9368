"""Hostile manifests, as `check` reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from hypothesis import strategies as st

from styletransfer.settings import Settings
from tests.fuzz.mutations import as_json, mutated_bytes, mutated_documents
from tests.fuzz.running import run
from tests.studio import QUICK, picture_file

_PAIR: Final = {"id": "a", "content": "content.png", "style": "style.png", "settings": {"seed": 1}}
_MANIFEST: Final = {
    "version": 1,
    "name": "night",
    "output": "out",
    "weights": "random",
    "defaults": {**QUICK, "schedule": "fast", "style_weights": None},
    "pairs": [_PAIR, {"content": "content.png", "styles": [{"image": "style.png", "weight": 2}, "style.png"]}],
    "grid": [{"contents": ["*.png"], "styles": ["style.png"]}],
}
_KEYS: Final = (*_MANIFEST, *_PAIR, "styles")


def cases() -> st.SearchStrategy[bytes]:
    words = (*_KEYS, *Settings.model_fields)
    texts = mutated_documents(_without_none(_MANIFEST), words).map(as_json)
    return texts | mutated_bytes([as_json(_without_none(_MANIFEST)), _YAML])


def _without_none(value: Any) -> Any:
    """The document without what only shows that it may be there."""
    if isinstance(value, dict):
        return {key: _without_none(part) for key, part in value.items() if part is not None}
    return value


_YAML: Final = b"""\
# night by night
version: 1
output: out
weights: random
defaults: &quick {end_scale: 32, min_scale: 20}
pairs:
  - {content: content.png, style: style.png, settings: *quick}
  - content: "content.png"
    styles:
      - {image: 'style.png', weight: .5}
      - style.png
    settings: {seed: 0x10, content_weight: 1e-2}
grid:
  - contents: [style.png]
    styles: [style.png]
"""


def attempt(case: bytes, folder: Path) -> None:
    (folder / "content.png").write_bytes(picture_file(1))
    (folder / "style.png").write_bytes(picture_file(2))
    (folder / "night.yaml").write_bytes(case)
    run(["check", "night.yaml"])
