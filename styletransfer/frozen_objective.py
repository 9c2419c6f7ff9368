"""The default engine: the objective with a gradient written by hand, whole or tile by tile.

The loss depends on the image through sums over positions: moments of features, squared differences. So the
network runs forward and the sums are taken; from them come the loss and, for each layer, how it pulls on its
features; then the pulls run backward through the network. With tiles, the first blocks run forward once for the
sums and, with the pulls known, once more and back; what each tile's own features pull on is added up. The gradient
is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from styletransfer import losses
from styletransfer.feature_moments import MomentSums, StylePull
from styletransfer.frozen import FrozenVGG19, Outputs, Pull
from styletransfer.layers import LAYERS
from styletransfer.losses import Moments, StyleTarget
from styletransfer.objective import Losses, Targets, Weighting
from styletransfer.settings import Settings
from styletransfer.tiles import Region, Tile, Tiling, stride
from styletransfer.vgg import check_size

EVERYWHERE: Region = (slice(None), slice(None))

LayerPull = Callable[[Tensor, Region], Tensor]
"""Gradient of the loss with respect to the part of a layer's features in a region, from these features."""


@dataclass
class Survey:
    """What the loss depends on: moment sums by style layer, features by content layer.

    `outputs` are those of the part of the network that runs whole, kept for the way back.
    """

    sums: dict[str, MomentSums] = field(default_factory=dict)
    content: dict[str, Tensor] = field(default_factory=dict)
    outputs: Outputs = field(default_factory=dict)


class FrozenObjective:
    """The objective over a network walked by hand; in tiles with a `tiling`."""

    def __init__(
        self,
        tensors: Mapping[str, Tensor],
        settings: Settings,
        *,
        devices: Sequence[torch.device | str] = ("cpu",),
        dtype: torch.dtype = torch.float32,
        tiling: Tiling | None = None,
        build: Callable[..., FrozenVGG19] = FrozenVGG19,
    ) -> None:
        self.weighting = Weighting.of(settings)
        self.tiling = tiling
        self.network = build(
            tensors, settings.layers(), pooling=settings.pooling, devices=devices, dtype=dtype
        )
        self._style_layers = {LAYERS[layer]: layer for layer in self.weighting.style}
        self._content_layers = {LAYERS[layer]: layer for layer in self.weighting.content}

    def device_of(self, layer: str) -> torch.device:
        return self.network.device_of(LAYERS[layer])

    @torch.no_grad()
    def style_moments(self, style: Tensor) -> dict[str, Moments]:
        survey = self._survey(style, keep=False)
        return {layer: survey.sums[layer].moments() for layer in self.weighting.style}

    @torch.no_grad()
    def style_targets(self, styles: Mapping[str, Moments]) -> dict[str, StyleTarget]:
        return {layer: losses.style_target(blended) for layer, blended in styles.items()}

    @torch.no_grad()
    def targets(self, content: Tensor, styles: Mapping[str, Moments]) -> Targets:
        return Targets(self._survey(content, keep=False).content, self.style_targets(styles))

    @torch.no_grad()
    def value_and_gradient(self, image: Tensor, targets: Targets) -> tuple[Losses, Tensor]:
        survey = self._survey(image, keep=True)
        terms, pulls = self._compare(survey, targets)
        gradient = self.network.unnormalise_gradient(self._backward(image, survey, pulls), image)
        variation = losses.add_total_variation(image, gradient, self.weighting.tv)
        return Losses(self.weighting.names(), (*terms, self.weighting.tv * variation)), gradient

    def _survey(self, image: Tensor, *, keep: bool) -> Survey:
        """The network forward, in tiles as far as it is tiled; `keep` what the way back needs."""
        check_size(image, self.network.smallest_input)
        survey, x, first = Survey(), self.network.normalise(image), 0
        if self.tiling is not None:
            first = self.tiling.last(self.network.last) + 1
            x = self._survey_tiles(x, survey)
        walk = self.network.walk(x, first)
        for index, output in walk:
            self._take(survey, index, output)
            if keep:
                survey.outputs[index] = output
        if keep:
            survey.outputs = {first - 1: x, **survey.outputs}
        return survey

    def _survey_tiles(self, x: Tensor, survey: Survey) -> Tensor:
        """The output of the tiled part, put together; its layers are taken into the survey."""
        whole: dict[int, Tensor] = {}
        for tile, last in self._tiles(x):
            for index, output in self.network.walk(_part(x, tile.read()), 0, last):
                own = _part(output, tile.owned_within(index))
                if index in self._style_layers:
                    self._take_style(survey, index, own)
                if index in self._content_layers or index == last:
                    _part(_canvas(whole, index, output, x), tile.owned(index)).copy_(own)
        for index in self._content_layers.keys() & whole.keys():
            survey.content[self._content_layers[index]] = whole[index]
        return whole[last]

    def _tiles(self, x: Tensor) -> list[tuple[Tile, int]]:
        """The tiles of the network's input (1, 3, H, W), and the last layer that is tiled."""
        assert self.tiling is not None
        last = self.network.last
        return [(tile, self.tiling.last(last)) for tile in self.tiling.tiles(x.shape[2], x.shape[3], last)]

    def _take(self, survey: Survey, index: int, output: Tensor) -> None:
        if index in self._style_layers:
            self._take_style(survey, index, output)
        if index in self._content_layers:
            survey.content[self._content_layers[index]] = output

    def _take_style(self, survey: Survey, index: int, feats: Tensor) -> None:
        layer, sums = self._style_layers[index], MomentSums.of(feats)
        survey.sums[layer] = survey.sums[layer] + sums if layer in survey.sums else sums

    def _compare(self, survey: Survey, targets: Targets) -> tuple[list[Tensor], dict[int, LayerPull]]:
        """Loss terms, content and then style, and each layer's pull by index."""
        terms: list[Tensor] = []
        pulls: dict[int, LayerPull] = {}
        for layer, weight in self.weighting.content.items():
            content = ContentPull(targets.content[layer], weight)
            terms.append(content.loss(survey.content[layer]))
            pulls[LAYERS[layer]] = content
        for layer, weight in self.weighting.style.items():
            sums = survey.sums[layer]
            value, gradient = losses.wasserstein2_and_gradient(sums.moments(), targets.style[layer])
            style = StylePull.of(gradient, sums.moments(), sums.count, weight, self.network.dtype)
            terms.append(weight * value)
            pulls[LAYERS[layer]] = _both(pulls.get(LAYERS[layer]), style)
        return terms, pulls

    def _backward(self, image: Tensor, survey: Survey, pulls: Mapping[int, LayerPull]) -> Tensor:
        """Gradient at the network's input (1, 3, H, W)."""
        whole = {index: _in_region(pull, EVERYWHERE) for index, pull in pulls.items()}
        if self.tiling is None:
            return self.network.backward(survey.outputs, whole)
        grad = None
        if len(survey.outputs) > 1:
            grad = self.network.backward(survey.outputs, whole)
        return self._backward_tiles(self.network.normalise(image), grad, pulls)

    def _backward_tiles(self, x: Tensor, grad: Tensor | None, pulls: Mapping[int, LayerPull]) -> Tensor:
        """Gradient at x, from that at the last tiled layer and the pulls before it."""
        grad_x = torch.zeros_like(x)
        for tile, last in self._tiles(x):
            outputs = self.network.forward(_part(x, tile.read()), 0, last)
            own_pulls = {index: _owned(pull, tile, index) for index, pull in pulls.items() if index <= last}
            own_grad = None
            if grad is not None:
                own_grad = torch.zeros_like(outputs[last])
                _part(own_grad, tile.owned_within(last)).copy_(_part(grad, tile.owned(last)))
            _part(grad_x, tile.read()).add_(self.network.backward(outputs, own_pulls, own_grad))
        return grad_x


class ContentPull:
    """The content loss of one layer and its gradient at the features."""

    def __init__(self, target: Tensor, weight: float) -> None:
        self.target, self.weight = target, weight

    def loss(self, feats: Tensor) -> Tensor:
        """Weighted mean squared difference to the target, in float32 at least."""
        difference = feats - self.target
        dtype = torch.promote_types(difference.dtype, torch.float32)
        return self.weight / difference.numel() * difference.square_().sum(dtype=dtype)

    def __call__(self, feats: Tensor, region: Region) -> Tensor:
        return (feats - _part(self.target, region)).mul_(2 * self.weight / self.target.numel())


def _both(first: LayerPull | None, second: LayerPull) -> LayerPull:
    """The sum of two pulls at one layer."""
    if first is None:
        return second
    return lambda feats, region: first(feats, region).add_(second(feats, region))


def _in_region(pull: LayerPull, region: Region) -> Pull:
    return lambda feats: pull(feats, region)


def _owned(pull: LayerPull, tile: Tile, index: int) -> Pull:
    """The pull of the features that are the tile's own; the halo's belong to others."""

    def pull_own(feats: Tensor) -> Tensor:
        grad, own = torch.zeros_like(feats), tile.owned_within(index)
        _part(grad, own).copy_(pull(_part(feats, own), tile.owned(index)))
        return grad

    return pull_own


def _part(x: Tensor, region: Region) -> Tensor:
    """A view of the rows and columns of x (..., H, W)."""
    return x[..., region[0], region[1]]


def _canvas(whole: dict[int, Tensor], index: int, output: Tensor, x: Tensor) -> Tensor:
    """The whole picture's features of layer `index`, to be filled in, like the `output` of a tile of x."""
    if index not in whole:
        height, width = (side // stride(index) for side in x.shape[2:])
        whole[index] = output.new_empty((1, output.shape[1], height, width)).to(
            memory_format=torch.channels_last
        )
    return whole[index]
