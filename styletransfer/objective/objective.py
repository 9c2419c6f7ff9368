"""What a render minimises: content, style and total variation, weighted; its value and gradient.

The loss depends on the image through sums over positions: moments of features, squared differences. So the
network runs forward and the sums are taken; from them come the loss and, for each layer, how it pulls on its
features; then the pulls run backward through the network. With tiles, the first blocks run forward once for the
sums and, with the pulls known, once more and back; what each tile's own features pull on is added up. The gradient
is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import torch
from torch import Tensor

from styletransfer.network.shared import shared_network
from styletransfer.network.tiles import EVERYWHERE, Region, Tile, Tiling, part_of, stride
from styletransfer.network.vgg import VGG19, Outputs, Pull, check_size
from styletransfer.objective import style as losses
from styletransfer.objective.layer_losses import ContentComparison, LayerPull, StyleComparison, StyleSums, both
from styletransfer.objective.style import Moments, StyleTarget
from styletransfer.settings import Settings
from styletransfer.vgg_layers import LAYERS

Part = Callable[[Tensor, Region], None]
"""Takes in the part of a layer's features that lies in a region."""

Comparison = ContentComparison | StyleComparison


class Taker(Protocol):
    """Somebody who wants a layer's features."""

    @property
    def take(self) -> Part:
        """What they are given to."""


@dataclass(frozen=True)
class Losses:
    """Weighted loss terms as they come from the device; reading them waits for it."""

    names: tuple[str, ...]
    terms: tuple[Tensor, ...]

    def read(self) -> dict[str, float]:
        """Each term by name (`content_relu4_2`, `style_relu1_1`, `tv`), and their `total`. A sync point."""
        values = torch.stack([term.detach().double().cpu() for term in self.terms]).tolist()
        return dict(zip(self.names, values, strict=True)) | {"total": sum(values)}

    def total(self) -> Tensor:
        """The sum of all terms, on the device of the first."""
        device = self.terms[0].device
        return torch.stack([term.detach().to(device) for term in self.terms]).sum()


@dataclass(frozen=True)
class Targets:
    """What an image is compared with: content features and style statistics by layer."""

    content: Mapping[str, Tensor]
    style: Mapping[str, StyleTarget]


@dataclass(frozen=True)
class Weighting:
    """How much each term counts, by layer."""

    content: Mapping[str, float]
    style: Mapping[str, float]
    tv: float

    @classmethod
    def of(cls, settings: Settings) -> Weighting:
        """The content weight in equal shares; style layers' weights divided by their sum; TV."""
        layers = settings.content_layers
        total = sum(settings.style_layers.values())
        return cls(
            content={layer: settings.content_weight / len(layers) for layer in layers},
            style={layer: weight / total for layer, weight in settings.style_layers.items()},
            tv=settings.tv_weight,
        )

    def names(self) -> tuple[str, ...]:
        """Names of the loss terms."""
        content = (f"content_{layer}" for layer in self.content)
        style = (f"style_{layer}" for layer in self.style)
        return (*content, *style, "tv")


class Objective:
    """A network with the losses on top; computed in tiles with a `tiling`.

    The network is shared with other objectives of the same `identity`, if that is given: it stands for the tensors.
    """

    def __init__(
        self,
        tensors: Mapping[str, Tensor],
        settings: Settings,
        *,
        devices: Sequence[torch.device | str] = ("cpu",),
        dtype: torch.dtype = torch.float32,
        tiling: Tiling | None = None,
        identity: str | None = None,
    ) -> None:
        self.weighting = Weighting.of(settings)
        self.tiling = tiling
        build = VGG19 if identity is None else partial(shared_network, VGG19, identity)
        self._build: Callable[..., VGG19] = partial(
            build, tensors, settings.layers(), pooling=settings.pooling, dtype=dtype
        )
        self.network = self._build(devices=devices)

    def device_of(self, layer: str) -> torch.device:
        """Where the features of `layer` are compared with its targets."""
        return self.network.device_of(LAYERS[layer])

    def place(self, devices: Sequence[str], last_on_first: int) -> None:
        """Runs the network on `devices`, layers up to `last_on_first` on the first."""
        network, wanted = self.network, [torch.device(device) for device in devices]
        if network.devices != (wanted[0], wanted[-1]) or network.last_on_first != last_on_first:
            self.network = self._build(devices=devices, last_on_first=last_on_first)

    @torch.no_grad()
    def style_moments(self, style: Tensor) -> dict[str, Moments]:
        """Moments of one style (1, 3, H, W) at each style layer."""
        sums = {layer: StyleSums() for layer in self.weighting.style}
        self._survey(style, _by_index(sums))
        return {layer: taken.total().moments() for layer, taken in sums.items()}

    @torch.no_grad()
    def style_targets(self, styles: Mapping[str, Moments]) -> dict[str, StyleTarget]:
        """Style targets by layer, of blended style moments."""
        return {layer: losses.style_target(blended) for layer, blended in styles.items()}

    @torch.no_grad()
    def targets(self, content: Tensor, styles: Mapping[str, Moments]) -> Targets:
        """Targets of a content (1, 3, H, W) and of blended style moments."""
        canvases = {
            layer: Canvas(content, LAYERS[layer], self._keeper(content, layer)) for layer in self.weighting.content
        }
        self._survey(content, _by_index(canvases))
        return Targets({layer: canvas.whole() for layer, canvas in canvases.items()}, self.style_targets(styles))

    @torch.no_grad()
    def value_and_gradient(self, image: Tensor, targets: Targets) -> tuple[Losses, Tensor]:
        """Loss terms at image (1, 3, H, W) and the gradient of their sum, same shape, dtype and device."""
        content = {
            layer: ContentComparison(targets.content[layer], weight)
            for layer, weight in self.weighting.content.items()
        }
        style = {
            layer: StyleComparison(targets.style[layer], weight, self.network.dtype)
            for layer, weight in self.weighting.style.items()
        }
        takers = (_by_index(content), _by_index(style))
        outputs = self._survey(image, *takers, keep=True)
        terms, pulls = _verdicts([*content.items(), *style.items()])
        gradient = self._backward(image, outputs, pulls)
        variation = losses.add_total_variation(image, gradient, self.weighting.tv)
        return Losses(self.weighting.names(), (*terms, self.weighting.tv * variation)), gradient

    def _survey(self, image: Tensor, *takers: Mapping[int, Part], keep: bool = False) -> Outputs:
        """The network forward, as deep as there is a taker, in tiles as far as it is tiled.

        Takers, by layer index, get that layer's features. Returned are the outputs of what runs whole, if they
        are to be kept for the way back.
        """
        check_size(image, self.network.smallest_input)
        deepest = max(index for layers in takers for index in layers)
        if self.tiling is None:
            return self._survey_whole(self.network.normalise(image), 0, deepest, takers, keep)
        last = self.tiling.last(self.network.last)
        handed_over = Canvas(image, last, self.network.device_of(last))
        if deepest > last:
            takers = (*takers, {last: handed_over.take})
        for tile, x in self._tiles(image):
            for index, output in self.network.walk(x, 0, min(last, deepest)):
                _give(takers, index, part_of(output, tile.owned_within(index)), tile.owned(index))
        if deepest <= last:
            return {}
        return self._survey_whole(handed_over.whole(), last + 1, deepest, takers, keep)

    def _survey_whole(
        self, x: Tensor, first: int, deepest: int, takers: Sequence[Mapping[int, Part]], keep: bool
    ) -> Outputs:
        """The same for the layers from `first` on, of x before them, the whole picture at once."""
        outputs = {first - 1: x}
        for index, output in self.network.walk(x, first, deepest):
            _give(takers, index, output, EVERYWHERE)
            if keep:
                outputs[index] = output
        return outputs

    def _tiles(self, image: Tensor) -> Iterator[tuple[Tile, Tensor]]:
        """Each tile with its part of the network's input, halo included."""
        assert self.tiling is not None
        for tile in self.tiling.tiles(image.shape[2], image.shape[3], self.network.last):
            yield tile, self.network.normalise(part_of(image, tile.read()))

    def _keeper(self, content: Tensor, layer: str) -> torch.device:
        """Where the target of `layer` is kept: where it runs, or in host memory if pictures are kept there."""
        device = self.device_of(layer)
        return device if content.device.type == device.type else content.device

    def _backward(self, image: Tensor, outputs: Outputs, pulls: Mapping[int, LayerPull]) -> Tensor:
        """Gradient at the image (1, 3, H, W). Consumes `outputs`."""
        whole = {index: _in_region(pull, EVERYWHERE) for index, pull in pulls.items()}
        if self.tiling is None:
            return self.network.unnormalise_gradient(self.network.backward(outputs, whole), image)
        grad = self.network.backward(outputs, whole) if len(outputs) > 1 else None
        outputs.clear()  # what was handed over is not needed any more
        return self._backward_tiles(image, grad, pulls)

    def _backward_tiles(self, image: Tensor, grad: Tensor | None, pulls: Mapping[int, LayerPull]) -> Tensor:
        """The same from the gradient at the last tiled layer, if more follow, and the pulls up to it."""
        assert self.tiling is not None
        last = self.tiling.last(self.network.last)
        gradient = torch.zeros_like(image)
        for tile, x in self._tiles(image):
            outputs = self.network.forward(x, 0, last)
            own_pulls = {index: _owned(pull, tile, index) for index, pull in pulls.items() if index <= last}
            own_grad = None
            if grad is not None:
                own_grad = torch.zeros_like(outputs[last])
                part_of(own_grad, tile.owned_within(last)).copy_(part_of(grad, tile.owned(last)))
            grad_x = self.network.backward(outputs, own_pulls, own_grad)
            part_of(gradient, tile.read()).add_(self.network.unnormalise_gradient(grad_x, image))
        return gradient


class Canvas:
    """A layer's features of the whole picture, put together from parts, on `device`."""

    def __init__(self, image: Tensor, index: int, device: torch.device) -> None:
        self._size = [side // stride(index) for side in image.shape[2:]]
        self._device = device
        self._whole: Tensor | None = None

    def take(self, feats: Tensor, region: Region) -> None:
        if self._whole is None:
            shape = (1, feats.shape[1], *self._size)
            layout = torch.channels_last
            self._whole = torch.empty(shape, dtype=feats.dtype, device=self._device, memory_format=layout)
        part_of(self._whole, region).copy_(feats)

    def whole(self) -> Tensor:
        assert self._whole is not None
        return self._whole


def _by_index(takers: Mapping[str, Taker]) -> dict[int, Part]:
    return {LAYERS[layer]: taker.take for layer, taker in takers.items()}


def _verdicts(comparisons: Iterable[tuple[str, Comparison]]) -> tuple[list[Tensor], dict[int, LayerPull]]:
    """The loss terms in their order, and each layer's pull by index."""
    terms: list[Tensor] = []
    pulls: dict[int, LayerPull] = {}
    for layer, comparison in comparisons:
        term, pull = comparison.verdict()
        terms.append(term)
        pulls[LAYERS[layer]] = both(pulls.get(LAYERS[layer]), pull)
    return terms, pulls


def _give(takers: Sequence[Mapping[int, Part]], index: int, feats: Tensor, region: Region) -> None:
    for layers in takers:
        if index in layers:
            layers[index](feats, region)


def _in_region(pull: LayerPull, region: Region) -> Pull:
    return lambda feats, grad: pull(feats, region, grad)


def _owned(pull: LayerPull, tile: Tile, index: int) -> Pull:
    """The pull of the features that are the tile's own; the halo's belong to others."""

    def pull_own(feats: Tensor, grad: Tensor | None) -> Tensor:
        grad, own = torch.zeros_like(feats) if grad is None else grad, tile.owned_within(index)
        part_of(grad, own).add_(pull(part_of(feats, own), tile.owned(index), None))
        return grad

    return pull_own
