"""Hostile checkpoints and style targets, as a render of a few iterations takes them up."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor, equal

from styletransfer.network.vgg_weights import Weights
from styletransfer.pictures.picture import Picture
from styletransfer.renders.checkpoints import Checkpoints
from styletransfer.settings import Settings
from styletransfer.transfer.style_cache import Files, StyleCache
from styletransfer.transfer.stylizer import Stylizer
from tests.fuzz.mutations import mutated_bytes
from tests.networks import shallow_network
from tests.studio import SHALLOW

IDENTITY: Final = "random:1000003/v1"
"""Of filters that no other test has: else it is the network of these that the process may have kept."""
_SETTINGS: Final = Settings.model_validate({**SHALLOW, "initial_iterations": 2, "iterations": 2})


def _render(files: Files | None = None, **options: Any) -> Tensor:
    """A picture of 12 x 16 px and four iterations."""
    weights = Weights("shallow", IDENTITY, shallow_network("relu2_1"))
    stylizer = Stylizer(weights, _SETTINGS, style_cache=StyleCache(files))
    with _one_thread():
        return stylizer.run(_picture(1), [_picture(2)], (1.0,), **options)


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """As a case is tried: sums by two threads round otherwise, so a state of theirs makes another picture."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@cache
def _expected() -> Tensor:
    """What an uninterrupted render makes."""
    return _render()


def _picture(seed: int) -> Picture:
    return Picture(np.random.default_rng(seed).integers(0, 256, (12, 16, 3), np.uint8))


@cache
def _states() -> list[bytes]:
    """The state after each iteration."""
    seen: list[bytes] = []
    _render(callback=lambda progress: seen.append(progress.state().to_bytes()))
    return seen


def checkpoint_cases() -> st.SearchStrategy[bytes]:
    return mutated_bytes(_states())


def resume(case: bytes, folder: Path) -> None:
    """The picture is the one that an uninterrupted render makes, or the checkpoint is refused."""
    (folder / "a.safetensors").write_bytes(case)
    state = Checkpoints(str(folder / "a.safetensors"), "a", 60.0).load()
    if state is not None:
        assert equal(_render(resume=state), _expected())


class _OneFile:
    """Whatever is asked for has these bytes; the last that were written are kept."""

    def __init__(self, contents: bytes | None = None) -> None:
        self.contents = contents

    def read(self, name: str) -> bytes | None:
        return self.contents

    def write(self, name: str, contents: bytes) -> None:
        self.contents = contents

    def remove(self, name: str) -> None:
        self.contents = None


@cache
def _style_targets() -> list[bytes]:
    file = _OneFile()
    _render(file)
    assert file.contents is not None
    return [file.contents]


def style_target_cases() -> st.SearchStrategy[bytes]:
    return mutated_bytes(_style_targets())


def use_style_target(case: bytes, folder: Path) -> None:
    assert equal(_render(_OneFile(case)), _expected())
