"""Whose colours a result has: the photograph's put into the picture, or its palette into the styles beforehand.

Both in strips and on floats, so that a large picture is never held several times over.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from styletransfer.pictures.icc_profile import Floats, linear_to_srgb, srgb_to_linear
from styletransfer.pictures.picture import FLOATS_PX, Picture, Pixels, resize, strips

if TYPE_CHECKING:
    import torch

# Oklab (Ottosson 2020, https://bottosson.github.io/posts/oklab/): linear sRGB to the cones' responses, whose cube
# roots make lightness and two axes of colour.
_CONES: Final = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_LAB: Final = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)
_FROM_CONES, _FROM_LAB = np.linalg.inv(_CONES), np.linalg.inv(_LAB)

_GAMUT_SLACK: Final = 1e-9                  # of rounding, in linear light
_HALVINGS: Final = 14                       # chroma within 1/65536 of the range of the gamut's border

_LEAST_VARIANCE: Final = 1e-6
"""Along an axis of colour, a quarter of an 8-bit step squared: what varies less is noise, not to be stretched."""


def to_oklab(rgb: Floats) -> Floats:
    """Lightness, a and b of sRGB values (..., 3) in [0, 1]."""
    lab: Floats = np.cbrt(srgb_to_linear(rgb) @ _CONES.T) @ _LAB.T
    return lab


def from_oklab(lab: Floats) -> Floats:
    """sRGB values (..., 3) in [0, 1]. What lies outside gives up chroma, keeping its lightness and hue."""
    linear = _linear(lab)
    outside = ((linear < -_GAMUT_SLACK) | (linear > 1 + _GAMUT_SLACK)).any(axis=-1)
    if outside.any():
        linear[outside] = _linear(_in_gamut(lab[outside]))
    return linear_to_srgb(linear.clip(0, 1))


def _linear(lab: Floats) -> Floats:
    roots = lab @ _FROM_LAB.T
    linear: Floats = (roots * roots * roots) @ _FROM_CONES.T  # `** 3` takes ten times as long
    return linear


def _in_gamut(lab: Floats) -> Floats:
    """Colours (n, 3) with as much of their chroma as sRGB holds, found by halving."""
    gray = np.array([1.0, 0.0, 0.0])
    least, most = np.zeros((len(lab), 1)), np.ones((len(lab), 1))
    for _ in range(_HALVINGS):
        middle = (least + most) / 2
        linear = _linear(lab * (gray + middle * (1 - gray)))
        fits = ((linear >= -_GAMUT_SLACK) & (linear <= 1 + _GAMUT_SLACK)).all(axis=-1, keepdims=True)
        least, most = np.where(fits, middle, least), np.where(fits, most, middle)
    fitting: Floats = lab * (gray + least * (1 - gray))
    return fitting


def put_colours(image: torch.Tensor, content: Picture) -> torch.Tensor:
    """The image with the content's hue and chroma in its own lightness: changed in place, and returned.

    image (1, 3, H, W) of floats in [0, 1], on the CPU. In Oklab, so that what is light stays light whatever its
    colour.
    """
    height, width = image.shape[-2:]
    planes, colours = image[0].numpy(), resize(content, (width, height))
    for rows in strips((width, height), FLOATS_PX):
        lab = to_oklab(planes[:, rows].transpose(1, 2, 0).astype(np.float64))
        lab[..., 1:] = to_oklab(_floats(colours.pixels[rows]))[..., 1:]
        planes[:, rows] = from_oklab(lab).transpose(2, 0, 1)
    return image


def _floats(pixels: Pixels) -> Floats:
    floats: Floats = pixels / np.float64(np.iinfo(pixels.dtype).max)
    return floats


@dataclass(frozen=True)
class Palette:
    """A Gaussian fitted to a picture's colours: mean (3) and covariance (3, 3) of sRGB values in [0, 1]."""

    mean: Floats
    cov: Floats

    @classmethod
    def of(cls, picture: Picture) -> Palette:
        """That of a picture at its own size, of what is seen: colours count as much as they are opaque."""
        count, total, squares = 0.0, np.zeros(3), np.zeros((3, 3))
        for colours, opacity in _colours(picture):
            count += opacity.sum()
            total += opacity @ colours
            squares += (colours.T * opacity) @ colours
        if count == 0:  # nothing is seen
            return cls(np.full(3, 0.5), np.zeros((3, 3)))
        mean = total / count
        return cls(mean, squares / count - np.outer(mean, mean))


def _colours(picture: Picture) -> Iterator[tuple[Floats, Floats]]:
    """Colours (n, 3) of the picture and their opacities (n), strip by strip."""
    for rows in strips(picture.size, FLOATS_PX):
        colours = _floats(picture.pixels[rows]).reshape(-1, 3)
        yield colours, np.ones(len(colours)) if picture.alpha is None else _floats(picture.alpha[rows]).ravel()


def match_palette(style: Picture, content: Picture) -> Picture:
    """The style with its colours moved to those of the content, with 16 bits per channel.

    By the linear map that carries one Gaussian to the other with the least movement (Gatys et al. 2016,
    https://arxiv.org/abs/1611.07865, match mean and covariance, too, by another root).
    """
    own, wanted = Palette.of(style), Palette.of(content)
    matrix = gaussian_map(own.cov, wanted.cov)
    pixels = np.empty(style.pixels.shape, np.uint16)
    for rows in strips(style.size, FLOATS_PX):
        moved = (_floats(style.pixels[rows]) - own.mean) @ matrix.T + wanted.mean
        pixels[rows] = np.rint(moved.clip(0, 1) * 65535)
    return replace(style, pixels=pixels)


def gaussian_map(cov: Floats, wanted: Floats) -> Floats:
    """The symmetric matrix A that makes A cov A the one wanted: cov^-½ (cov^½ wanted cov^½)^½ cov^-½.

    The optimal transport between Gaussians (Olkin & Pukelsheim 1982). Along axes without variance it is 0.
    """
    variances, axes = np.linalg.eigh(cov)
    root = np.where(variances > _LEAST_VARIANCE, np.sqrt(variances.clip(0)), 0)
    inverse = np.divide(1, root, out=np.zeros(3), where=root > 0)
    middle, turned = np.linalg.eigh((axes * root) @ axes.T @ wanted @ (axes * root) @ axes.T)
    middle_root = (turned * np.sqrt(middle.clip(0))) @ turned.T
    mapped: Floats = (axes * inverse) @ axes.T @ middle_root @ (axes * inverse) @ axes.T
    return mapped
