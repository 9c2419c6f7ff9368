"""Hostile picture files of every format, as they are looked at and decoded."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
from hypothesis import strategies as st
from PIL import Image, ImageCms

from styletransfer.pictures.decode import decode, inspect
from tests.fuzz.mutations import mutated_bytes
from tests.studio import picture_file


@cache
def _picture_files() -> list[bytes]:
    """A small picture in each format, with what stands beside the pixels."""
    image = Image.open(io.BytesIO(picture_file(3, (9, 7))))
    exif = Image.Exif()
    exif[0x0112], exif[0x011A], exif[0x0128] = 6, 300.0, 2
    profile = _srgb_profile()
    made = []
    for kind in _FORMATS:
        for options in ({}, {"exif": exif.tobytes(), "icc_profile": profile}):
            file = io.BytesIO()
            image.save(file, kind, **options)
            made.append(file.getvalue())
    deep = io.BytesIO()
    Image.fromarray(np.arange(63, dtype=np.uint16).reshape(7, 9) * 1_000).save(deep, "PNG")
    return [*made, deep.getvalue()]


_FORMATS: Final = (
    "PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP", "PPM", "TGA", "ICO", "JPEG2000", "PCX", "SGI", "DDS",
)  # fmt: skip


def _srgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def cases() -> st.SearchStrategy[bytes]:
    return mutated_bytes(_picture_files())


def attempt(case: bytes, folder: Path) -> None:
    size = inspect(case, "a.png")
    picture = decode(case, "a.png")
    assert picture.pixels.shape[1::-1] == size
