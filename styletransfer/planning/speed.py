"""How fast a device is: as measured on this machine, once and in seconds, or as its data sheet has it.

An iteration takes a time that is the same at every size, for roots and launches, and one for each pixel. Two small
sizes tell both. What is measured is kept in the user's cache folder.
"""

from __future__ import annotations

import hashlib
import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, Final

from pydantic import TypeAdapter, ValidationError

from styletransfer.errors import DeviceError, NoSuchDeviceError
from styletransfer.machine.data_sheets import data_sheet
from styletransfer.machine.devices import Slot, describe, parse_devices, prove
from styletransfer.machine.hardware import CPU, HARDWARE, Hardware, usable_cores
from styletransfer.machine.locks import device_lock
from styletransfer.network.vgg_weights import Weights, expected_shapes
from styletransfer.records.fingerprint import canonical_json
from styletransfer.records.records import versions
from styletransfer.settings import Settings
from styletransfer.sizes import Size, size_to_fit
from styletransfer.storage.cache import CachedFiles, cache_folder, limit_bytes
from styletransfer.transfer.schedule import Work

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from styletransfer.transfer.stylizer import Progress

log = logging.getLogger(__name__)

OF_ONE: Final = ("content_layers", "style_layers", "optimizer", "precision", "tiles")
"""Settings that, beside pixels, decide how long an iteration takes on one device."""
KIND: Final = (*OF_ONE, "gpus", "split")
"""The same of several."""

CPU_PX: Final = (128, 256)
GPU_PX: Final = (512, 1024)
"""Longest edges that are measured: of a GPU large enough that it, and not Python, is what takes the time."""
LEAST: Final = 4
"""Iterations of a size that are measured at least; the first two warm up."""
BUDGET_S: Final = 1.5
"""For each size; what is measured at least may take longer."""
MOST: Final = 3
"""Kinds of renders that are measured for one estimate; those of a fourth are left to the next."""
ENOUGH_S: Final = 15.0
"""What they may take: after so long no further one is measured."""

MEASURING: Final = "measuring how fast this machine is, for this once"

REGION_PIXEL: Final = 0.35
"""Of the time for a pixel, what each further region adds: its moments, and the gradient at its features. Measured
with manifests/cup-and-table.yaml on a CPU."""

FLOP_PER_PX: Final = 1.515e6
BYTES_PER_PX: Final = 12.43e3
"""Of an iteration in bf16 with default settings, by count: see docs/performance/roofline.md."""
SLOWER: Final = 1.64
"""How many times as long as both ask for by the data sheet a pixel took on an H100."""
GPU_FIXED_S: Final = 2.94e-3
"""What an iteration took beside its pixels on an H100: short launches one after the other."""


@dataclass(frozen=True)
class Speed:
    """Seconds of an iteration, and for each pixel of it. To begin a scale takes as long as `begin` iterations."""

    fixed_s: float
    pixel_s: float
    begin: float = 0.0

    @classmethod
    def of(cls, seconds: Mapping[int, float], begin: float = 0.0) -> Speed:
        """From the seconds of an iteration at two sizes, by pixels. Other than by noise neither part is below 0."""
        (less_px, less), (more_px, more) = sorted(seconds.items())
        pixel_s = min(max((more - less) / (more_px - less_px), 0.0), more / more_px)
        return cls(max(0.0, more - pixel_s * more_px), pixel_s, begin)

    def times(self, slower: float) -> Speed:
        """Of what takes so many times as long."""
        return Speed(self.fixed_s * slower, self.pixel_s * slower, self.begin)

    def seconds(self, work: Work, regions: int = 1) -> float:
        """Over all scales, of a picture with so many regions: each has roots of its own, and moments."""
        fixed_s, pixel_s = regions * self.fixed_s, (1 + (regions - 1) * REGION_PIXEL) * self.pixel_s
        scales = zip(work.iterations, work.pixels, strict=True)
        return sum((count + self.begin) * (fixed_s + pixels * pixel_s) for count, pixels in scales)


@dataclass(frozen=True)
class Basis:
    """A speed, and where it is from: `measured on cpu (AMD EPYC, 2 cores)`."""

    speed: Speed
    source: str


SpeedOf = Callable[[Settings], Basis | None]

_SPEED: Final = TypeAdapter(Speed)


def no_speed(_: Settings) -> Basis | None:
    """Nothing is known but what records tell."""
    return None


def machine_speed(
    devices: Sequence[str], told: Callable[[], None] | None = None, hardware: Hardware = HARDWARE
) -> SpeedOf:
    """Of renders on these devices of this machine, as `parse_devices` takes them; they are taken to be alike.

    Without `told` only what has been measured before; else the rest is measured, and `told` called before that. Of
    renders that several devices share nothing is said, nor of devices that are not there.
    """
    found: dict[str, Basis | None] = {}
    left, began = 0 if told is None else MOST, time.monotonic()

    def look(device: str, settings: Settings) -> Basis | None:
        nonlocal left
        speed = known_speed(device, settings, hardware)
        if speed is None and left and told is not None and time.monotonic() - began < ENOUGH_S:
            left -= 1
            speed = measured_speed(device, settings, told, hardware)
        return Basis(speed, f"measured on {describe(device, hardware)}") if speed else None

    def of(settings: Settings) -> Basis | None:
        key = kind(settings.model_dump(mode="json"))
        if key not in found:
            used = _there(devices, hardware)
            found[key] = look(used[0], settings) if min(settings.gpus, len(used)) == 1 else None
        return found[key]

    return of


def kind(settings: Mapping[str, object]) -> str:
    """What of them, beside pixels, decides how long an iteration takes."""
    plain = Settings().model_dump(mode="json")
    return canonical_json({name: settings.get(name, plain[name]) for name in KIND})


def promised_speed(device: str, settings: Settings) -> Speed | None:
    """By the data sheet of a GPU so called; None of another, and of renders that a data sheet tells nothing of."""
    sheet, plain = data_sheet(device), Settings()
    names = ("content_layers", "style_layers", "optimizer", "gpus")
    alike = all(getattr(settings, name) == getattr(plain, name) for name in names)
    if sheet is None or not alike or settings.precision not in ("auto", "bfloat16"):
        return None
    return Speed(GPU_FIXED_S, SLOWER * (FLOP_PER_PX / sheet.bf16 + BYTES_PER_PX / sheet.bytes))


def _there(names: Sequence[str], hardware: Hardware) -> tuple[str, ...]:
    with suppress(NoSuchDeviceError):
        return parse_devices(names, hardware)
    return ()


def known_speed(device: str, settings: Settings, hardware: Hardware = HARDWARE) -> Speed | None:
    """That of a device of this machine (`cpu`, `cuda:0`), if it has been measured before. Loads torch."""
    contents = _kept().read(_name(device, settings, hardware))
    try:
        speed = _SPEED.validate_json(contents) if contents else None
    except ValidationError:
        return None
    return speed if speed and all(map(math.isfinite, asdict(speed).values())) else None


def measured_speed(
    device: str,
    settings: Settings,
    told: Callable[[], None] = lambda: None,
    hardware: Hardware = HARDWARE,
) -> Speed | None:
    """As `known_speed`; else by measuring now, after `told` was called.

    None of a device that another process has or that fails, for no estimate is worth an error; and where nothing
    may be cached: it would be measured every time.
    """
    found = known_speed(device, settings, hardware)
    if found is not None or not limit_bytes():
        return found
    try:
        with device_lock(Slot((device,)), hardware=hardware):
            prove(device, hardware)
            told()
            found = _measure(device, settings, hardware)
    except (DeviceError, RuntimeError, OSError) as error:
        log.info("the speed of %s can't be measured: %s", device, error)
        return None
    _kept().write(_name(device, settings, hardware), canonical_json(asdict(found)).encode())
    return found


def _kept() -> CachedFiles:
    return CachedFiles(cache_folder("speeds"), ".json", most_bytes=min(limit_bytes(), 10**6))


def _name(device: str, settings: Settings, hardware: Hardware) -> str:
    import torch

    model = describe(device, hardware).partition(" ")[2]  # without the index
    what = [model, versions(), torch.get_num_threads(), settings.model_dump(mode="json", include={*OF_ONE})]
    return hashlib.sha256(canonical_json(what).encode()).hexdigest()[:32]


def _measure(device: str, settings: Settings, hardware: Hardware) -> Speed:
    """By a render with filters of noise at each of two sizes."""
    found = [_iterations(device, settings, px, hardware) for px in (CPU_PX if device == CPU else GPU_PX)]
    seconds = {pixels: median(each[2:]) for pixels, each in found}
    _, last = found[-1]
    typical = median(last[2:])
    return Speed.of(seconds, max(0.0, last[0] / typical - 1) if typical else 0.0)


def _iterations(device: str, settings: Settings, px: int, hardware: Hardware) -> tuple[int, list[float]]:
    """Pixels of a picture of 4 : 3, and the seconds of each iteration of a render at that size."""
    from styletransfer.transfer.stylizer import Stylizer

    picture, now = _Noise(size_to_fit((4, 3), px, enlarge=True)), partial(_clock, device, hardware)
    over = time.monotonic() + BUDGET_S
    kept = {name: getattr(settings, name) for name in OF_ONE}
    stylizer = Stylizer(_weights(settings), Settings(**kept, end_scale=px, min_scale=px), devices=(device,))
    times = [now()]

    def watch(_: Progress) -> None:
        times.append(now())
        if len(times) > LEAST and time.monotonic() > over:
            raise _Enough

    with suppress(_Enough):
        stylizer.run(picture, [picture], [1.0], callback=watch)
    width, height = picture.size
    return width * height, [after - before for before, after in pairwise(times)]


class _Enough(Exception):  # noqa: N818  (no error)
    """It is measured."""


def _clock(device: str, hardware: Hardware) -> float:
    """Seconds. Those of the CPU are of its own work: what else the machine does at the moment is left out.

    Each of more threads than there are cores has a part of one; of a quota, as containers have, nothing is known.
    """
    if device == CPU:
        import torch

        return time.process_time() / min(torch.get_num_threads(), usable_cores())
    hardware.wait(device)
    return time.perf_counter()


def _weights(settings: Settings) -> Weights:
    """Filters of noise, which keep their input's spread."""
    import torch

    generator, tensors = torch.Generator().manual_seed(0), {}
    for name, shape in expected_shapes(settings.layers()[-1]).items():
        spread = math.sqrt(2 / math.prod(shape[1:])) if len(shape) > 1 else 0.0
        tensors[name] = spread * torch.randn(shape, generator=generator)
    return Weights("noise", "noise", tensors)


class _Noise:
    """A picture of noise at every size."""

    def __init__(self, size: Size) -> None:
        self.size = size
        self.digest = "noise"

    def at(self, size: Size, dtype: torch.dtype) -> Tensor:
        import torch

        generator = torch.Generator().manual_seed(0)
        return torch.rand(1, 3, size[1], size[0], generator=generator).to(dtype)

    def mean_and_variance(self) -> tuple[list[float], list[float]]:
        return [1 / 2] * 3, [1 / 12] * 3
