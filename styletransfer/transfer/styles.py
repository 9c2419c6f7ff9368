"""The styles of one render: as pictures at each scale, and as what they make the style losses compare with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from styletransfer.objective.moments import Moments, blend
from styletransfer.objective.objective import Objective
from styletransfer.objective.wasserstein import StyleTarget
from styletransfer.pictures.picture import Picture
from styletransfer.pictures.resize import resize, to_tensor
from styletransfer.settings import Settings
from styletransfer.sizes import Size, size_to_fit
from styletransfer.transfer.memory import MemoryPlan
from styletransfer.transfer.style_cache import STYLE_CACHE, moments_key, moved, target_key


@dataclass(frozen=True)
class RenderStyles:
    """Styles with their weights. Targets are cached, unless the network's weights have no identity."""

    pictures: Sequence[Picture]
    weights: Sequence[float]
    settings: Settings
    objective: Objective
    network_identity: str | None
    network_dtype: torch.dtype
    image_dtype: torch.dtype

    def tensors(self, scale: int, device: torch.device) -> list[Tensor]:
        """Each style (1, 3, H, W) as large as it is at this scale."""
        return [self._tensor(style, scale, device) for style in self.pictures]

    def targets(self, scale: int, plan: MemoryPlan) -> Mapping[str, StyleTarget]:
        """The blend's target at each style layer, where that layer's features are compared."""
        keys = [self._key(style, scale, plan) for style in self.pictures]
        known = [key for key in keys if key is not None]
        key = target_key(known, self.weights) if len(known) == len(keys) else None
        made = STYLE_CACHE.targets(key, lambda: self._blended_targets(keys, scale, plan))
        return moved(made, self.objective.device_of)

    def _blended_targets(
        self, keys: Sequence[str | None], scale: int, plan: MemoryPlan
    ) -> dict[str, StyleTarget]:
        parts = [
            STYLE_CACHE.moments(key, partial(self._moments, style, scale, plan))
            for key, style in zip(keys, self.pictures, strict=True)
        ]
        blended = {layer: blend([part[layer] for part in parts], self.weights) for layer in parts[0]}
        return self.objective.style_targets(moved(blended, self.objective.device_of))

    def _moments(self, style: Picture, scale: int, plan: MemoryPlan) -> dict[str, Moments]:
        return self.objective.style_moments(self._tensor(style, scale, torch.device(plan.home)))

    def _key(self, style: Picture, scale: int, plan: MemoryPlan) -> str | None:
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

    def _tensor(self, style: Picture, scale: int, device: torch.device) -> Tensor:
        return to_tensor(resize(style, self._size(style, scale)), self.image_dtype).to(device)

    def _size(self, style: Picture, scale: int) -> Size:
        """Longest edge `style_size`, or the scale times `style_scale_fac`; never enlarged."""
        return size_to_fit(style.size, self.settings.style_limit(scale), enlarge=False)
