"""The network over a picture, forth and back: whole, or in tiles as far as it is tiled.

With tiles, the first blocks run forward once for the sums and, when the loss is known, once more and back; what
each tile's own features add to the gradient is added up.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from styletransfer.network.steps import Steps
from styletransfer.network.tiles import EVERYWHERE, Region, Tile, Tiling, part_of, stride
from styletransfer.network.vgg import VGG19, Outputs
from styletransfer.objective.layer_gradients import LayerGradient, of_a_tile, of_the_whole


class Collector(Protocol):
    """Takes in a layer's features, whole or in parts."""

    def add(self, feats: Tensor, region: Region) -> None:
        """The part that lies in a region of the picture."""


Collectors = Sequence[tuple[int, Collector]]
"""Each with the index of the layer whose features it wants."""


@dataclass(frozen=True)
class Pass:
    """A network over a whole picture, in tiles with a `tiling`."""

    network: VGG19
    tiling: Tiling | None

    def forward(self, image: Tensor, collectors: Collectors, *, keep: bool = False) -> Steps[Outputs]:
        """Over image (1, 3, H, W) as far as features are wanted.

        Returned are the outputs of what runs whole, if they are to be kept for the way back.
        """
        deepest = max(index for index, _ in collectors)
        if self.tiling is None:
            return (yield from self._whole(self.network.normalise(image), 0, deepest, collectors, keep))
        last = self.tiling.last(self.network.last)
        put_together = WholeFeatures.of(image, last, self.network.device_of(last))
        if deepest > last:
            collectors = [*collectors, (last, put_together)]
        for tile, x in self._tiles(image):
            for index, output in self.network.run(x, 0, min(last, deepest)):
                collect(collectors, index, part_of(output, tile.owned_within(index)), tile.owned(index))
                yield
        if deepest <= last:
            return {}
        return (yield from self._whole(put_together.whole(), last + 1, deepest, collectors, keep))

    def _whole(self, x: Tensor, first: int, deepest: int, collectors: Collectors, keep: bool) -> Steps[Outputs]:
        """The same for the layers from `first` on, of x before them, the whole picture at once."""
        outputs = {first - 1: x}
        for index, output in self.network.run(x, first, deepest):
            collect(collectors, index, output, EVERYWHERE)
            if keep:
                outputs[index] = output
            yield
        return outputs

    def _tiles(self, image: Tensor) -> Iterator[tuple[Tile, Tensor]]:
        """Each tile with its part of the network's input, halo included."""
        assert self.tiling is not None
        for tile in self.tiling.tiles(image.shape[2], image.shape[3], self.network.last):
            yield tile, self.network.normalise(part_of(image, tile.read()))

    def backward(
        self, image: Tensor, outputs: Outputs, gradients: Mapping[int, LayerGradient]
    ) -> Steps[Tensor]:
        """Gradient at the image (1, 3, H, W), from those at layers by index. Consumes `outputs`."""
        whole = {index: of_the_whole(gradient) for index, gradient in gradients.items()}
        if self.tiling is None:
            grad = yield from self.network.backward(outputs, whole)
            return self.network.gradient_at_image(grad, image)
        at_last = (yield from self.network.backward(outputs, whole)) if len(outputs) > 1 else None
        outputs.clear()  # what the tiles were put together to is not needed any more
        return (yield from self._backward_tiles(image, at_last, gradients))

    def _backward_tiles(
        self, image: Tensor, grad: Tensor | None, gradients: Mapping[int, LayerGradient]
    ) -> Steps[Tensor]:
        """The same from the gradient at the last tiled layer, if more follow, and those at the layers up to it."""
        assert self.tiling is not None
        last = self.tiling.last(self.network.last)
        at_image = torch.zeros_like(image)
        for tile, x in self._tiles(image):
            outputs = {-1: x}
            for index, output in self.network.run(x, 0, last):
                outputs[index] = output
                yield
            own = {index: of_a_tile(part, tile, index) for index, part in gradients.items() if index <= last}
            own_grad = None
            if grad is not None:
                own_grad = torch.zeros_like(outputs[last])
                part_of(own_grad, tile.owned_within(last)).copy_(part_of(grad, tile.owned(last)))
            grad_x = yield from self.network.backward(outputs, own, own_grad)
            part_of(at_image, tile.read()).add_(self.network.gradient_at_image(grad_x, image))
        return at_image


class WholeFeatures:
    """A layer's features of the whole picture, or a strip's own of them, put together from parts, on `device`."""

    def __init__(self, height: int, width: int, device: torch.device) -> None:
        self._size = height, width
        self._device = device
        self._whole: Tensor | None = None

    @classmethod
    def of(cls, image: Tensor, index: int, device: torch.device) -> WholeFeatures:
        """Those of layer `index`, of image (1, 3, H, W)."""
        height, width = (side // stride(index) for side in image.shape[2:])
        return cls(height, width, device)

    def add(self, feats: Tensor, region: Region) -> None:
        if self._whole is None:
            shape = (1, feats.shape[1], *self._size)
            layout = torch.channels_last
            self._whole = torch.empty(shape, dtype=feats.dtype, device=self._device, memory_format=layout)
        part_of(self._whole, region).copy_(feats)

    def whole(self) -> Tensor:
        assert self._whole is not None
        return self._whole


def collect(collectors: Collectors, index: int, feats: Tensor, region: Region) -> None:
    """Gives features of layer `index` to those that want them."""
    for wanted, collector in collectors:
        if wanted == index:
            collector.add(feats, region)
