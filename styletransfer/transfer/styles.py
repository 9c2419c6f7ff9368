"""The styles of one render, and what they make the style losses compare with at each scale."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch

from styletransfer.objective.masks import MaskedStyle
from styletransfer.objective.moments import Moments, blend
from styletransfer.objective.objective import Objective
from styletransfer.objective.wasserstein import StyleTarget
from styletransfer.settings import Settings
from styletransfer.sizes import Size, size_to_fit
from styletransfer.transfer.memory_plan import MemoryPlan
from styletransfer.transfer.regions import EVERYWHERE, Regions, gray
from styletransfer.transfer.scaled_picture import ScaledPicture
from styletransfer.transfer.style_cache import StyleCache, moments_key, on_devices, target_key

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RenderStyles:
    """Styles with their weights. Targets are cached, unless the network's weights have no identity.

    What of `regions` is too small at some layers is told once.
    """

    pictures: Sequence[ScaledPicture]
    weights: Sequence[float]
    settings: Settings
    objective: Objective
    cache: StyleCache
    network_identity: str | None
    network_dtype: torch.dtype
    image_dtype: torch.dtype
    regions: Regions = EVERYWHERE
    _told: set[str] = field(default_factory=set)

    def targets(self, scale: int, plan: MemoryPlan) -> Mapping[str, StyleTarget]:
        """The blend's target at each style layer, where that layer's features are compared."""
        return self._targets(range(len(self.pictures)), scale, plan)

    def masked(self, scale: int, size: Size, plan: MemoryPlan) -> tuple[MaskedStyle, ...]:
        """The same of each part of a picture of this size (width, height in px), if parts have their own styles."""
        parts = self.regions.parts(len(self.pictures), size, self.image_dtype)
        found = []
        for part in parts:
            masks = self.objective.masks(part.mask)
            what = "what is left to" if part.is_rest else "the region of"
            self._tell_missing(masks, f"{what} style {part.styles[0] + 1}", scale)
            targets = self._targets(part.styles, scale, plan) if masks else {}
            found.append(MaskedStyle({layer: targets[layer] for layer in masks if layer in targets}, masks))
        return tuple(found)

    def _tell_missing(self, layers: Iterable[str], what: str, scale: int) -> None:
        missing = [layer for layer in self.settings.style_layers if layer not in set(layers)]
        if missing and what not in self._told:
            self._told.add(what)
            log.warning("%s is too small for %s at %s px, and left out there", what, ", ".join(missing), scale)

    def _targets(self, styles: Sequence[int], scale: int, plan: MemoryPlan) -> Mapping[str, StyleTarget]:
        """The target of the styles with these numbers, without layers that their samples are too small for."""
        keys = [self._key(style, scale, plan) for style in styles]
        known = [key for key in keys if key is not None]
        key = target_key(known, [self.weights[style] for style in styles]) if len(known) == len(keys) else None
        made = self.cache.targets(key, lambda: self._blended_targets(styles, keys, scale, plan))
        return on_devices(made, self.objective.device_of)

    def _blended_targets(
        self, styles: Sequence[int], keys: Sequence[str | None], scale: int, plan: MemoryPlan
    ) -> dict[str, StyleTarget]:
        parts = [
            self.cache.moments(key, partial(self._moments, style, scale, plan))
            for key, style in zip(keys, styles, strict=True)
        ]
        for style, part in zip(styles, parts, strict=True):
            self._tell_missing(part, f"the sample of style {style + 1}", scale)
        blended = {}
        for layer in self.settings.style_layers:
            seen = {style: part[layer] for style, part in zip(styles, parts, strict=True) if layer in part}
            if seen:
                blended[layer] = blend(list(seen.values()), [self.weights[style] for style in seen])
        return self.objective.style_targets(on_devices(blended, self.objective.device_of))

    def _moments(self, style: int, scale: int, plan: MemoryPlan) -> dict[str, Moments]:
        size, sample = self._size(self.pictures[style], scale), self.regions.sample(style)
        picture = self.pictures[style].at(size, self.image_dtype).to(plan.home)
        if sample is None:
            return self.objective.style_moments(picture)
        return self.objective.style_moments(picture, gray(sample, size, self.image_dtype))

    def _key(self, number: int, scale: int, plan: MemoryPlan) -> str | None:
        """What tells this style's moments at this scale from all others; None where the network can't be told."""
        if self.network_identity is None:
            return None
        style, sample = self.pictures[number], self.regions.sample(number)
        return moments_key(
            plan.devices,
            style=style.digest,
            sample=None if sample is None else sample.digest,
            size=self._size(style, scale),
            weights=self.network_identity,
            layers=[list(self.settings.style_layers), self.settings.layers()],
            pooling=self.settings.pooling,
            dtype=[str(self.network_dtype), str(self.image_dtype)],
            tiling=plan.bits(),
            last_on_first=plan.last_on_first,
        )

    def _size(self, style: ScaledPicture, scale: int) -> Size:
        """Longest edge `style_size`, or the scale times `style_scale_fac`; never enlarged."""
        return size_to_fit(style.size, self.settings.style_limit(scale), enlarge=False)
