"""A picture as a printer would show it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from PIL import Image

from styletransfer.errors import ImageError
from styletransfer.pictures import colour
from styletransfer.pictures.headers import damage_as_image_error
from styletransfer.pictures.picture import Picture, Pixels, strips


def proof(picture: Picture, cmyk_profile: bytes, name: str) -> Picture:
    """The picture as a printer would show it: into the gamut of a CMYK ICC profile and back to sRGB.

    At the picture's own precision. The original program starts from the profile embedded in the file, this
    from sRGB, so colours beyond sRGB are clipped before they are proofed; they could not come back anyway.
    Raises ImageError, starting with `name`, when the profile can't be used.
    """
    try:
        convert = colour.deep_through_cmyk(cmyk_profile) if picture.bits == 16 else _proof(cmyk_profile)
    except ImageError as error:
        raise ImageError(f"{name}: is {error}") from error
    proofed = np.empty_like(picture.pixels)
    with damage_as_image_error(name):
        for rows in strips(picture.size):
            proofed[rows] = convert(picture.pixels[rows])
    return replace(picture, pixels=proofed)


def _proof(profile: bytes) -> Callable[[Pixels], Pixels]:
    convert = colour.through_cmyk(profile)
    return lambda strip: np.asarray(convert(Image.fromarray(strip)))
