"""The objective by autograd, step by step as in the original program: what tests and benchmarks compare with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from styletransfer.network.rows import Strips
from styletransfer.network.tiles import Tiling
from styletransfer.network.vgg_weights import Weights
from styletransfer.objective.moments import Moments
from styletransfer.objective.objective import Losses, Targets, Weighting
from styletransfer.objective.wasserstein import StyleTarget
from styletransfer.settings import Settings
from styletransfer.transfer.stylizer import Stylizer
from styletransfer.vgg_layers import LAYERS
from tests.reference import losses
from tests.reference.network import PlainVGG19


def reference_stylizer(tensors: Mapping[str, Tensor], settings: Settings) -> Stylizer:
    """Renders by the reference; without an identity of the weights, no style target is cached or shared."""
    stylizer = Stylizer(Weights("reference", "reference", tensors), settings)
    stylizer.objective = ReferenceObjective(tensors, settings, dtype=stylizer.dtype)  # type: ignore[assignment]
    return stylizer


class ReferenceObjective:
    """In place of an `Objective`."""

    def __init__(
        self,
        tensors: Mapping[str, Tensor],
        settings: Settings,
        *,
        devices: Sequence[torch.device | str] = ("cpu",),
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.tiling: Tiling | None = None  # means nothing here: the original has none
        self.weighting = Weighting.of(settings)
        self.network = PlainVGG19(
            tensors, settings.layers(), pooling=settings.pooling, devices=devices, dtype=dtype
        )

    def device_of(self, layer: str) -> torch.device:
        return self.network.device_of(LAYERS[layer])

    def place(self, devices: Sequence[str], last_on_first: int, *, in_strips: bool = False) -> None:
        """Changes nothing: the original has one way to split two devices."""

    @torch.no_grad()
    def style_moments(self, style: Tensor) -> dict[str, Moments]:
        feats = self.network(style)
        return {layer: losses.moments(feats[layer]) for layer in self.weighting.style}

    @torch.no_grad()
    def style_targets(self, styles: Mapping[str, Moments]) -> dict[str, StyleTarget]:
        return {layer: losses.style_target(blended) for layer, blended in styles.items()}

    @torch.no_grad()
    def targets(self, content: Tensor, styles: Mapping[str, Moments]) -> Targets:
        feats = self.network(content)
        return Targets({layer: feats[layer] for layer in self.weighting.content}, self.style_targets(styles))

    def apart(self, image: Tensor) -> list[Tensor]:
        """It is not."""
        return [image]

    def value_and_gradients(self, image: Strips, targets: Targets) -> tuple[Losses, list[Tensor]]:
        losses, gradient = self.value_and_gradient(image[0], targets)
        return losses, [gradient]

    def value_and_gradient(self, image: Tensor, targets: Targets) -> tuple[Losses, Tensor]:
        image = image.detach().requires_grad_()
        terms = self._terms(image, targets)
        total = torch.stack([term.to(image.device) for term in terms]).sum()
        (gradient,) = torch.autograd.grad(total, image)
        return Losses(self.weighting.names(), tuple(terms)), gradient

    def _terms(self, image: Tensor, targets: Targets) -> list[Tensor]:
        feats, weighting = self.network(image), self.weighting
        content = [
            weight * F.mse_loss(feats[layer], targets.content[layer])
            for layer, weight in weighting.content.items()
        ]
        style = [
            weight * losses.wasserstein2(losses.moments(feats[layer]), targets.style[layer])
            for layer, weight in weighting.style.items()
        ]
        return [*content, *style, weighting.tv * losses.total_variation(image)]
