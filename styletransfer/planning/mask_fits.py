"""Masks that have another size than what they are laid over: resized as it should be, or stretched by mistake."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from styletransfer import storage
from styletransfer.manifest.pairs import Pair
from styletransfer.sizes import Size

_MOST_STRETCH: Final = 1.1
"""Between width and height; a mask that was drawn for another picture is told, not one with a rounded size."""


class MaskFit(NamedTuple):
    """What is to be said of a mask, and whether it is `stretched`, as one drawn for another picture."""

    text: str
    stretched: bool


def mask_fits(pair: Pair, size_of: Callable[[str], Size | None]) -> Iterator[MaskFit]:
    """Of each of the pair's masks that has another size; `size_of` a location, None where it is not known."""
    laid = [(style.region, "content", pair.content) for style in pair.styles]
    laid += [(style.sample, "style", style.image) for style in pair.styles]
    for url, what, over in [*laid, (pair.keep, "content", pair.content)]:
        mask, picture = None if url is None else size_of(url), size_of(over)
        if url is not None and mask is not None and picture is not None and mask != picture:
            sizes = "is {}x{} px, the {} {}x{} px".format(*mask, what, *picture)
            stretched = is_stretched(mask, picture)
            way = "stretched" if stretched else "resized"
            yield MaskFit(f"{storage.public(url)}: {sizes}; it is {way} to it", stretched)


def is_stretched(mask: Size, picture: Size) -> bool:
    """Whether a mask of this size gets quite another shape when it is laid over a picture."""
    stretch = mask[0] * picture[1] / (mask[1] * picture[0])
    return max(stretch, 1 / stretch) > _MOST_STRETCH
