"""The engines that compute the objective, by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor

from styletransfer.frozen_objective import FrozenObjective
from styletransfer.objective import Objective, ReferenceObjective
from styletransfer.settings import Settings

Engine = Literal["default", "reference"]


def make_objective(
    engine: Engine,
    tensors: Mapping[str, Tensor],
    settings: Settings,
    *,
    devices: Sequence[torch.device | str] = ("cpu",),
    dtype: torch.dtype = torch.float32,
) -> Objective:
    """The objective of `settings` over a network with these tensors, in `dtype`, by one of the engines."""
    kind = ReferenceObjective if engine == "reference" else FrozenObjective
    return kind(tensors, settings, devices=devices, dtype=dtype)
