"""Colours that nobody sees, below full transparency, replaced by a smooth continuation of those around.

By pull and push (Gortler et al. 1996, The Lumigraph): averages of what is seen at ever coarser sizes, and from the
coarsest back, what is not seen taken from the size above. What was hidden has no effect.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image

from styletransfer.pictures.picture import Picture

_Plane = np.ndarray[Any, np.dtype[Any]]


def fill_hidden(picture: Picture) -> Picture:
    """The picture with other colours where its alpha is 0; where nothing is seen at all, with middle gray."""
    if picture.alpha is None or picture.alpha.all():
        return picture
    seen = picture.alpha > 0
    pixels, top = picture.pixels.copy(), np.iinfo(picture.pixels.dtype).max
    for channel in range(3):  # one at a time, to hold little more than the result
        plane = picture.pixels[..., channel].astype(np.float32) * seen
        filled = _filled(plane, seen.astype(np.float32), np.float32(top / 2))
        pixels[..., channel][~seen] = np.rint(filled[~seen].clip(0, top))
    return replace(picture, pixels=pixels)


def _filled(plane: _Plane, weight: _Plane, otherwise: np.float32) -> _Plane:
    """The plane (H, W), given times its weights from 0 to 1, with what has less than full weight filled up."""
    if min(plane.shape) == 0 or plane.size == 1 or weight.min() >= 1:
        whole = np.full_like(plane, otherwise)
        return np.divide(plane, weight, out=whole, where=weight > 0)
    coarse_weight = _halved(weight)
    # An average of few counts as much as one of many: what is seen at all is known at the next size.
    known = np.minimum(1, 4 * coarse_weight)
    scale = np.divide(known, coarse_weight, out=np.zeros_like(known), where=coarse_weight > 0)
    coarse = _filled(_halved(plane) * scale, known, otherwise)
    height, width = plane.shape
    finer = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BILINEAR))
    filled: _Plane = plane + (1 - weight) * finer
    return filled


def _halved(plane: _Plane) -> _Plane:
    """Means of two by two; an odd last row or column counts twice."""
    height, width = plane.shape
    even = np.pad(plane, ((0, height % 2), (0, width % 2)), mode="edge")
    halved: _Plane = (even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]) / 4
    return halved
