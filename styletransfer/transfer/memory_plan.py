"""How much memory a render needs on each device, by arithmetic, and how it is made to fit: whole, over several
devices, in tiles, with the picture in host memory.

What grows with the picture: copies of the picture itself (image, the optimizer's state, average, gradient), the
targets of content, and the features that are kept for the way back, so many values per px at each layer. Tiled
blocks keep nothing but what they hand over to the rest; their own features grow with the tile alone. Checked
against measurement by `tests/bench/memory.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from styletransfer.errors import OutOfMemoryError
from styletransfer.network.tiles import ALL_BLOCKS, Tiling, halo_px, stride
from styletransfer.settings import Optimizer, Settings
from styletransfer.sizes import Size, size_to_fit
from styletransfer.transfer.arrangements import Arrangement, arrangements
from styletransfer.vgg_layers import CHANNELS_PER_BLOCK, CONVOLUTIONS, LAYERS, POOLING_INDICES, last_layer

HOST = "cpu"
ELSEWHERE = "elsewhere"
"""No device: what is there is counted by itself."""
FIXED_BYTES = 900 * 2**20
"""The network in both directions, style targets, libraries. On each device."""
WINOGRAD_BYTES = 250 * 2**20
"""What float32 needs beside that on a CPU: weights of twice the size, four times where transformed by Winograd."""
PICTURES: Mapping[Optimizer, int] = {"adam": 5, "lbfgs": 28}
"""Copies of the picture: image, average, gradient; Adam's two moments, or L-BFGS's history of ten pairs, last
gradient, direction and flat views."""
TILE_FACTOR = 1.5
"""A tile's features are kept once; half as much again are gradients, and gaps between buffers of many sizes."""
LARGEST_TENSOR = 2**31
"""Values that cuDNN can index; beyond, PyTorch falls back to slow kernels."""
TILE_EDGES = (1024, 512, 256)
"""Larger tiles waste less on halos."""
MOST_REPLAYED = 2**20
"""Px up to which an iteration is replayed: above, a GPU takes longer for it than Python for its launches."""
STRIP_PICTURES = 2
"""Copies of what it reads of the picture that a device which shares one holds: that, and the gradient there."""
REPLAY_PICTURES = 8
"""Copies of the picture that are held while a replay is proved: image, average and moments before and after. What a
graph's own memory holds, the iteration itself held before."""
REGION_BYTES = 80 * 2**20
"""Each further region's targets and, on a GPU, what its roots are made with: its share of the batch."""
REGION_PICTURE = 4 / 3
"""Values per px of a region's masks, of all layers together at most."""
KEEP_PICTURES = 3
"""Copies of the picture where something is kept: the content, the picture with it, their mask and a product."""


@dataclass(frozen=True)
class Budget:
    """The devices of a render, and the bytes that it may take on each and in host memory (`cpu`).

    `replays`: whether iterations may be replayed where that pays. `regions`: how many parts of the picture have
    styles of their own; `keeps`: whether something of the content is kept.
    """

    devices: tuple[str, ...]
    bytes: Mapping[str, int]
    replays: bool = False
    regions: int = 0
    keeps: bool = False


@dataclass(frozen=True)
class MemoryPlan:
    """How a scale is rendered, and the bytes that it should need on each device.

    The network runs on `devices`: on each of them over a strip of the picture (`in_strips`), or layers up to
    `last_on_first` on the first of two. The picture, the optimizer's state and the average live on `home`, or each
    device has its strip of them (`picture_in_strips`) but where a scale begins. Its iterations are recorded and
    `replayed`, or each launched anew.
    """

    tiling: Tiling | None
    devices: tuple[str, ...]
    last_on_first: int
    home: str
    bytes: Mapping[str, int] = field(compare=False)
    replayed: bool = False
    in_strips: bool = False
    picture_in_strips: bool = False

    def fill(self, budget: Budget) -> float:
        """Share of the fullest device's budget that is taken; beyond 1 it does not fit."""
        return max(needed / max(1, budget.bytes[device]) for device, needed in self.bytes.items())

    def __str__(self) -> str:
        where = " and ".join(self.devices)
        how = f"blocks 1-{self.tiling.blocks} in tiles of {self.tiling.edge} px" if self.tiling else "whole"
        host = "" if self.home == self.devices[0] else f", the picture in {self.home} memory"
        return f"{how}{', in strips' if self.in_strips else ''} on {where}{host}"

    def bits(self) -> str:
        """What of it decides the last bits of a picture."""
        return f"{self.tiling or 'untiled'}" + (f", {len(self.devices)} strips" if self.in_strips else "")


def plan_memory(size: Size, settings: Settings, element_size: int, budget: Budget) -> MemoryPlan:
    """The fastest plan that fits at `size` (width, height in px).

    `element_size` is the network's, in bytes. Raises OutOfMemoryError, with the largest scale that fits, if none
    does.
    """
    plans = list(memory_plans(size, settings, element_size, budget))
    for plan in plans:
        if plan.fill(budget) <= 1:
            return plan
    raise OutOfMemoryError(_too_large(size, settings, element_size, budget, plans))


def memory_plans(size: Size, settings: Settings, element_size: int, budget: Budget) -> Iterator[MemoryPlan]:
    """The plans that the setting `tiles` allows, fastest first: whole, then fewer blocks in larger tiles.

    The last resort is to leave the picture in host memory and send a device one tile at a time.
    """
    tilings = _tilings(settings)
    homes: list[str | None] = [None]
    if HOST not in budget.devices and settings.tiles != "off":
        homes.append(HOST)
    for home in homes:
        for tiling in tilings:
            for arrangement in arrangements(size, settings, budget.devices):
                if tiling is not None or (home is None and _can_be_whole(size, settings, arrangement)):
                    plan = _plan(size, settings, element_size, budget, tiling, arrangement, home)
                    if budget.replays and can_be_replayed(plan, size, settings, element_size):
                        yield _replayed(plan, size, element_size)
                    yield plan


def can_be_replayed(plan: MemoryPlan, size: Size, settings: Settings, element_size: int) -> bool:
    """Whether an iteration is work of one GPU alone, and short enough for its launches to count.

    In float64 it is not: the step size is a number of the host's then, which a graph would hold as it once was.
    """
    on_one_gpu = plan.tiling is None and plan.devices == (plan.home,) and plan.home != HOST
    repeats = settings.optimizer == "adam" and element_size < 8
    return on_one_gpu and repeats and size[0] * size[1] <= MOST_REPLAYED


def _replayed(plan: MemoryPlan, size: Size, element_size: int) -> MemoryPlan:
    copies = REPLAY_PICTURES * 3 * max(4, element_size) * size[0] * size[1]
    return replace(plan, replayed=True, bytes={**plan.bytes, plan.home: plan.bytes[plan.home] + copies})


def _tilings(settings: Settings) -> list[Tiling | None]:
    blocks = (2, 3, ALL_BLOCKS)
    if settings.tiles == "off":
        return [None]
    if settings.tiles != "auto":
        return [Tiling(settings.tiles, count) for count in blocks]
    return [None, *(Tiling(edge, count) for count in blocks for edge in TILE_EDGES)]


def _can_be_whole(size: Size, settings: Settings, arrangement: Arrangement) -> bool:
    """Whether features of the picture, or of its largest strip, have few enough values."""
    largest = max(rows for _, rows in arrangement.parts(size, settings))
    return settings.tiles == "off" or CHANNELS_PER_BLOCK[0] * size[0] * largest < LARGEST_TENSOR


def _plan(
    size: Size,
    settings: Settings,
    element_size: int,
    budget: Budget,
    tiling: Tiling | None,
    arrangement: Arrangement,
    home: str | None,
) -> MemoryPlan:
    """The plan that fills the devices most evenly: any may be the first, which begins with the picture."""
    last, devices = LAYERS[last_layer(settings.layers())], arrangement.devices
    orders = [(device, *devices[:place], *devices[place + 1 :]) for place, device in enumerate(devices)]
    if arrangement.in_strips:
        found = [
            (order, last, strip_bytes(size, settings, element_size, tiling, order, home)) for order in orders
        ]
    else:
        # A pooling's way back needs what it pooled: never on another device.
        splits = [index for index, _ in _outputs(0, last - 1) if index + 1 not in POOLING_INDICES]
        found = [
            (order, split, memory_bytes(size, settings, element_size, tiling, order, split, home))
            for order in orders
            for split in (splits if len(devices) > 1 else [last])
        ]
    parted = arrangement.in_strips and _parted(settings, home)
    plans = []
    for order, split, needed in found:
        of_all = _with_masks(needed, size, element_size, budget, order if parted else (home or order[0],))
        plans.append(
            MemoryPlan(
                tiling,
                order,
                split,
                home or order[0],
                of_all,
                in_strips=arrangement.in_strips,
                picture_in_strips=parted,
            )
        )
    return min(plans, key=lambda plan: plan.fill(budget))


def strip_bytes(
    size: Size,
    settings: Settings,
    element_size: int,
    tiling: Tiling | None,
    devices: tuple[str, ...],
    home: str | None = None,
) -> dict[str, int]:
    """`memory_bytes` where each device has a strip: as for a picture of that size, but for the picture itself."""
    picture = 3 * max(4, element_size)  # bytes per px
    first = home or devices[0]
    needed = dict.fromkeys((*devices, first), 0)
    whole, parted = PICTURES[settings.optimizer] * picture * size[0] * size[1], _parted(settings, home)
    copies = STRIP_PICTURES + (PICTURES[settings.optimizer] if parted else 0)
    for device, rows in Arrangement(devices, in_strips=True).parts(size, settings):
        own = memory_bytes((size[0], rows), settings, element_size, tiling, (device,), home=ELSEWHERE)
        needed[device] += own[device] + copies * picture * size[0] * rows
    needed[first] = max(needed[first], FIXED_BYTES + whole) if parted else needed[first] + whole
    return needed


def _parted(settings: Settings, home: str | None) -> bool:
    """Whether devices with a strip each keep their rows of the picture: L-BFGS asks for sums over all of them."""
    return settings.optimizer == "adam" and home is None


def memory_bytes(
    size: Size,
    settings: Settings,
    element_size: int,
    tiling: Tiling | None,
    devices: Sequence[str] = (HOST,),
    last_on_first: int = max(LAYERS.values()),
    home: str | None = None,
) -> dict[str, int]:
    """Peak memory in bytes on each device of a render at `size` (width, height in px)."""
    home = home or devices[0]
    px, last = size[0] * size[1], LAYERS[last_layer(settings.layers())]
    needed: dict[str, float] = dict.fromkeys((*devices, home), 0)
    for device in set(devices):
        needed[device] += FIXED_BYTES + (WINOGRAD_BYTES if device == HOST and element_size == 4 else 0)

    def device_of(index: int) -> str:
        return devices[0] if index <= last_on_first else devices[-1]

    picture = 3 * max(4, element_size)  # bytes per px
    needed[home] += px * picture * PICTURES[settings.optimizer]
    for layer in settings.content_layers:  # their targets
        keeper = home if home == HOST else device_of(LAYERS[layer])
        needed[keeper] += px * element_size * _values(LAYERS[layer])

    if tiling is None:
        first, tile_px = 0, 0
        needed[devices[0]] += px * picture  # the network's input
    else:
        first, tile_px = tiling.last(last) + 1, _tile_px(size, tiling, last)
        needed[devices[0]] += tile_px * (4 * CHANNELS_PER_BLOCK[0])  # the first convolution's, in float32
        if first <= last:  # what the tiles hand over
            needed[device_of(first - 1)] += px * element_size * _values(first - 1)
    for index, values in _outputs(0, last):
        if index < first:
            needed[device_of(index)] += tile_px * element_size * values * TILE_FACTOR
        else:
            needed[device_of(index)] += px * element_size * values
    return {device: int(amount) for device, amount in needed.items()}


def _with_masks(
    needed: Mapping[str, int], size: Size, element_size: int, budget: Budget, homes: Sequence[str]
) -> dict[str, int]:
    """With what regions need on each device, and what is kept of the content needs with the picture, in equal parts
    on each of `homes`.
    """
    picture = max(4, element_size) * size[0] * size[1]
    of_regions = budget.regions * REGION_PICTURE * picture + max(0, budget.regions - 1) * REGION_BYTES
    kept = KEEP_PICTURES * 3 * picture / len(homes) if budget.keeps else 0
    return {device: int(amount + of_regions + kept * homes.count(device)) for device, amount in needed.items()}


def _tile_px(size: Size, tiling: Tiling, last: int) -> int:
    """Px that the largest tile reads."""
    margin = 2 * halo_px(tiling.last(last))
    return min(size[0], tiling.edge + margin) * min(size[1], tiling.edge + margin)


def _outputs(first: int, last: int) -> Iterator[tuple[int, float]]:
    """Index and values per px of the outputs of ReLUs and poolings from layer `first` to `last`."""
    for index in range(first, last + 1):
        if index in POOLING_INDICES or index - 1 in CONVOLUTIONS:
            yield index, _values(index)


def _values(index: int) -> float:
    """Values per px of the picture in the output of layer `index`."""
    channels = CHANNELS_PER_BLOCK[sum(pooling < index for pooling in POOLING_INDICES)]
    return channels / stride(index) ** 2


def _too_large(
    size: Size, settings: Settings, element_size: int, budget: Budget, plans: Sequence[MemoryPlan]
) -> str:
    least = min(plans, key=lambda plan: plan.fill(budget))
    need = " and ".join(f"{needed / 2**30:.1f} GiB on {device}" for device, needed in least.bytes.items())
    have = " and ".join(f"{budget.bytes[device] / 2**30:.1f} GiB" for device in least.bytes)
    fits = _largest_scale(size, settings, element_size, budget)
    hint = f"; the largest scale that fits is {fits} px" if fits else ""
    off = " (tiles are off)" if settings.tiles == "off" else ""
    return f"{size[0]}x{size[1]} px need about {need}{off}, there are {have}{hint}"


def _largest_scale(size: Size, settings: Settings, element_size: int, budget: Budget) -> int:
    """Longest edge in px of the largest picture with this aspect that fits, or 0; by bisection."""
    fits, too_large = 0, max(size)
    while too_large - fits > 1:
        middle = (fits + too_large) // 2
        smaller = size_to_fit(size, middle, enlarge=False)
        if any(plan.fill(budget) <= 1 for plan in memory_plans(smaller, settings, element_size, budget)):
            fits = middle
        else:
            too_large = middle
    return fits
