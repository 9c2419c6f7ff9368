"""Masks: gray pictures that are white where something applies; what is seen, and what is kept and put back."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from styletransfer.errors import ImageError
from styletransfer.pictures.decode import decode
from styletransfer.pictures.icc_profile import linear_to_srgb, srgb_to_linear
from styletransfer.pictures.picture import FLOATS_PX, Picture, resize, strips

if TYPE_CHECKING:
    import torch

_KEPT_HINT: Final = "; `alpha: keep` keeps it"


def decode_mask(data: bytes, name: str) -> Picture:
    """The mask in a picture file's bytes: any kind `decode` reads; of colours their mean counts, alpha does not.

    Raises ImageError as `decode` does, and when it is black all over.
    """
    mask = checked_mask(decode(data, name), name)
    return replace(mask, warnings=tuple(warning.removesuffix(_KEPT_HINT) for warning in mask.warnings))


def checked_mask(mask: Picture, name: str) -> Picture:
    """The same mask. ImageError when it is black all over."""
    if not mask.pixels.any():
        raise ImageError(f"{name}: is black all over; a mask is white where it applies")
    return mask


def opacity(picture: Picture, mask: Picture | None = None) -> Picture | None:
    """A mask of what is seen of the picture, and of that only what a mask shows, if there is one; None for all."""
    if picture.alpha is None:
        return mask
    seen = picture.alpha / np.float64(np.iinfo(picture.alpha.dtype).max)
    if mask is not None:
        shown = resize(mask, picture.size).pixels
        seen *= shown.mean(axis=-1) / np.iinfo(shown.dtype).max
    gray = np.rint(seen * 65535).astype(np.uint16)
    return Picture(np.broadcast_to(gray[..., None], (*gray.shape, 3)))


def put_back(image: torch.Tensor, content: Picture, mask: Picture) -> torch.Tensor:
    """The image with the content where the mask is white, and both mixed in linear light at its soft edges.

    image (1, 3, H, W) of floats in [0, 1], on the CPU: changed in place, and returned.
    """
    height, width = image.shape[-2:]
    planes = image[0].numpy()
    kept, weights = (resize(picture, (width, height)).pixels for picture in (content, mask))
    for rows in strips((width, height), FLOATS_PX):
        weight = weights[rows].mean(axis=-1, keepdims=True) / np.iinfo(weights.dtype).max
        painted = planes[:, rows].transpose(1, 2, 0).astype(np.float64)
        photographed = kept[rows] / np.float64(np.iinfo(kept.dtype).max)
        linear = srgb_to_linear(painted) * (1 - weight) + srgb_to_linear(photographed) * weight
        mixed = np.where(weight < 1, np.where(weight > 0, linear_to_srgb(linear), painted), photographed)
        planes[:, rows] = mixed.transpose(2, 0, 1)
    return image
