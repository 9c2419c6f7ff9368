"""How much memory a render needs, by arithmetic, and how it is made to fit: whole, or in tiles.

What grows with the picture: the features kept for the way back, so many values per px at each layer; and what is
as large as the image itself (image, Adam's moments, average, gradient, total variation's differences). Tiled
blocks keep nothing but the last one's output; their own features grow with the tile alone. Checked against
measurement by `tests/bench/memory.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from styletransfer.errors import OutOfMemoryError
from styletransfer.layers import CHANNELS_PER_BLOCK, CONVOLUTIONS, LAYERS, POOLING_INDICES, last_layer
from styletransfer.scales import Size, size_to_fit
from styletransfer.settings import Settings
from styletransfer.tiles import ALL_BLOCKS, Tiling, halo_px, stride

IMAGE_BYTES = 110
"""Per px, besides features: measured 99 to 127 on a CPU."""
TILED_IMAGE_BYTES = 170
"""Per px with tiles: the network's input and the gradient there are whole pictures too."""
FIXED_BYTES = 900 * 2**20
"""The network in both directions, the style targets, libraries."""
LARGEST_TENSOR = 2**31
"""Values that cuDNN can index; beyond, PyTorch falls back to slow kernels."""
TILE_EDGES = (1024, 512, 256)
"""Larger tiles waste less on halos."""


@dataclass(frozen=True)
class MemoryPlan:
    """How a scale is rendered, and the bytes that it should need."""

    tiling: Tiling | None
    bytes: int


def plan_memory(size: Size, settings: Settings, element_size: int, budget: int | None) -> MemoryPlan:
    """The fastest plan that fits `budget` bytes (None: there is no telling) at `size` (width, height in px).

    `element_size` is the network's, in bytes. Raises OutOfMemoryError, with the largest scale that fits, if none
    does.
    """
    plans = list(memory_plans(size, settings, element_size))
    if budget is None:
        return plans[0]
    for plan in plans:
        if plan.bytes <= budget:
            return plan
    raise OutOfMemoryError(_too_large(size, settings, element_size, budget, plans))


def memory_plans(size: Size, settings: Settings, element_size: int) -> Iterator[MemoryPlan]:
    """The plans that the setting `tiles` allows, fastest first."""
    tilings: list[Tiling | None]
    if settings.tiles == "off":
        tilings = [None]
    elif settings.tiles == "auto":
        tilings = [Tiling(edge, blocks) for blocks in (2, 3, ALL_BLOCKS) for edge in TILE_EDGES]
        if CHANNELS_PER_BLOCK[0] * size[0] * size[1] < LARGEST_TENSOR:
            tilings.insert(0, None)
    else:
        tilings = [Tiling(settings.tiles, blocks) for blocks in (2, 3, ALL_BLOCKS)]
    for tiling in tilings:
        yield MemoryPlan(tiling, memory_bytes(size, settings.layers(), element_size, tiling))


def memory_bytes(size: Size, layers: Sequence[str], element_size: int, tiling: Tiling | None) -> int:
    """Peak memory in bytes of a render at `size` (width, height in px), whole or by tiles."""
    width, height = size
    last = LAYERS[last_layer(layers)]
    if tiling is None:
        return FIXED_BYTES + int(width * height * (IMAGE_BYTES + element_size * _values(0, last)))
    deepest = tiling.last(last)
    halo, kept = halo_px(deepest), _values(deepest, last)
    if deepest == last:  # content features are put together from tiles: those of the target and of the image
        kept = 2 * _values(last, last) + 16
    tile_px = min(width, tiling.edge + 2 * halo) * min(height, tiling.edge + 2 * halo)
    per_tile = 1.5 * element_size * _values(0, deepest)  # features, and the gradient on its way back
    return FIXED_BYTES + int(width * height * (TILED_IMAGE_BYTES + element_size * kept) + tile_px * per_tile)


def _values(first: int, last: int) -> float:
    """Values per px of the picture in the outputs from layer `first` to `last` of ReLUs and poolings."""
    return sum(
        _channels(index) / stride(index) ** 2
        for index in range(first, last + 1)
        if index in POOLING_INDICES or index - 1 in CONVOLUTIONS
    )


def _channels(index: int) -> int:
    return CHANNELS_PER_BLOCK[sum(pooling < index for pooling in POOLING_INDICES)]


def _too_large(
    size: Size, settings: Settings, element_size: int, budget: int, plans: Sequence[MemoryPlan]
) -> str:
    needed = min(plan.bytes for plan in plans)
    fits = _largest_scale(size, settings, element_size, budget)
    hint = f"; the largest scale that fits is {fits} px" if fits else ""
    off = " (tiles are off)" if settings.tiles == "off" else ""
    return (
        f"{size[0]}x{size[1]} px need about {needed / 2**30:.1f} GiB{off}, "
        f"there are {budget / 2**30:.1f} GiB{hint}"
    )


def _largest_scale(size: Size, settings: Settings, element_size: int, budget: int) -> int:
    """Longest edge in px of the largest picture with this aspect that fits, or 0; by bisection."""
    fits, too_large = 0, max(size)
    while too_large - fits > 1:
        middle = (fits + too_large) // 2
        smaller = size_to_fit(size, middle, enlarge=False)
        if any(plan.bytes <= budget for plan in memory_plans(smaller, settings, element_size)):
            fits = middle
        else:
            too_large = middle
    return fits
