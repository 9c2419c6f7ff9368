"""What a render minimises: content, style and total variation, weighted; its value and gradient.

The loss depends on the image through sums over positions: moments of features, squared differences. So the
network runs forward and the sums are taken; from them come the loss and its gradient at each layer's features,
which runs backward through the network: whole, in tiles (`passes`), or in strips over several devices (`ways`). It
is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial

import torch
from torch import Tensor

from styletransfer.network.network_cache import shared_network
from styletransfer.network.rows import Strips, height_of
from styletransfer.network.tiles import Tiling
from styletransfer.network.vgg import FIRST_POOLING, VGG19, check_size
from styletransfer.objective.content import ContentLoss
from styletransfer.objective.layer_gradients import LayerGradient, sum_of
from styletransfer.objective.masks import LayerMask, MaskedStyle, layer_masks
from styletransfer.objective.moments import Moments
from styletransfer.objective.passes import Collector, Collectors, Pass, WholeFeatures
from styletransfer.objective.smoothness import add_total_variation
from styletransfer.objective.sqrtm import is_by_chain
from styletransfer.objective.strip_features import StripFeatures
from styletransfer.objective.style import LayerMoments, Part, StyleLoss, by_layer, values_and_gradients
from styletransfer.objective.wasserstein import StyleTarget, style_target
from styletransfer.objective.wasserstein_batch import NARROW, TargetBatch, batches_of
from styletransfer.objective.ways import AtOnce, InStrips, Way
from styletransfer.settings import Settings
from styletransfer.vgg_layers import CONVOLUTIONS, LAYERS


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
    """What an image is compared with: content features and style statistics by layer.

    Where `masked` names parts of the picture with styles of their own, there is no `style` for all of it. Where
    devices share the picture, each has the content features of its strip (`content_in_strips`).
    """

    content: Mapping[str, Tensor]
    style: Mapping[str, StyleTarget]
    masked: tuple[MaskedStyle, ...] = ()
    content_in_strips: Mapping[str, StripFeatures] = field(default_factory=dict)

    @cached_property
    def styles(self) -> tuple[MaskedStyle, ...]:
        """Those of all parts, or the one of the whole."""
        return self.masked or (MaskedStyle(self.style),)

    @cached_property
    def batches(self) -> tuple[TargetBatch[Part], ...]:
        """The styles' once more, in batches, for devices whose roots are made by a chain of products."""
        targets = {
            (layer, number): target
            for number, style in enumerate(self.styles)
            for layer, target in style.targets.items()
        }
        return batches_of({part: one for part, one in targets.items() if is_by_chain(one.mean.device)})


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
        self._wide = [layer for layer in self.weighting.style if CONVOLUTIONS[LAYERS[layer] - 1][1] > NARROW]
        self.tiling = tiling
        build = VGG19 if identity is None else partial(shared_network, identity)
        self._build: Callable[..., VGG19] = partial(
            build, tensors, settings.layers(), pooling=settings.pooling, dtype=dtype
        )
        self.network = self._build(devices=devices, last_on_first=FIRST_POOLING)
        self._networks: tuple[VGG19, ...] = (self.network,)

    def device_of(self, layer: str) -> torch.device:
        """Where the features of `layer` are compared with its targets, or in strips their moments with the style's.

        Roots of wide layers take long enough to be dealt out, from the second device on: the first has the others'.
        """
        if layer in self._wide and len(self._networks) > 1:
            return self._networks[(self._wide.index(layer) + 1) % len(self._networks)].devices[0]
        return self.network.device_of(LAYERS[layer])

    def place(self, devices: Sequence[str], last_on_first: int, *, in_strips: bool = False) -> None:
        """Runs the network on `devices`: layers up to `last_on_first` on the first of two, or all on each of them,
        over a strip of the picture (`in_strips`).
        """
        groups = [(device,) for device in devices] if in_strips else [tuple(devices)]
        if len(groups[0]) == 1:
            last_on_first = FIRST_POOLING  # as for all others on one device, where it makes no difference
        wanted = [(torch.device(group[0]), torch.device(group[-1]), last_on_first) for group in groups]
        if wanted != [(*network.devices, network.last_on_first) for network in self._networks]:
            build = partial(self._build, last_on_first=last_on_first)
            built = {group: build(devices=group) for group in dict.fromkeys(groups)}
            self._networks = tuple(built[group] for group in groups)
            self.network = self._networks[0]

    @torch.no_grad()
    def style_moments(self, style: Tensor, mask: Tensor | None = None) -> dict[str, Moments]:
        """Moments of one style (1, 3, H, W) at each style layer, or of what a mask (H, W) on the CPU shows of it.

        Layers that the mask is too small for are left out.
        """
        found = {layer: LayerMoments() for layer in self.weighting.style}
        if mask is not None:
            found = {layer: LayerMoments(each) for layer, each in self.masks(mask).items()}
            if not found:
                return {}
        self._way([style]).forward([style], _by_index(found.items()))
        return {layer: moments.sums().moments() for layer, moments in found.items()}

    def masks(self, mask: Tensor) -> dict[str, LayerMask]:
        """A mask (H, W), on the CPU, at the style layers that it is not too small for, where their features are."""
        return {
            layer: each.to(self.device_of(layer))
            for layer, each in layer_masks(mask, self.weighting.style).items()
        }

    @torch.no_grad()
    def style_targets(self, styles: Mapping[str, Moments]) -> dict[str, StyleTarget]:
        """Style targets by layer, of blended style moments."""
        return {layer: style_target(blended) for layer, blended in styles.items()}

    @torch.no_grad()
    def targets(self, content: Tensor, styles: Mapping[str, Moments]) -> Targets:
        """Targets of a content (1, 3, H, W) and of blended style moments."""
        way = self._way([content])
        found = {layer: way.features(content, LAYERS[layer]) for layer in self.weighting.content}
        way.forward([content], _by_index(found.items()))
        whole = {layer: feats.whole() for layer, feats in found.items() if isinstance(feats, WholeFeatures)}
        in_strips = {layer: feats for layer, feats in found.items() if isinstance(feats, StripFeatures)}
        return Targets(whole, self.style_targets(styles), content_in_strips=in_strips)

    def apart(self, image: Tensor) -> list[Tensor]:
        """image (1, 3, H, W), or what lies over it, in strips, each on the device that works on it."""
        return self._way([image]).apart(image)

    def value_and_gradient(self, image: Tensor, targets: Targets) -> tuple[Losses, Tensor]:
        """Loss terms at image (1, 3, H, W) and the gradient of their sum, same shape, dtype and device."""
        losses, (gradient,) = self.value_and_gradients([image], targets)
        return losses, gradient

    @torch.no_grad()
    def value_and_gradients(self, image: Strips, targets: Targets) -> tuple[Losses, list[Tensor]]:
        """The same at an image that may lie in strips, with the gradient as it does."""
        content = {
            layer: ContentLoss(targets.content_in_strips.get(layer) or targets.content[layer], weight)
            for layer, weight in self.weighting.content.items()
        }
        style = self._style_losses(targets)
        of_style = [(layer, loss) for (layer, _), loss in style.items()]
        way = self._way(image)
        back = way.forward(image, _by_index([*content.items(), *of_style]), keep=True)
        found = [(layer, loss.value_and_gradient()) for layer, loss in content.items()]
        of_parts = values_and_gradients(style, targets.batches)
        for _, gradient in of_parts.values():
            way.send(gradient)
        styles = by_layer(of_parts)
        gradients: dict[int, LayerGradient] = {}
        for layer, (_, gradient) in [*found, *styles.items()]:
            gradients[LAYERS[layer]] = sum_of(gradients.get(LAYERS[layer]), gradient)
        terms = [term for _, (term, _) in found]
        terms += [styles[layer][0] if layer in styles else image[0].new_zeros(()) for layer in self.weighting.style]
        at_image, variation = back(
            gradients, lambda part, grad, of: add_total_variation(part, grad, self.weighting.tv, of)
        )
        return Losses(self.weighting.names(), (*terms, self.weighting.tv * variation)), at_image

    def _style_losses(self, targets: Targets) -> dict[Part, StyleLoss]:
        """One for each layer, and each part of the picture that is not too small there."""
        return {
            (layer, number): StyleLoss(style.targets[layer], weight, self.network.dtype, style.masks.get(layer))
            for layer, weight in self.weighting.style.items()
            for number, style in enumerate(targets.styles)
            if layer in style.targets
        }

    def _way(self, image: Strips) -> Way:
        """The way over an image; ImageError if it is too small for one."""
        check_size(image[0].shape[-1], height_of(image), self.network.smallest_input)
        first, *others = (Pass(network, self.tiling) for network in self._networks)
        return InStrips([first, *others]) if others else AtOnce(first)


def _by_index(collectors: Iterable[tuple[str, Collector]]) -> Collectors:
    return [(LAYERS[layer], collector) for layer, collector in collectors]
