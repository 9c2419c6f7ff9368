"""The engines that compute the objective, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Literal, TypeVar

import torch
from torch import Tensor

from styletransfer.network.frozen import FrozenVGG19
from styletransfer.network.shared import shared_network
from styletransfer.network.vgg import VGG19
from styletransfer.objective.fast import FrozenObjective
from styletransfer.objective.terms import Objective, ReferenceObjective
from styletransfer.settings import Settings

Engine = Literal["default", "reference"]
Network = TypeVar("Network")


def make_objective(
    engine: Engine,
    tensors: Mapping[str, Tensor],
    settings: Settings,
    *,
    identity: str | None = None,
    devices: Sequence[torch.device | str] = ("cpu",),
    dtype: torch.dtype = torch.float32,
) -> Objective:
    """The objective of `settings` over a network with these tensors, in `dtype`, by one of the engines.

    The network is shared with others of the same `identity`, if that is given: it stands for the tensors.
    """
    if engine == "reference":
        build = _builder(VGG19, identity)
        return ReferenceObjective(tensors, settings, devices=devices, dtype=dtype, build=build)
    walked = _builder(FrozenVGG19, identity)
    return FrozenObjective(tensors, settings, devices=devices, dtype=dtype, build=walked)


def _builder(kind: Callable[..., Network], identity: str | None) -> Callable[..., Network]:
    return kind if identity is None else partial(shared_network, kind, identity)
