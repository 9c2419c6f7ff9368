"""What can't be rendered: a result that its format can't hold, an input too small for the network."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from styletransfer.errors import Fault, ImageError
from styletransfer.manifest.pairs import Pair
from styletransfer.pictures.decode import MAX_MEGAPIXELS
from styletransfer.pictures.formats import check_format_alpha, check_format_size
from styletransfer.planning.inputs import FoundInput, InputUse, input_uses
from styletransfer.settings import LARGEST_SCALE_PX, Settings
from styletransfer.sizes import Size, size_to_fit
from styletransfer.vgg_layers import smallest_input


def size_faults(pair: Pair, size: Size, coarsest: int, found_inputs: Mapping[str, FoundInput]) -> Iterator[Fault]:
    """What is wrong with the sizes that a pair comes to.

    `size` of the result and `coarsest` scale in px; `found_inputs` are by location.
    """
    yield from _result_faults(pair, size)
    for use in input_uses(pair):
        found = found_inputs[use.url].size
        if use.role == "content" and found is not None:
            scaled = size_to_fit(found, coarsest, enlarge=True)
            yield from _network_faults(pair.settings, use, found, scaled, coarsest)
        elif use.role == "style" and found is not None:
            scaled = size_to_fit(found, pair.settings.style_limit(coarsest), enlarge=False)
            yield from _network_faults(pair.settings, use, found, scaled, coarsest)


def _result_faults(pair: Pair, size: Size) -> Iterator[Fault]:
    if pair.settings.alpha == "keep":
        yield from _alpha_faults(pair)
    place, (width, height) = f"{pair.place}.settings.end_scale", size
    if width * height > MAX_MEGAPIXELS * 1e6:
        message = f"makes a picture of {width}x{height} px; at most {MAX_MEGAPIXELS} megapixels are rendered"
        yield Fault(place, message, pair.line)
    try:
        check_format_size(pair.format, size)
    except ImageError as error:
        yield Fault(place, f"makes a picture that can't be written: {error}", pair.line)


def _alpha_faults(pair: Pair) -> Iterator[Fault]:
    try:
        check_format_alpha(pair.format)
    except ImageError as error:
        yield Fault(f"{pair.place}.settings.alpha", f"is 'keep', but {error}", pair.line)


def _network_faults(settings: Settings, use: InputUse, size: Size, scaled: Size, scale: int) -> Iterator[Fault]:
    """A fault if the network can't take the input as scaled at the coarsest scale."""
    needed = smallest_input(settings.layers())
    if min(scaled) >= needed:
        return
    yield use.fault(
        f"has {size[0]}x{size[1]} px, which at scale {scale} become {scaled[0]}x{scaled[1]}; the network "
        f"needs at least {needed}x{needed} for layers up to {settings.layers()[-1]}; "
        f"{_advice(settings, use, size, needed)}",
    )


def _advice(settings: Settings, use: InputUse, size: Size, needed: int) -> str:
    """How to get an input past the network's smallest size."""
    if use.role == "style" and min(size) < needed:
        return "use a larger picture"
    longest = math.ceil(needed * max(size) / min(size))
    if use.role == "style" and settings.style_size is not None:
        return f"set style_size to {longest} or more"
    if use.role == "style" and longest / settings.style_scale_fac > LARGEST_SCALE_PX:
        return "raise style_scale_fac"
    if use.role == "style":
        longest = math.ceil(longest / settings.style_scale_fac)
    small = isinstance(settings.end_scale, int) and settings.end_scale < longest
    return f"set {'end_scale and min_scale' if small else 'min_scale'} to {longest} or more"
