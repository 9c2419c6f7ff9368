"""Soft proof: a picture as a printer with a CMYK ICC profile would show it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from PIL import Image

from styletransfer.errors import ImageError
from styletransfer.pictures import icc_conversion
from styletransfer.pictures.headers import damage_as_image_error
from styletransfer.pictures.picture import Picture, Pixels, strips


def soft_proof(picture: Picture, cmyk_profile: bytes, name: str) -> Picture:
    """The picture as a printer would show it: into the gamut of a CMYK ICC profile and back to sRGB.

    At the picture's own precision. The original program starts from the profile embedded in the file, this
    from sRGB, so colours beyond sRGB are clipped before they are proofed; they could not come back anyway.
    Raises ImageError, starting with `name`, when the profile can't be used.
    """
    try:
        convert = _conversion(cmyk_profile, picture.bits)
    except ImageError as error:
        raise ImageError(f"{name}: is {error}") from error
    proofed = np.empty_like(picture.pixels)
    with damage_as_image_error(name):
        for rows in strips(picture.size):
            proofed[rows] = convert(picture.pixels[rows])
    return replace(picture, pixels=proofed)


def _conversion(profile: bytes, bits: int) -> Callable[[Pixels], Pixels]:
    if bits == 16:
        return icc_conversion.deep_through_cmyk(profile)
    convert = icc_conversion.through_cmyk(profile)
    return lambda strip: np.asarray(convert(Image.fromarray(strip)))
