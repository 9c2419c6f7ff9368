"""The default engine: the objective with a gradient written by hand, whole or tile by tile.

The loss depends on the image through sums over positions: moments of features, squared differences. So the
network runs forward and the sums are taken; from them come the loss and, for each layer, how it pulls on its
features; then the pulls run backward through the network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from styletransfer import losses
from styletransfer.feature_moments import MomentSums, StylePull
from styletransfer.frozen import FrozenVGG19, Outputs, Pull
from styletransfer.layers import LAYERS
from styletransfer.losses import Moments
from styletransfer.objective import Losses, Targets, Weighting
from styletransfer.settings import Settings
from styletransfer.vgg import check_size


class FrozenObjective:
    """The objective over a network walked by hand."""

    def __init__(
        self,
        tensors: Mapping[str, Tensor],
        settings: Settings,
        *,
        devices: Sequence[torch.device | str] = ("cpu",),
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.weighting = Weighting.of(settings)
        self.network = FrozenVGG19(
            tensors, settings.layers(), pooling=settings.pooling, devices=devices, dtype=dtype
        )

    @torch.no_grad()
    def style_moments(self, style: Tensor) -> dict[str, Moments]:
        return {
            layer: MomentSums.of(feats).moments()
            for layer, feats in self.network.features(style)
            if layer in self.weighting.style
        }

    @torch.no_grad()
    def targets(self, content: Tensor, styles: Mapping[str, Moments]) -> Targets:
        wanted = self.weighting.content
        return Targets(
            {layer: feats for layer, feats in self.network.features(content) if layer in wanted},
            {layer: losses.style_target(blended) for layer, blended in styles.items()},
        )

    @torch.no_grad()
    def value_and_gradient(self, image: Tensor, targets: Targets) -> tuple[Losses, Tensor]:
        check_size(image, self.network.smallest_input)
        outputs = self.network.forward(self.network.normalise(image))
        terms, pulls = self._compare(outputs, targets)
        variation, gradient = losses.total_variation_and_gradient(image)
        gradient = gradient.mul_(self.weighting.tv)
        gradient += self.network.unnormalise_gradient(self.network.backward(outputs, pulls), image)
        return Losses(self.weighting.names(), (*terms, self.weighting.tv * variation)), gradient

    def _compare(self, outputs: Outputs, targets: Targets) -> tuple[list[Tensor], dict[int, Pull]]:
        """Loss terms, content and then style, and each layer's pull by index."""
        terms: list[Tensor] = []
        pulls: dict[int, Pull] = {}
        for layer, weight in self.weighting.content.items():
            content = ContentPull(targets.content[layer], weight)
            terms.append(content.loss(outputs[LAYERS[layer]]))
            pulls[LAYERS[layer]] = content
        for layer, weight in self.weighting.style.items():
            sums = MomentSums.of(outputs[LAYERS[layer]])
            value, gradient = losses.wasserstein2_and_gradient(sums.moments(), targets.style[layer])
            style = StylePull.of(gradient, sums.moments(), sums.count, weight, self.network.dtype)
            terms.append(weight * value)
            pulls[LAYERS[layer]] = _both(pulls.get(LAYERS[layer]), style)
        return terms, pulls


class ContentPull:
    """The content loss of one layer and its gradient at the features."""

    def __init__(self, target: Tensor, weight: float) -> None:
        self.target, self.weight = target, weight

    def loss(self, feats: Tensor) -> Tensor:
        """Weighted mean squared difference to the target, in float32 at least."""
        difference = feats - self.target
        dtype = torch.promote_types(difference.dtype, torch.float32)
        return self.weight / difference.numel() * difference.square_().sum(dtype=dtype)

    def __call__(self, feats: Tensor) -> Tensor:
        difference = feats - self.target
        return difference.mul_(2 * self.weight / difference.numel())


def _both(first: Pull | None, second: Pull) -> Pull:
    """The sum of two pulls at one layer."""
    if first is None:
        return second
    return lambda feats: first(feats).add_(second(feats))
