"""Value and gradient of what a render minimises: content, style and total variation, weighted.

Two engines behind one interface. `reference` follows the original program step by step: autograd through the
plain network, Newton-Schulz roots, Lyapunov gradients. The default (`frozen_objective`) computes the same
numbers several times faster.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from styletransfer.network.tiles import Tiling
from styletransfer.network.vgg import VGG19
from styletransfer.objective import style as losses
from styletransfer.objective.style import Moments, StyleTarget
from styletransfer.settings import Settings
from styletransfer.vgg_layers import LAYERS


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


class Objective(Protocol):
    """A network with the losses on top; computed by tiles with a `tiling`, as far as the engine can."""

    tiling: Tiling | None

    def device_of(self, layer: str) -> torch.device:
        """Where the features of `layer` are compared with its targets."""

    def place(self, devices: Sequence[str], last_on_first: int) -> None:
        """Runs the network on `devices`, layers up to `last_on_first` on the first, as far as the engine can."""

    def style_moments(self, style: Tensor) -> dict[str, Moments]:
        """Moments of one style (1, 3, H, W) at each style layer."""

    def style_targets(self, styles: Mapping[str, Moments]) -> dict[str, StyleTarget]:
        """Style targets by layer, of blended style moments."""

    def targets(self, content: Tensor, styles: Mapping[str, Moments]) -> Targets:
        """Targets of a content (1, 3, H, W) and of blended style moments."""

    def value_and_gradient(self, image: Tensor, targets: Targets) -> tuple[Losses, Tensor]:
        """Loss terms at image (1, 3, H, W) and the gradient of their sum, same shape, dtype and device."""


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


class ReferenceObjective:
    """The objective by autograd, step by step as in the original program."""

    def __init__(
        self,
        tensors: Mapping[str, Tensor],
        settings: Settings,
        *,
        devices: Sequence[torch.device | str] = ("cpu",),
        dtype: torch.dtype = torch.float32,
        build: Callable[..., VGG19] = VGG19,
    ) -> None:
        self.tiling: Tiling | None = None  # means nothing here: the original has none
        self.weighting = Weighting.of(settings)
        self.network = build(
            tensors, settings.layers(), pooling=settings.pooling, devices=devices, dtype=dtype
        )

    def device_of(self, layer: str) -> torch.device:
        return self.network.device_of(LAYERS[layer])

    def place(self, devices: Sequence[str], last_on_first: int) -> None:
        """Changes nothing: the original has one way to split two devices."""

    @torch.no_grad()
    def style_moments(self, style: Tensor) -> dict[str, Moments]:
        feats = self.network(style)
        return {layer: losses.moments(feats[layer]) for layer in self.weighting.style}

    @torch.no_grad()
    def style_targets(self, styles: Mapping[str, Moments]) -> dict[str, StyleTarget]:
        return {layer: losses.style_target(blended, spectral=False) for layer, blended in styles.items()}

    @torch.no_grad()
    def targets(self, content: Tensor, styles: Mapping[str, Moments]) -> Targets:
        feats = self.network(content)
        return Targets({layer: feats[layer] for layer in self.weighting.content}, self.style_targets(styles))

    def value_and_gradient(self, image: Tensor, targets: Targets) -> tuple[Losses, Tensor]:
        image = image.detach().requires_grad_()
        terms = self._terms(image, targets)
        total = torch.stack([term.to(image.device) for term in terms]).sum()
        (gradient,) = torch.autograd.grad(total, image)
        return Losses(self.weighting.names(), tuple(terms)), gradient

    def _terms(self, image: Tensor, targets: Targets) -> list[Tensor]:
        feats, weighting = self.network(image), self.weighting
        content = [
            weight * losses.mean_squared_difference(feats[layer], targets.content[layer])
            for layer, weight in weighting.content.items()
        ]
        style = [
            weight * losses.wasserstein2(losses.moments(feats[layer]), targets.style[layer])
            for layer, weight in weighting.style.items()
        ]
        return [*content, *style, weighting.tv * losses.total_variation(image)]
