"""Pictures without a file and without Pillow: drawn from a seed, or the golden ones, scaled as Pillow scales."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from styletransfer.sizes import Size

Pixels = npt.NDArray[np.uint8]
GOLDEN = Path(__file__).parents[1] / "golden"
PRECISION_BITS = 22
"""Of the weights in Pillow's 8-bit arithmetic (its Resample.c)."""


@dataclass(frozen=True)
class PlainPicture:
    """8-bit pixels (H, W, 3); a `ScaledPicture`."""

    pixels: Pixels = field(repr=False)
    _resized: dict[Size, Pixels] = field(default_factory=dict, repr=False, compare=False)

    @property
    def size(self) -> Size:
        height, width, _ = self.pixels.shape
        return width, height

    @cached_property
    def digest(self) -> str:
        return hashlib.sha256(f"{self.size}".encode() + self.pixels.tobytes()).hexdigest()

    def at(self, size: Size, dtype: torch.dtype) -> Tensor:
        exact = torch.float64 if dtype == torch.float64 else torch.float32
        if size not in self._resized:
            self._resized[size] = resized(self.pixels, size)
        planes = np.ascontiguousarray(self._resized[size].transpose(2, 0, 1)[None])
        return (torch.from_numpy(planes).to(exact) / 255).to(dtype)

    def mean_and_variance(self) -> tuple[list[float], list[float]]:
        values = self.pixels.reshape(-1, 3) / 255
        return values.mean(axis=0).tolist(), values.var(axis=0, ddof=1).tolist()


def resized(pixels: Pixels, size: Size) -> Pixels:
    """As Pillow's bicubic filter has it, to the bit: along the rows, then down the columns, rounded after each."""
    width, height = size
    narrow = pixels if width == pixels.shape[1] else _filtered(pixels.transpose(1, 0, 2), width).transpose(1, 0, 2)
    return narrow if height == pixels.shape[0] else _filtered(narrow, height)


def _filtered(pixels: Pixels, length: int) -> Pixels:
    """Pixels (H, W, 3) made `length` high. In float64 the whole numbers are exact."""
    count, *rest = pixels.shape
    sums = _weights(count, length) @ pixels.reshape(count, -1).astype(np.float64)
    rounded = np.floor((sums + 2 ** (PRECISION_BITS - 1)) / 2**PRECISION_BITS)
    filtered: Pixels = rounded.clip(0, 255).astype(np.uint8).reshape(length, *rest)
    return filtered


def _weights(count: int, length: int) -> npt.NDArray[np.float64]:
    """Weight of each of `count` values in each of `length`, whole numbers: (length, count)."""
    scale = count / length
    stretch = max(scale, 1.0)
    centres = (np.arange(length) + 0.5) * scale
    first = np.maximum(np.trunc(centres - 2 * stretch + 0.5), 0)[:, None]
    end = np.minimum(np.trunc(centres + 2 * stretch + 0.5), count)[:, None]
    places = np.arange(count)[None]
    found = _bicubic((places + 0.5 - centres[:, None]) / stretch) * ((places >= first) & (places < end))
    found = found / found.sum(axis=1, keepdims=True) * 2**PRECISION_BITS
    whole: npt.NDArray[np.float64] = np.trunc(found + np.copysign(0.5, found))
    return whole


def _bicubic(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Keys 1981 with a = -1/2."""
    x = np.abs(x)
    near, far = (1.5 * x - 2.5) * x * x + 1, ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


# The golden ones


NUMBERS: dict[str, Any] = json.loads((GOLDEN / "golden.json").read_text())


def golden(name: str) -> npt.NDArray[Any]:
    with np.load(GOLDEN / "golden.npz") as arrays:
        return np.asarray(arrays[name])


# Drawn ones


def photograph(width: int = 1024, height: int = 768) -> PlainPicture:
    """Clouds whose amplitude falls as 1 / frequency, as in photographs, with hard-edged shapes in front."""
    generator = torch.Generator().manual_seed(1)
    picture = 0.5 + 0.13 * _clouds((1, height, width), 1.4, generator)
    picture = picture + 0.06 * _clouds((3, height, width), 1.5, generator)
    for level in (0.3, 0.6, 0.9, 1.2, 1.5):
        shape = (_clouds((1, height, width), 2.2, generator) - level).mul(40).sigmoid()
        colour = torch.rand(3, 1, 1, generator=generator)
        texture = 0.05 * _clouds((1, height, width), 1.0, generator)
        picture = torch.lerp(picture, colour + texture, shape)
    return _pixels(picture)


def painting(width: int = 900, height: int = 900) -> PlainPicture:
    """Long strokes of strong colours."""
    generator = torch.Generator().manual_seed(2)
    strokes = _clouds((3, height, width), 1.3, generator, stretch=6.0)
    blots = _clouds((3, height, width), 1.8, generator)
    return _pixels(0.5 + 0.22 * strokes.sign() * strokes.abs().sqrt() + 0.15 * blots)


def of_one_colour(width: int = 96, height: int = 64) -> PlainPicture:
    return PlainPicture(np.full((height, width, 3), (77, 128, 128), np.uint8))


def half(*, turned: bool = False) -> PlainPicture:
    """A mask: white on the left and black on the right, or, turned, at the top and at the bottom."""
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[:, :32] = 255
    return PlainPicture(pixels.transpose(1, 0, 2).copy() if turned else pixels)


def _clouds(shape: tuple[int, ...], falloff: float, generator: torch.Generator, stretch: float = 1.0) -> Tensor:
    """Gaussian noise (C, H, W), amplitude frequency**-falloff, mean 0, deviation 1, drawn out along the rows."""
    rows, columns = torch.fft.fftfreq(shape[1]), torch.fft.rfftfreq(shape[2]) * stretch
    frequency = torch.hypot(rows[:, None], columns[None, :])
    amplitude = torch.where(frequency > 0, frequency, torch.inf) ** -falloff
    spectrum = torch.fft.rfft2(torch.randn(shape, generator=generator)) * amplitude
    field: Tensor = torch.fft.irfft2(spectrum, s=shape[1:])
    return field / field.std(dim=(1, 2), keepdim=True)


def _pixels(picture: Tensor) -> PlainPicture:
    return PlainPicture(picture.clamp(0, 1).mul(255).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy())
