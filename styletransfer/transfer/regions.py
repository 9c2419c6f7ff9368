"""Which part of the picture each style has to itself, which part of a style counts, and what is kept as it was.

All are gray pictures, white where they apply, that are had at any size as others are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from styletransfer.errors import ImageError
from styletransfer.network.rows import Apart, Strips, whole
from styletransfer.sizes import Size
from styletransfer.transfer.scaled_picture import ScaledPicture


@dataclass(frozen=True)
class Part:
    """A part of the picture, the numbers of its styles, and its mask (H, W) in [0, 1] on the CPU.

    `is_rest`: what is left by the parts that were named.
    """

    mask: Tensor
    styles: tuple[int, ...]
    is_rest: bool


@dataclass(frozen=True)
class Regions:
    """Masks of a render: `regions` and `samples` have one for each style, or None; or they are empty.

    A style's region is laid over the content, its sample over the style picture itself: what of it counts. Styles
    without a region share what the others leave. `keep` is laid over the content, too: what it shows stays; and so
    is `seen`: styles are nowhere else.
    """

    regions: Sequence[ScaledPicture | None] = ()
    samples: Sequence[ScaledPicture | None] = ()
    keep: ScaledPicture | None = None
    seen: ScaledPicture | None = None

    def check(self, styles: int) -> None:
        """ImageError unless there are masks for so many styles."""
        for name, masks in (("regions", self.regions), ("samples", self.samples)):
            if len(masks) not in (0, styles):
                raise ImageError(f"{styles} styles and {len(masks)} {name}; must be as many, or none")

    def sample(self, style: int) -> ScaledPicture | None:
        """That of a style by its number."""
        return self.samples[style] if self.samples else None

    def count(self) -> int:
        """How many parts have styles of their own; 0 where styles are everywhere."""
        groups = self._groups(len(self.regions))
        named = any(region is not None for region, _ in groups)
        return max(1, len(groups)) if named or self.keep is not None or self.seen is not None else 0

    def parts(self, styles: int, size: Size, dtype: torch.dtype) -> list[Part]:
        """The parts at this size (width, height in px) that so many styles have; none if all are everywhere."""
        if self.count() == 0:
            return []
        groups = self._groups(styles)
        named = [gray(region, size, dtype) for region, _ in groups if region is not None]
        rest = (1 - sum(named, torch.zeros(size[::-1], dtype=dtype))).clamp_(min=0)
        masks = iter(named)
        parts = [
            Part(rest if region is None else next(masks), tuple(numbers), region is None)
            for region, numbers in groups
        ]
        painted = torch.ones(size[::-1], dtype=dtype) if self.seen is None else gray(self.seen, size, dtype)
        if self.keep is not None:
            painted = painted * (1 - gray(self.keep, size, dtype))
        parts = [Part(part.mask * painted, part.styles, part.is_rest) for part in parts]
        return [] if len(parts) == 1 and parts[0].mask.min() >= 1 else parts

    def _groups(self, styles: int) -> list[tuple[ScaledPicture | None, list[int]]]:
        """Each region once, with the numbers of the styles that have it."""
        groups: dict[str | None, tuple[ScaledPicture | None, list[int]]] = {}
        for number, region in enumerate(self.regions or [None] * styles):
            key = None if region is None else region.digest
            groups.setdefault(key, (region, []))[1].append(number)
        return list(groups.values())


EVERYWHERE = Regions()
"""No masks at all."""


def gray(mask: ScaledPicture, size: Size, dtype: torch.dtype) -> Tensor:
    """A mask at this size (width, height in px): (H, W) in [0, 1], on the CPU."""
    return mask.at(size, dtype)[0].mean(dim=0)


@dataclass(frozen=True)
class Kept:
    """What a picture keeps of its content (1, 3, H, W), by weights (H, W): in the same strips as the picture."""

    content: Strips
    weights: Strips

    def over(self, image: Strips) -> list[Tensor]:
        """The image with the content over it: what is optimised is what is around."""
        return list(map(torch.lerp, image, self.content, self.weights))

    def around(self, gradient: Strips) -> list[Tensor]:
        """The gradient at the image, in place, from that at what `over` gives."""
        return [strip.mul_(1 - weights) for strip, weights in zip(gradient, self.weights, strict=True)]

    def laid(self, apart: Apart) -> Kept:
        """The same in the strips that `apart` makes of a picture."""
        return Kept(apart(whole(self.content)), apart(whole(self.weights)))
