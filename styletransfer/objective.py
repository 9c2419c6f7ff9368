"""Value and gradient of what a render minimises: content, style and total variation, weighted.

Two engines behind one interface. `reference` follows the original program step by step: autograd through the
plain network, Newton-Schulz roots, Lyapunov gradients. The default walks the network by hand and takes the roots'
truncated iteration from eigenvalues: the same numbers, several times faster.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from styletransfer import losses
from styletransfer.frozen import FrozenVGG19
from styletransfer.layers import LAYERS
from styletransfer.losses import Moments, StyleTarget
from styletransfer.settings import Settings
from styletransfer.vgg import VGG19

Engine = Literal["default", "reference"]


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
    """A network with the losses on top."""

    def style_moments(self, style: Tensor) -> dict[str, Moments]:
        """Moments of one style (1, 3, H, W) at each style layer."""

    def targets(self, content: Tensor, styles: Mapping[str, Moments]) -> Targets:
        """Targets of a content (1, 3, H, W) and of blended style moments."""

    def value_and_gradient(self, image: Tensor, targets: Targets) -> tuple[Losses, Tensor]:
        """Loss terms at image (1, 3, H, W) and the gradient of their sum, same shape, dtype and device."""


def make_objective(
    engine: Engine,
    tensors: Mapping[str, Tensor],
    settings: Settings,
    *,
    devices: Sequence[torch.device | str] = ("cpu",),
    dtype: torch.dtype = torch.float32,
) -> Objective:
    """The objective of `settings` over a network with these tensors, in `dtype`, by one of the engines."""
    if engine == "reference":
        plain = VGG19(tensors, settings.layers(), pooling=settings.pooling, devices=devices, dtype=dtype)
        return ReferenceObjective(plain, Weighting.of(settings))
    frozen = FrozenVGG19(tensors, settings.layers(), pooling=settings.pooling, devices=devices, dtype=dtype)
    return FrozenObjective(frozen, Weighting.of(settings))


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

    def __init__(self, network: VGG19, weighting: Weighting) -> None:
        self.network, self.weighting = network, weighting

    @torch.no_grad()
    def style_moments(self, style: Tensor) -> dict[str, Moments]:
        feats = self.network(style)
        return {layer: losses.moments(feats[layer]) for layer in self.weighting.style}

    @torch.no_grad()
    def targets(self, content: Tensor, styles: Mapping[str, Moments]) -> Targets:
        feats = self.network(content)
        return Targets(
            {layer: feats[layer] for layer in self.weighting.content},
            {layer: losses.style_target(blended, spectral=False) for layer, blended in styles.items()},
        )

    def value_and_gradient(self, image: Tensor, targets: Targets) -> tuple[Losses, Tensor]:
        image = image.detach().requires_grad_()
        terms = self._terms(image, targets)
        device = self.network.devices[0]
        (gradient,) = torch.autograd.grad(sum(term.to(device) for term in terms), image)  # type: ignore[arg-type]
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


class FrozenObjective:
    """The objective with a gradient written by hand."""

    def __init__(self, network: FrozenVGG19, weighting: Weighting) -> None:
        self.network, self.weighting = network, weighting

    @torch.no_grad()
    def style_moments(self, style: Tensor) -> dict[str, Moments]:
        feats = self.network.features(style)
        return {layer: _moments(feats[layer]) for layer in self.weighting.style}

    @torch.no_grad()
    def targets(self, content: Tensor, styles: Mapping[str, Moments]) -> Targets:
        feats = self.network.features(content)
        return Targets(
            {layer: feats[layer] for layer in self.weighting.content},
            {layer: losses.style_target(blended) for layer, blended in styles.items()},
        )

    @torch.no_grad()
    def value_and_gradient(self, image: Tensor, targets: Targets) -> tuple[Losses, Tensor]:
        outputs = self.network.forward(image)
        grads: dict[int, Tensor] = {}
        terms: list[Tensor] = []
        for layer, weight in self.weighting.content.items():
            terms.append(
                _add_content(outputs[LAYERS[layer]], targets.content[layer], weight, LAYERS[layer], grads)
            )
        for layer, weight in self.weighting.style.items():
            terms.append(
                _add_style(outputs[LAYERS[layer]], targets.style[layer], weight, LAYERS[layer], grads)
            )
        value, gradient = losses.total_variation_and_gradient(image)
        terms.append(self.weighting.tv * value)
        gradient = gradient.mul_(self.weighting.tv).add_(self.network.backward(outputs, grads))
        return Losses(self.weighting.names(), tuple(terms)), gradient


def _add_content(
    feats: Tensor, target: Tensor, weight: float, index: int, grads: dict[int, Tensor]
) -> Tensor:
    """Weighted content loss of features (1, C, H, W); its gradient is added to `grads[index]`."""
    difference = feats - target
    value = weight * _at_least_float32(difference).square().mean()
    _accumulate(grads, index, difference.mul_(2 * weight / difference.numel()))
    return value


def _add_style(
    feats: Tensor, target: StyleTarget, weight: float, index: int, grads: dict[int, Tensor]
) -> Tensor:
    """Weighted style loss of features (1, C, H, W); its gradient is added to `grads[index]`."""
    value, gradient = losses.wasserstein2_and_gradient(_moments(feats), target)
    positions = _positions(feats)
    # srm = X^T X / n and mean = 1^T X / n for X (n, C), so dX = (X (G + G^T) + g) / n
    scale = weight / len(positions)
    matrix = (2 * scale * gradient.srm).to(feats.dtype)
    grad = torch.addmm((scale * gradient.mean).to(feats.dtype), positions, matrix)
    _accumulate(grads, index, _like_features(grad, feats))
    return weight * value


def _accumulate(grads: dict[int, Tensor], index: int, grad: Tensor) -> None:
    grads[index] = grads[index].add_(grad) if index in grads else grad


def _moments(feats: Tensor) -> Moments:
    """Moments of channels_last features (1, C, H, W), at least in float32."""
    positions = _at_least_float32(_positions(feats))
    return Moments(positions.mean(dim=0), positions.mT @ positions / len(positions))


def _positions(feats: Tensor) -> Tensor:
    """Channels_last features (1, C, H, W) as a matrix (H W, C): a view."""
    return feats.permute(0, 2, 3, 1).flatten(0, 2)


def _like_features(positions: Tensor, feats: Tensor) -> Tensor:
    """A matrix (H W, C) as channels_last features: a view."""
    _, channels, height, width = feats.shape
    return positions.view(1, height, width, channels).permute(0, 3, 1, 2)


def _at_least_float32(x: Tensor) -> Tensor:
    return x if x.dtype == torch.float64 else x.float()
