"""Pictures as people have them: a file's name or URL, one of Pillow's, an array, a tensor."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import numpy as np
from PIL import Image

from styletransfer import storage
from styletransfer.errors import ImageError
from styletransfer.limits import PICTURE_BYTES
from styletransfer.pictures.decode import decode
from styletransfer.pictures.encode import from_tensor
from styletransfer.pictures.masks import checked_mask, decode_mask
from styletransfer.pictures.picture import Picture, Pixels

if TYPE_CHECKING:
    import torch

    Source: TypeAlias = Picture | str | os.PathLike[str] | Image.Image | Pixels | torch.Tensor
    """What `picture_of` and `mask_of` take."""

_FROM_PILLOW: Final = "the picture from Pillow"
_PNG_MODES: Final = frozenset({"1", "L", "LA", "P", "RGB", "RGBA", "I;16"})


def picture_of(source: Source, *, alpha: Literal["ignore", "keep"] = "ignore") -> Picture:
    """The picture of a source; a `Picture` is itself.

    A file, by path or URL, and a picture of Pillow's are decoded: upright, in sRGB. Arrays and tensors count as
    sRGB: (H, W) gray or (H, W, 3) of uint8, uint16 or bool, over their whole range; of floats in [0, 1], and as
    tensors (3, H, W) or (1, 3, H, W). Raises StorageError and ImageError.
    """
    if isinstance(source, Picture):
        return source
    if isinstance(source, Image.Image):
        return decode(_file_of(source), _FROM_PILLOW, alpha=alpha)
    if isinstance(source, (str, os.PathLike)):
        return decode(*_file_at(source), alpha=alpha)
    return _of_values(source)


def mask_of(source: Source) -> Picture:
    """The mask of a source, white where it applies: as `picture_of`, but never black all over (ImageError)."""
    if isinstance(source, (str, os.PathLike)):
        return decode_mask(*_file_at(source))
    if isinstance(source, Image.Image):
        return decode_mask(_file_of(source), _FROM_PILLOW)
    return checked_mask(picture_of(source), "the mask")


def _file_at(location: str | os.PathLike[str]) -> tuple[bytes, str]:
    """Contents of a file, and what messages call it."""
    url = storage.resolve(".", os.fspath(location))
    return storage.read(url, limit_bytes=PICTURE_BYTES), storage.public(url)


def _file_of(image: Image.Image) -> bytes:
    """A file that says all that this picture says: its pixels, its profile, its orientation."""
    told = {name: image.info[name] for name in ("icc_profile", "dpi", "transparency") if image.info.get(name)}
    file = io.BytesIO()
    try:
        image.save(file, "PNG" if image.mode in _PNG_MODES else "TIFF", exif=image.getexif(), **told)
    except (OSError, ValueError) as error:
        raise ImageError(f"{_FROM_PILLOW} is of mode {image.mode}: {error}; convert it to RGB") from error
    return file.getvalue()


def _of_values(values: Any) -> Picture:
    if not isinstance(values, np.ndarray):
        if not hasattr(values, "detach"):
            kinds = "a path, a URL, a Picture, one of Pillow's, an array or a tensor"
            raise ImageError(f"a picture is of type {type(values).__name__}; must be {kinds}")
        return from_tensor(values, bits=16)
    if values.ndim == 2:
        values = np.broadcast_to(values[..., None], (*values.shape, 3))
    if values.dtype == np.bool_:
        values = values.astype(np.uint8) * np.uint8(255)
    if values.dtype.kind == "f" and values.ndim == 3:
        import torch

        return from_tensor(torch.from_numpy(np.ascontiguousarray(values.transpose(2, 0, 1))), bits=16)
    return Picture(values)
