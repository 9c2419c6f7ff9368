"""Where benchmarks leave what they measured: a JSON file each in docs/performance/, with machine and versions."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from styletransfer.machine.devices import describe
from tests.checkout import ROOT

FOLDER = ROOT / "docs" / "performance"


def environment() -> dict[str, str | int]:
    """The machine and the versions that figures hold for."""
    return {
        "machine": describe("cpu"),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def write(name: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Replace the file of this name."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    found = {"environment": environment(), "rows": list(rows)}
    (FOLDER / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def read(name: str) -> dict[str, Any]:
    """What `write` left; without rows if nothing was measured yet."""
    file = FOLDER / f"{name}.json"
    if not file.exists():
        return {"environment": {}, "rows": []}
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def renders() -> list[dict[str, Any]]:
    """Every whole render that was measured."""
    return [json.loads(file.read_text(encoding="utf-8")) for file in sorted((FOLDER / "renders").glob("*.json"))]
