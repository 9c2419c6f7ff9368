"""The styles of one render, and what they make the style losses compare with at each scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch

from styletransfer.objective.moments import Moments, blend
from styletransfer.objective.objective import Objective
from styletransfer.objective.wasserstein import StyleTarget
from styletransfer.settings import Settings
from styletransfer.sizes import Size, size_to_fit
from styletransfer.transfer.memory_plan import MemoryPlan
from styletransfer.transfer.scaled_picture import ScaledPicture
from styletransfer.transfer.style_cache import StyleCache, moments_key, on_devices, target_key


@dataclass(frozen=True)
class RenderStyles:
    """Styles with their weights. Targets are cached, unless the network's weights have no identity."""

    pictures: Sequence[ScaledPicture]
    weights: Sequence[float]
    settings: Settings
    objective: Objective
    cache: StyleCache
    network_identity: str | None
    network_dtype: torch.dtype
    image_dtype: torch.dtype

    def targets(self, scale: int, plan: MemoryPlan) -> Mapping[str, StyleTarget]:
        """The blend's target at each style layer, where that layer's features are compared."""
        keys = [self._key(style, scale, plan) for style in self.pictures]
        known = [key for key in keys if key is not None]
        key = target_key(known, self.weights) if len(known) == len(keys) else None
        made = self.cache.targets(key, lambda: self._blended_targets(keys, scale, plan))
        return on_devices(made, self.objective.device_of)

    def _blended_targets(
        self, keys: Sequence[str | None], scale: int, plan: MemoryPlan
    ) -> dict[str, StyleTarget]:
        parts = [
            self.cache.moments(key, partial(self._moments, style, scale, plan))
            for key, style in zip(keys, self.pictures, strict=True)
        ]
        blended = {layer: blend([part[layer] for part in parts], self.weights) for layer in parts[0]}
        return self.objective.style_targets(on_devices(blended, self.objective.device_of))

    def _moments(self, style: ScaledPicture, scale: int, plan: MemoryPlan) -> dict[str, Moments]:
        picture = style.at(self._size(style, scale), self.image_dtype)
        return self.objective.style_moments(picture.to(plan.home))

    def _key(self, style: ScaledPicture, scale: int, plan: MemoryPlan) -> str | None:
        """What tells this style's moments at this scale from all others; None where the network can't be told."""
        if self.network_identity is None:
            return None
        return moments_key(
            plan.devices,
            style=style.digest,
            size=self._size(style, scale),
            weights=self.network_identity,
            layers=[list(self.settings.style_layers), self.settings.layers()],
            pooling=self.settings.pooling,
            dtype=[str(self.network_dtype), str(self.image_dtype)],
            tiling=str(plan.tiling),
            last_on_first=plan.last_on_first,
        )

    def _size(self, style: ScaledPicture, scale: int) -> Size:
        """Longest edge `style_size`, or the scale times `style_scale_fac`; never enlarged."""
        return size_to_fit(style.size, self.settings.style_limit(scale), enlarge=False)
