"""What one scale took: told while a render goes on, and kept in its record and its checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import BeforeValidator, Field, PlainSerializer

Trace = Annotated[
    tuple[float | None, ...],
    BeforeValidator(lambda losses: losses or ()),
    PlainSerializer(lambda losses: losses or None, return_type=tuple[float | None, ...] | None),
]
"""Empty, or in JSON null, where it was not asked for."""


@dataclass(frozen=True)
class ScaleReport:
    """One finished step of the pyramid: sizes in px, `seconds` of wall time, final losses by term, memory in bytes.

    `trace` is the loss after each iteration, if it was asked for. A loss that is not a number reads back as None:
    JSON knows no NaN.
    """

    scale: int
    width: int
    height: int
    iterations: int
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    losses: Mapping[str, float | None] = field(default_factory=dict)
    peak_memory: int | None = None
    trace: Trace = ()
    tiling: Mapping[str, int] | None = None
