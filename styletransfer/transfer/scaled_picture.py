"""What a render asks of a picture: `styletransfer.pictures.picture.Picture` gives it, and so may others."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from styletransfer.sizes import Size


class ScaledPicture(Protocol):
    """A picture that can be had at any size."""

    @property
    def size(self) -> Size:
        """Its own width and height in px."""

    @property
    def digest(self) -> str:
        """A text that tells all that decides its pixels at any size."""

    def at(self, size: Size, dtype: torch.dtype) -> Tensor:
        """The picture at `size` (width, height in px): (1, 3, H, W) of floats in [0, 1], contiguous, on the CPU."""

    def mean_and_variance(self) -> tuple[list[float], list[float]]:
        """Of each channel at its own size; the variance that of a sample."""
