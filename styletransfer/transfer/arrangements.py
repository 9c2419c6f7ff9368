"""How the devices of a render may share it: strips of the picture, or layers of the network.

Two that share layers give room, not speed: one waits while the other works. Strips give both, where a picture is
large enough to keep several devices busy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from styletransfer.network.strips import strips
from styletransfer.settings import MOST_FOR_LAYERS, Settings
from styletransfer.sizes import Size
from styletransfer.vgg_layers import LAYERS, last_layer

SHARED_PX = 2**19
"""N devices share pictures of at least N x N times so many px: with each more what one of them does gets shorter,
but Python's launches, one device's after the other's, take longer. By simulation (tests.bench.several)."""


@dataclass(frozen=True)
class Arrangement:
    """Devices that share a picture, each a strip, or else the network, the first and the last its layers."""

    devices: tuple[str, ...]
    in_strips: bool = False

    def parts(self, size: Size, settings: Settings) -> list[tuple[str, int]]:
        """Each device that reads a part of a picture (width, height in px), with that part's rows."""
        width, height = size
        if not self.in_strips:
            return [(device, height) for device in self.devices]
        cut = strips(height, width, len(self.devices), LAYERS[last_layer(settings.layers())])
        rows = [strip.rows.end - strip.rows.first for strip in cut]
        return list(zip(self.devices, rows, strict=False))


def arrangements(size: Size, settings: Settings, devices: tuple[str, ...]) -> list[Arrangement]:
    """Fastest first. A device that is named twice was meant to be used as two."""
    alone = [Arrangement((device,)) for device in dict.fromkeys(devices)]
    if len(devices) == 1:
        return alone
    in_strips = settings.split == "picture"
    shared = Arrangement(devices if in_strips else devices[:MOST_FOR_LAYERS], in_strips)
    if len(alone) == 1:
        return [shared]
    busy = min(len(devices), useful_devices(size))
    if not in_strips or busy < 2:
        return [*alone, shared]
    return [*dict.fromkeys((Arrangement(devices[:busy], in_strips), shared)), *alone]


def useful_devices(size: Size) -> int:
    """How many GPUs a picture (width, height in px) keeps busy enough to be rendered faster, 1 or more."""
    return max(1, math.isqrt(size[0] * size[1] // SHARED_PX))
