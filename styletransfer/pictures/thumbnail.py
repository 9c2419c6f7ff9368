"""Thumbnails: a small JPEG of any picture."""

from __future__ import annotations

import io
from typing import Final

import numpy as np
from PIL import Image

from styletransfer.pictures.decode import decode
from styletransfer.pictures.picture import Picture, of_depth, resize
from styletransfer.sizes import size_to_fit

_QUALITY: Final = 85


def thumbnail(
    source: bytes | Picture, px: int, *, name: str = "picture", quality: int = _QUALITY
) -> bytes:
    """A small JPEG, longest edge at most `px`, of a picture or of a picture file's bytes."""
    picture = decode(source, name) if isinstance(source, bytes) else source
    small = resize(picture, size_to_fit(picture.size, px, enlarge=False))
    file = io.BytesIO()
    Image.fromarray(of_depth(small.pixels, np.dtype(np.uint8))).save(file, "JPEG", quality=quality, optimize=True)
    return file.getvalue()
