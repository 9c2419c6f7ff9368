"""Where ICC profiles are applied: conversions of pixels to sRGB, and through CMYK and back.

All conversions use the perceptual intent without black point compensation, as the original program does, and
work pixel by pixel, so that a picture may be converted in strips.

8-bit pixels go through Pillow's LittleCMS, the original's way. It has no 16 bits. 16-bit pixels are converted
by the formulas where the profile is curves and a matrix, as those of RGB working spaces are; LittleCMS's own
16-bit route (libvips) resamples even these into a coarse table, off by up to 14/255 at the edge of the gamut
(Display P3 to sRGB). Profiles that work by tables, all CMYK ones, go through libvips.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image, ImageCms

from styletransfer.errors import ImageError
from styletransfer.pictures.icc_profile import (
    SRGB_PROFILE,
    MatrixProfile,
    linear_to_srgb,
    read_matrix_profile,
    srgb_to_xyz,
)
from styletransfer.pictures.picture import Pixels

if TYPE_CHECKING:
    import pyvips

Conversion = Callable[[Image.Image], Image.Image]
"""Converts 8-bit pictures."""

DeepConversion = Callable[[Pixels], Pixels]
"""Converts 16-bit pixels (H, W, channels)."""

# Colour space in a profile's header -> Pillow mode of the pixels it describes.
_PROFILE_MODES: Final = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab": "LAB"}

# Number of channels of 16-bit pixels -> libvips' interpretation.
_INTERPRETATIONS: Final = {1: "grey16", 3: "rgb16", 4: "cmyk"}


# --- Profiles


def _open(profile: bytes) -> ImageCms.ImageCmsProfile:
    try:
        return ImageCms.ImageCmsProfile(io.BytesIO(profile))
    except (OSError, ImageCms.PyCMSError) as error:
        raise ImageError("not an ICC profile") from error


def _profile_mode(profile: bytes) -> str:
    """Pillow mode of the pixels a profile describes (RGB, L, CMYK or LAB); ImageError for any other."""
    space = _open(profile).profile.xcolor_space.strip()
    if space not in _PROFILE_MODES:
        raise ImageError(f"an ICC profile for {space or 'an unknown colour space'}")
    return _PROFILE_MODES[space]


def _entry_mode(profile: bytes, mode: str) -> str:
    """Mode in which pixels of `mode` enter `profile`; ImageError where the two don't belong together."""
    wanted = _profile_mode(profile)
    family = {"1": "L", "L": "L", "LA": "L", "La": "L", "CMYK": "CMYK", "LAB": "LAB"}.get(mode, "RGB")
    if wanted != family and (wanted, family) != ("RGB", "L"):
        raise ImageError(f"an ICC profile for {wanted}, which does not fit {mode} pixels")
    return wanted


def _transform(source: bytes, target: bytes, modes: tuple[str, str]) -> ImageCms.ImageCmsTransform:
    try:
        return ImageCms.buildTransform(
            _open(source), _open(target), *modes, renderingIntent=ImageCms.Intent.PERCEPTUAL
        )
    except ImageCms.PyCMSError as error:
        raise ImageError(f"an ICC profile that can't convert {modes[0]} to {modes[1]}") from error


def _proof_transforms(profile: bytes) -> tuple[ImageCms.ImageCmsTransform, ImageCms.ImageCmsTransform]:
    """From sRGB to CMYK and back; ImageError for a profile that can't do both."""
    mode = _profile_mode(profile)
    if mode != "CMYK":
        raise ImageError(f"an ICC profile for {mode}; a soft proof needs one for CMYK")
    there = _transform(SRGB_PROFILE, profile, ("RGB", "CMYK"))
    back = _transform(profile, SRGB_PROFILE, ("CMYK", "RGB"))
    return there, back


# --- 8 bits


def to_srgb(profile: bytes, mode: str) -> Conversion:
    """Conversion of 8-bit pictures of Pillow's `mode` from `profile` to sRGB, mode RGB.

    Gray pixels may come with an RGB profile. Raises ImageError when the profile is damaged or is not one for
    such pixels.
    """
    entry = _entry_mode(profile, mode)
    return partial(_apply, mode=entry, transforms=(_transform(profile, SRGB_PROFILE, (entry, "RGB")),))


def lab_to_srgb() -> Conversion:
    """Conversion of 8-bit CIE Lab pictures (D50) to sRGB."""
    return to_srgb(ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes(), "LAB")


def through_cmyk(profile: bytes) -> Conversion:
    """Soft proof of 8-bit sRGB pictures: into the CMYK `profile` and back. ImageError if it can't be used."""
    return partial(_apply, mode="RGB", transforms=_proof_transforms(profile))


def _apply(
    image: Image.Image, *, mode: str, transforms: tuple[ImageCms.ImageCmsTransform, ...]
) -> Image.Image:
    image = image if image.mode == mode else image.convert(mode)
    for transform in transforms:
        converted = ImageCms.applyTransform(image, transform)
        assert converted is not None        # only in-place conversion returns nothing
        image = converted
    return image


# --- 16 bits


def deep_to_srgb(profile: bytes, mode: str) -> DeepConversion:
    """Conversion of 16-bit pixels of Pillow's `mode` (L, RGB or CMYK) from `profile` to 16-bit sRGB.

    Gray may stay gray, (H, W, 1). Raises ImageError as `to_srgb` does.
    """
    entry = _entry_mode(profile, mode)
    _transform(profile, SRGB_PROFILE, (entry, "RGB"))       # raises where libvips would take another profile
    matrix = read_matrix_profile(profile)
    if matrix is not None:
        return partial(_by_formula, profile=matrix)
    return partial(_by_tables, profiles=(profile, SRGB_PROFILE))


def deep_through_cmyk(profile: bytes) -> DeepConversion:
    """Soft proof of 16-bit sRGB pixels (H, W, 3). ImageError if the CMYK `profile` can't be used."""
    _proof_transforms(profile)
    return partial(_by_tables, profiles=(SRGB_PROFILE, profile, SRGB_PROFILE))


def deep_lab_to_srgb(image: pyvips.Image) -> pyvips.Image:
    """libvips picture in CIE Lab (D50) to 16-bit sRGB.

    The intent is colorimetric: Lab has no gamut to fit, and with libvips' kind of Lab profile the perceptual
    intent would darken the shadows.
    """
    return image.colourspace("lab").icc_export(output_profile="srgb", pcs="lab", intent="relative", depth=16)


def _by_formula(pixels: Pixels, *, profile: MatrixProfile) -> Pixels:
    """Curves, matrix, sRGB's curve in float32, rounded once. Gray with a gray profile stays one channel."""
    curves = [curve.astype(np.float32) for curve in profile.curves]
    if profile.to_xyz is None:
        linear = curves[0][pixels]
    else:
        matrix = (np.linalg.inv(srgb_to_xyz()) @ profile.to_xyz).astype(np.float32)
        channels = np.broadcast_to(pixels, (*pixels.shape[:2], 3))
        linear = np.stack([curve[channels[..., i]] for i, curve in enumerate(curves)], axis=-1)
        linear = (linear @ matrix.T).clip(0, 1)
    converted: Pixels = np.rint(linear_to_srgb(linear) * np.float32(65535)).astype(np.uint16)
    return converted


def _by_tables(pixels: Pixels, *, profiles: tuple[bytes, ...]) -> Pixels:
    """16-bit pixels through a chain of profiles by libvips."""
    if pixels.shape[2] == 1 and _profile_mode(profiles[0]) == "RGB":
        pixels = pixels.repeat(3, axis=2)
    image = embed_profile(vips_picture(pixels), profiles[0])
    with tempfile.TemporaryDirectory(prefix="styletransfer-") as folder:
        for index, profile in enumerate(profiles[1:]):
            path = Path(folder) / f"{index}.icc"    # libvips takes the profile to convert to from a file only
            path.write_bytes(profile)
            image = image.icc_transform(str(path), embedded=True, intent="perceptual", depth=16)
        converted: Pixels = image.numpy()
    return converted


# --- libvips


def vips_picture(pixels: Pixels) -> pyvips.Image:
    """16-bit pixels (H, W, channels) as a libvips picture; shares their memory."""
    import pyvips

    height, width, channels = pixels.shape
    data = np.ascontiguousarray(pixels).data
    image = pyvips.Image.new_from_memory(data, width, height, channels, "ushort")
    return image.copy(interpretation=_INTERPRETATIONS[channels])


def embed_profile(image: pyvips.Image, profile: bytes) -> pyvips.Image:
    """The same libvips picture, said to be in `profile`."""
    import pyvips

    image = image.copy()
    image.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
    return image
