"""The way over a picture and back: by one network at once, or in strips over several devices.

In strips each device has a network of its own. Forward it takes the sums of its own features; each layer's are
added up on one device, where its roots are. What comes of them, a matrix for each layer, goes round; each goes
back through its strip, whose features it has kept, or through its tiles once more. Nothing here waits for a device:
they are given a layer's work in turn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from styletransfer.network.rows import Strips, add_up, height_of, read
from styletransfer.network.steps import finished, side_by_side
from styletransfer.network.strips import own_part, strips
from styletransfer.network.tiles import Region, Span, Tile, part_of
from styletransfer.objective.layer_gradients import LayerGradient, of_a_strip
from styletransfer.objective.masks import WeightedGradient
from styletransfer.objective.moments import FeaturesGradient
from styletransfer.objective.passes import Collector, Collectors, Pass, WholeFeatures
from styletransfer.objective.strip_features import StripFeatures

OfImage = Callable[[Tensor, Tensor, Span | None], Tensor]
"""A loss of the image, or of a strip as it is read, itself; adds its slope to the gradient there."""

WayBack = Callable[[Mapping[int, LayerGradient], OfImage], tuple[list[Tensor], Tensor]]
"""Gradient at the image, in strips as it is, from those at layers by index and of a loss of the image itself, and
that loss. For one use."""


class Way(Protocol):
    """Over pictures (1, 3, H, W), whole or in strips."""

    def apart(self, image: Tensor) -> list[Tensor]:
        """The image in strips, each on the device that works on it."""

    def forward(self, image: Strips, collectors: Collectors, *, keep: bool = False) -> WayBack:
        """As far as features are wanted; what is needed on the way back is kept if there is to be one."""

    def features(self, image: Tensor, index: int) -> WholeFeatures | StripFeatures:
        """Collects features of layer `index` where they are worked on, or in host memory if the image is there."""

    def send(self, gradient: LayerGradient) -> None:
        """Has what a gradient multiplies with on every device."""


@dataclass(frozen=True)
class AtOnce:
    """By one network, over one device or its layers over two."""

    one: Pass

    def apart(self, image: Tensor) -> list[Tensor]:
        """It is not."""
        return [image]

    def forward(self, image: Strips, collectors: Collectors, *, keep: bool = False) -> WayBack:
        (one,) = image
        outputs = finished(self.one.forward(one, collectors, keep=keep))

        def back(gradients: Mapping[int, LayerGradient], of_image: OfImage) -> tuple[list[Tensor], Tensor]:
            at_image = finished(self.one.backward(one, outputs, gradients))
            return [at_image], of_image(one, at_image, None)

        return back

    def features(self, image: Tensor, index: int) -> WholeFeatures:
        device = self.one.network.device_of(index)
        return WholeFeatures.of(image, index, device if image.device.type == device.type else image.device)

    def send(self, gradient: LayerGradient) -> None:
        """Nothing: it is where it is needed."""


@dataclass(frozen=True)
class InStrips:
    """By passes on one device each, the first strip by the first; fewer where there is no room for so many."""

    passes: Sequence[Pass]

    def apart(self, image: Tensor) -> list[Tensor]:
        return [part_of(image, strip.owned(-1)).to(_device(way)).contiguous() for strip, way in self._cut([image])]

    def forward(self, image: Strips, collectors: Collectors, *, keep: bool = False) -> WayBack:
        """Collectors get features on the device of their strip."""
        cut = self._cut(image)
        parts = [read(image, strip.read()[0], _device(way)) for strip, way in cut]
        kept = side_by_side(
            [
                way.forward(part, _owned(collectors, strip), keep=keep)
                for (strip, way), part in zip(cut, parts, strict=True)
            ]
        )

        def back(gradients: Mapping[int, LayerGradient], of_image: OfImage) -> tuple[list[Tensor], Tensor]:
            at_parts = side_by_side(
                [
                    way.backward(part, outputs, _of_a_strip(gradients, strip))
                    for (strip, way), part, outputs in zip(cut, parts, kept, strict=True)
                ]
            )
            values = [
                of_image(part, at_part, strip.rows)
                for (strip, _), part, at_part in zip(cut, parts, at_parts, strict=True)
            ]
            value = image[0].new_zeros(())
            for of_part in values:
                value += of_part.to(value.device)
            return add_up([strip for strip, _ in cut], at_parts, image), value

        return back

    def features(self, image: Tensor, index: int) -> StripFeatures:
        """Each strip's on the device that works on it."""
        return StripFeatures([strip for strip, _ in self._cut([image])], index)

    def send(self, gradient: LayerGradient) -> None:
        if isinstance(gradient, FeaturesGradient | WeightedGradient):
            gradient.send(map(_device, self.passes))

    def _cut(self, image: Strips) -> list[tuple[Tile, Pass]]:
        last = self.passes[0].network.last
        found = strips(height_of(image), image[0].shape[-1], len(self.passes), last)
        return list(zip(found, self.passes, strict=False))


def _device(way: Pass) -> torch.device:
    return way.network.devices[0]


def _owned(collectors: Collectors, strip: Tile) -> Collectors:
    return [(index, _Own(strip, index, collector)) for index, collector in collectors]


def _of_a_strip(gradients: Mapping[int, LayerGradient], strip: Tile) -> dict[int, LayerGradient]:
    return {index: of_a_strip(gradient, strip, index) for index, gradient in gradients.items()}


@dataclass(frozen=True)
class _Own:
    """Gives a collector those of a strip's features that are its own."""

    strip: Tile
    index: int
    collector: Collector

    def add(self, feats: Tensor, region: Region) -> None:
        own = own_part(self.strip, self.index, region)
        if own is not None:
            within, of_the_picture = own
            self.collector.add(part_of(feats, within), of_the_picture)
