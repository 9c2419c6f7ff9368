"""Hostile records, summaries, notes and thumbnails, as planning and the contact sheet read them."""

from __future__ import annotations

import json
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from flows.farm.pair_notes import read_notes
from flows.farm.so_far import read_so_far
from styletransfer.contact_sheet.sheet import ContactSheet
from styletransfer.manifest.pairs import Manifest
from styletransfer.manifest.reader import parse_manifest
from styletransfer.planning.plan import plan_manifest
from tests.fuzz.mutations import as_json, mutated_bytes, mutated_documents
from tests.studio import QUICK, picture_file, pretend_all


@cache
def _records() -> tuple[Any, Any, Any]:
    """A record, a summary and a note of a pair that was rendered."""
    with tempfile.TemporaryDirectory() as folder:
        manifest = _two_pairs(Path(folder))
        pretend_all(manifest)
        ContactSheet(plan_manifest(manifest)).write({})
        read = [json.loads((Path(folder) / "out/demo" / name).read_bytes()) for name in ("a.json", "summary.json")]
    note = {
        "schema_version": 1, "pair": "a", "fingerprint": "0" * 64, "submission": "s", "run": "r", "state": "failed",
        "attempt": 1, "reason": "x", "host": "h", "slot": "cpu", "since": "2026-01-01T00:00:00Z",
    }  # fmt: skip
    return read[0], read[1], note


def _two_pairs(folder: Path) -> Manifest:
    (folder / "content.png").write_bytes(picture_file(1))
    (folder / "style.png").write_bytes(picture_file(2))
    pairs = [{"id": name, "content": "content.png", "style": "style.png"} for name in ("a", "b")]
    head = {"version": 1, "output": "out", "weights": "random", "defaults": QUICK, "pairs": pairs}
    return parse_manifest(json.dumps(head), str(folder / "demo.yaml"))


def cases() -> st.SearchStrategy[bytes]:
    record, summary, note = _records()
    words = (*record, *summary, *note)
    return st.one_of(
        *(mutated_documents(document, words).map(as_json) for document in (record, summary, note)),
        mutated_bytes([json.dumps(document).encode() for document in (record, summary, note)]),
    )


def attempt(case: bytes, folder: Path) -> None:
    """All places where one may lie: a page is made of what can be read, and the rest is named in the log."""
    manifest = _two_pairs(folder)
    for name in ("a.json", "summary.json", ".farm/a.json", ".farm/a.so-far", ".thumbnails/a.jpg"):
        place = folder / "out/demo" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(case)
    plan = plan_manifest(manifest, only=["a"])
    read_notes(plan.places)
    read_so_far(plan.places, "a")
    summary = ContactSheet(plan).write({})
    assert {pair.id for pair in summary.pairs} == {"a", "b"}
