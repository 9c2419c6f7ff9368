"""What all benchmarks measure: one pair of pictures, one network, the objective in each variant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from styletransfer import decode, load_weights
from styletransfer.network.tiles import Tiling
from styletransfer.objective.objective import Objective, Targets
from styletransfer.pictures.picture import Picture, resize, to_tensor
from styletransfer.settings import Settings
from styletransfer.sizes import size_to_fit
from tests.checkout import ROOT
from tests.reference.objective import ReferenceObjective

IMAGES = ROOT / "manifests" / "images"
PAIRS = {
    "coffee-wave": ("photographs/coffee.jpg", "styles/wave.jpg"),
    "cat-glass": ("photographs/cat.jpg", "styles/glass.jpg"),
    "astronaut-night": ("photographs/astronaut.jpg", "styles/night.jpg"),
    "rocket-garden": ("photographs/rocket.jpg", "styles/garden.jpg"),
    "cat-night": ("photographs/cat.jpg", "styles/night.jpg"),
}
CONTENT, STYLE = PAIRS["coffee-wave"]


@dataclass(frozen=True)
class Variant:
    """How the objective is computed."""

    dtype: torch.dtype = torch.float32
    tiling: Tiling | None = None
    reference: bool = False

    def objective(self, tensors: Mapping[str, Tensor]) -> Objective | ReferenceObjective:
        if self.reference:
            return ReferenceObjective(tensors, Settings(), dtype=self.dtype)
        return Objective(tensors, Settings(), dtype=self.dtype, tiling=self.tiling)


VARIANTS = {
    "reference": Variant(reference=True),
    "float32": Variant(),
    "bf16": Variant(torch.bfloat16),
    "bf16, blocks 1-2 in tiles of 256": Variant(torch.bfloat16, Tiling(256, 2)),
    "bf16, blocks 1-3 in tiles of 256": Variant(torch.bfloat16, Tiling(256, 3)),
    "bf16, all blocks in tiles of 256": Variant(torch.bfloat16, Tiling(256, 5)),
}


def network(source: str) -> Mapping[str, Tensor]:
    """Filters from `random` or a file, in float32."""
    return {name: tensor.float() for name, tensor in load_weights(source).tensors.items()}


def source(name: str) -> Picture:
    """A picture of manifests/images as a render gets it."""
    return decode((IMAGES / name).read_bytes(), name)


def picture(name: str, px: int, *, enlarge: bool) -> Tensor:
    """A picture of manifests/images (1, 3, H, W) with its longest edge at `px`."""
    found = source(name)
    return to_tensor(resize(found, size_to_fit(found.size, px, enlarge=enlarge)), torch.float32)


def set_up(
    variant: Variant, tensors: Mapping[str, Tensor], px: int
) -> tuple[Objective | ReferenceObjective, Targets, Tensor]:
    """Objective, targets and image at one scale, as a render has them at its first iteration there."""
    objective = variant.objective(tensors)
    image = picture(CONTENT, px, enlarge=True)
    moments = objective.style_moments(picture(STYLE, px, enlarge=False))
    return objective, objective.targets(image, moments), image
