"""A stylized picture as `stylize` gives it: seen, saved, taken on."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from styletransfer import storage
from styletransfer.errors import ImageError
from styletransfer.pictures.encode import encode, from_tensor
from styletransfer.pictures.formats import format_of
from styletransfer.pictures.picture import Picture

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class Stylized(Picture):
    """A picture of 16 bits per channel, and the floats that it was rounded from.

    `image` is (1, 3, H, W) on the CPU, in [0, 1].
    """

    image: Tensor = field(kw_only=True, repr=False)

    @classmethod
    def of(cls, image: Tensor, content: Picture) -> Stylized:
        """An image (1, 3, H, W) with the resolution of its content, and its transparency."""
        height, width = image.shape[-2:]
        pixels = from_tensor(image, bits=16).pixels
        return cls(pixels, content.dpi, alpha=content.alpha_at((width, height)), image=image)

    def save(self, location: str | os.PathLike[str]) -> None:
        """Writes a file, whole or not at all, to a path or URL, in place of what is there.

        The name's ending decides the format: `.png`, `.jpg` or `.webp`, or `.tif` with 16 bits. Raises ImageError
        where that can't be, StorageError.
        """
        url = storage.resolve(".", os.fspath(location))
        name = storage.name(url)
        try:
            file_format = format_of(name)
        except ImageError as error:
            raise ImageError(f"{name}: {error}") from error
        storage.write(url, encode(self.image, file_format, self.dpi, self.alpha))
