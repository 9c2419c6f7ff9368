"""Hostile files of weights, as `check` looks at them and a render loads them."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path
from typing import Final

import safetensors.torch
import torch
from hypothesis import strategies as st

from styletransfer.errors import StyleTransferError
from styletransfer.manifest.weights_source import WeightsSource
from styletransfer.network.vgg_weights import weights_in
from styletransfer.weights.loading import check_weights
from tests.fuzz.mutations import mutated_bytes
from tests.networks import shallow_network

_LAST: Final = "relu1_2"


@cache
def _weight_files() -> list[bytes]:
    tensors = {name: tensor.half() for name, tensor in shallow_network(_LAST).items()}
    pth = io.BytesIO()
    torch.save(tensors, pth)
    return [safetensors.torch.save(tensors, {"a": "b"}), pth.getvalue()]


def cases() -> st.SearchStrategy[bytes]:
    return mutated_bytes(_weight_files())


def attempt(case: bytes, folder: Path) -> None:
    path = folder / "w.safetensors"
    path.write_bytes(case)
    checked: StyleTransferError | None = None
    try:
        check_weights(WeightsSource(str(path)), _LAST)
    except StyleTransferError as error:
        checked = error
    weights = weights_in(case, _LAST, "w")
    assert checked is None, f"refused by its header, and loads: {checked}"
    assert all(tensor.isfinite().all() for tensor in weights.tensors.values())
