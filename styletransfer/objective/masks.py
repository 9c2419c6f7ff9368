"""Where a style counts: a weight from 0 to 1 for each position of a picture, and of each layer's features.

A picture's moments are sums over positions, and these may be weighted: mean = sum of w x / sum of w, and the same
of x x^T. So a style has a part of the picture to itself, and what a tile adds is still its own. Each part's
distance counts by its share of the picture: one that covers all is no part.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from styletransfer.network.tiles import EVERYWHERE, Region, part_of, stride
from styletransfer.objective.moments import FeaturesGradient
from styletransfer.objective.wasserstein import StyleTarget
from styletransfer.vgg_layers import LAYERS

Key = tuple[int | None, ...]
"""Of a region: where its rows and columns begin and end."""

LEAST_POSITIONS = 4
"""Sum of weights below which a mask has no moments at a layer. Of so few positions a covariance says which pictures
happened to lie there, not how they are painted; the deepest layer has 40 of a 128 px picture in 3:2."""


@dataclass(frozen=True)
class LayerMask:
    """Weights of the positions of one layer: (H, W) where its features are, and once more in host memory.

    Sums are made there, so that within an iteration nothing waits for the device.
    """

    weights: Tensor
    on_host: Tensor
    _sums: dict[Key, float] = field(default_factory=dict, repr=False, compare=False)
    _elsewhere: dict[tuple[Key, torch.device], Tensor] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, mask: Tensor, layer: str) -> LayerMask | None:
        """A mask (H, W) of the picture, on the CPU, averaged down to a layer; None if it is too small there."""
        side = stride(LAYERS[layer])
        weights = avg_pool2d(mask[None, None], side)[0, 0]
        return None if weights.sum(dtype=torch.float64) < LEAST_POSITIONS else cls(weights, weights)

    def to(self, device: torch.device | str) -> LayerMask:
        """With its weights on `device`."""
        return LayerMask(self.on_host.to(device), self.on_host, self._sums)

    @cached_property
    def total(self) -> float:
        """The sum of all weights."""
        return self.on_host.sum(dtype=torch.float64).item()

    @property
    def share(self) -> float:
        """Of the picture, 0 to 1."""
        return self.total / self.on_host.numel()

    def total_within(self, region: Region) -> float:
        """The sum of the weights in a region."""
        if region == EVERYWHERE:
            return self.total
        key = _key(region)
        if key not in self._sums:
            self._sums[key] = part_of(self.on_host, region).sum(dtype=torch.float64).item()
        return self._sums[key]

    def within(self, region: Region, device: torch.device) -> Tensor:
        """The weights (h, w) in a region, on `device`; copied once, as each copy makes two GPUs wait."""
        if device == self.weights.device:
            return part_of(self.weights, region)
        key = _key(region), device
        if key not in self._elsewhere:
            self._elsewhere[key] = part_of(self.on_host, region).to(device)
        return self._elsewhere[key]


@dataclass(frozen=True)
class WeightedGradient:
    """A gradient at features whose positions count as a mask has it, from what it is where all count the same."""

    unweighted: FeaturesGradient
    mask: LayerMask

    def __call__(self, feats: Tensor, region: Region, grad: Tensor | None) -> Tensor:
        """As `FeaturesGradient` has it."""
        own = self.unweighted(feats, region, None)
        own = own.mul_(self.mask.within(region, own.device))
        return own if grad is None else grad.add_(own)

    def send(self, devices: Iterable[torch.device]) -> None:
        """As `FeaturesGradient` has it."""
        self.unweighted.send(devices)


@dataclass(frozen=True)
class MaskedStyle:
    """What features are compared with where a mask is: by layer, but for layers that it is too small for.

    Without `masks`: everywhere.
    """

    targets: Mapping[str, StyleTarget]
    masks: Mapping[str, LayerMask] = field(default_factory=dict)


def _key(region: Region) -> Key:
    rows, columns = region
    return rows.start, rows.stop, columns.start, columns.stop


def layer_masks(mask: Tensor, layers: Iterable[str]) -> dict[str, LayerMask]:
    """A mask (H, W) of the picture, on the CPU, at each layer that it is not too small for."""
    found = {layer: LayerMask.of(mask, layer) for layer in layers}
    return {layer: each for layer, each in found.items() if each is not None}
