"""The numbers of tests/golden/, by name; what each is stands in its README."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from styletransfer.pictures.picture import Picture

_FOLDER = Path(__file__).parent / "golden"

NUMBERS: dict[str, Any] = json.loads((_FOLDER / "golden.json").read_text())

with np.load(_FOLDER / "golden.npz") as _arrays:
    _ARRAYS = dict(_arrays)


def tensor(name: str) -> Tensor:
    """A stored array in float64."""
    return torch.from_numpy(_ARRAYS[name].astype(np.float64))


def picture(name: str) -> Picture:
    """`content`, `style_a` or `style_b`."""
    return Picture(_ARRAYS[name])
