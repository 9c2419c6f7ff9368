"""Decoding: from a picture file's bytes to upright sRGB pixels.

Pillow decodes all formats but two. TIFF (a few rare kinds apart), and PNG of 16 bits, go to libvips: Pillow
reads their 16 bits per channel as 8. Colour is converted strip by strip, and each strip written where it
belongs in the upright result: besides the decoder's own copy, only the result is held.

Pillow's own limit on size does not count, except for WebP above 179 megapixels: Pillow opens none.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np
from PIL import Image

from styletransfer.errors import ImageError
from styletransfer.pictures import icc_conversion
from styletransfer.pictures.headers import TIFF_STARTS, Header, damage_as_image_error, read_header
from styletransfer.pictures.icc_profile import SRGB_PROFILE
from styletransfer.pictures.picture import Picture, Pixels, strips
from styletransfer.pictures.truncation import FORMATS_WITH_AN_END, JPEG_START, PNG_START
from styletransfer.sizes import Size

if TYPE_CHECKING:
    import pyvips

_Conversion = TypeVar("_Conversion")

MAX_MEGAPIXELS: Final = 512
"""Largest picture that is read, in million pixels, unless the caller says otherwise."""

_LOOKED_AT_FOR_NOTHING: Final = (PNG_START, JPEG_START, *TIFF_STARTS)
"""First bytes of formats whose headers take no memory for pixels. Opening a WebP takes two of its frames."""
_ONE_AT_A_TIME: Final = threading.Lock()

_TRANSPARENT: Final = "is transparent in places; transparency is ignored"
_SEVERAL: Final = "has more than one frame or page; the first is used"
_GUESSED_CMYK: Final = "is CMYK without a usable ICC profile; its colours are a guess"

_TURNED_BACK: Final = {6: 8, 8: 6}          # every other orientation undoes itself

_MODES: Final = {
    "b-w": "L",
    "grey16": "L",
    "rgb": "RGB",
    "srgb": "RGB",
    "rgb16": "RGB",
    "cmyk": "CMYK",
    "lab": "LAB",
    "labs": "LAB",
}
"""libvips' interpretation of the channels -> Pillow's mode for the same, without alpha."""


def inspect(data: bytes, name: str, *, max_megapixels: float = MAX_MEGAPIXELS) -> Size:
    """Width and height in px, upright (EXIF orientation applied).

    Raises ImageError as `decode` does, but does not notice all damage beyond the header: that the file goes on
    to its end. Of PNG, JPEG, WebP, AVIF and TIFF no pixel is decoded for that. All but PNG, JPEG and TIFF are
    looked at one at a time, by all threads together, so that many of them take no more memory than the largest.
    """
    with nullcontext() if data.startswith(_LOOKED_AT_FOR_NOTHING) else _ONE_AT_A_TIME:
        header = read_header(data, name, max_megapixels=max_megapixels)
        if header.image is not None and header.image.format not in FORMATS_WITH_AN_END:
            with damage_as_image_error(name):
                header.image.load()
        return header.size


def decode(data: bytes, name: str, *, max_megapixels: float = MAX_MEGAPIXELS) -> Picture:
    """The picture in a file's bytes: upright, in sRGB, 16 bits per channel if the file has them, else 8.

    An embedded ICC profile is honoured; without one the pixels count as sRGB. Transparency, further frames or
    pages, and a profile that does not fit are left out, each with a warning in the result.

    Raises ImageError, starting with `name`, when the bytes are no picture, damaged or cut short, have more
    than `max_megapixels` million pixels, or have neither 8 nor 16 bits per channel.
    """
    header = read_header(data, name, max_megapixels=max_megapixels)
    warnings: list[str] = [_SEVERAL] if header.animated else []
    with damage_as_image_error(name):
        rows = _vips_rows(data, header, warnings) if header.needs_vips else _pillow_rows(header, warnings)
        pixels = _assemble(rows, header)
    return Picture(pixels, header.upright_dpi, tuple(f"{name}: {warning}" for warning in warnings))


def _assemble(rows: Iterator[Pixels], header: Header) -> Pixels:
    """Upright pixels (H, W, 3) from strips of the stored picture, top to bottom, of 3 channels or 1."""
    width, height = header.size
    pixels = stored = np.empty((0, 0, 3), np.uint8)
    top = 0
    for strip in rows:
        if top == 0:
            pixels = np.empty((height, width, 3), strip.dtype)
            stored = upright(pixels, _TURNED_BACK.get(header.orientation, header.orientation))
        if strip.shape[1] != stored.shape[1]:
            break
        stored[top : top + len(strip)] = strip
        top += len(strip)
    if top != stored.shape[0] or top == 0:
        raise ImageError(f"{header.name}: damaged, its pixels are not {width}x{height} as its header says")
    return pixels


def upright(pixels: Pixels, orientation: int) -> Pixels:
    """View of pixels (H, W, C), turned and mirrored as an EXIF orientation (1 to 8) asks for."""
    turned = pixels.transpose(1, 0, 2) if orientation >= 5 else pixels
    down = slice(None, None, -1 if orientation in {3, 4, 7, 8} else 1)
    across = slice(None, None, -1 if orientation in {2, 3, 6, 7} else 1)
    return turned[down, across]


# --- By Pillow


def _pillow_rows(header: Header, warnings: list[str]) -> Iterator[Pixels]:
    """Strips of a picture that Pillow decodes: uint8 sRGB, or uint16 gray."""
    image = header.image
    assert image is not None
    image.load()
    transparent = image.info.pop("transparency", None) is not None    # or Pillow would act on it, or warn
    convert = _deep_gray if header.deep else _conversion(header.profile, image.mode, warnings)
    for rows in strips(image.size):
        strip = image.crop((0, rows.start, image.width, rows.stop))
        transparent = transparent or _is_transparent(strip)
        yield convert(strip)
    if transparent:
        warnings.append(_TRANSPARENT)


def _is_transparent(strip: Image.Image) -> bool:
    if strip.mode not in {"RGBA", "RGBa", "LA", "La", "PA"}:
        return False
    lowest = strip.getchannel(strip.getbands()[-1]).getextrema()[0]
    return isinstance(lowest, int | float) and lowest < 255


def _deep_gray(strip: Image.Image) -> Pixels:
    """16-bit gray of Pillow's lesser formats (PGM, JPEG 2000), which hardly ever carry a profile."""
    return np.asarray(strip).astype(np.uint16)[..., None]


def _conversion(profile: bytes | None, mode: str, warnings: list[str]) -> Callable[[Image.Image], Pixels]:
    """How 8-bit strips of Pillow's `mode` become sRGB pixels."""
    convert = _by_profile(icc_conversion.to_srgb, profile, mode, warnings)
    if convert is None and mode == "LAB":
        convert = icc_conversion.lab_to_srgb()
    if convert is None and mode == "CMYK":
        warnings.append(_GUESSED_CMYK)
    if convert is None:
        return lambda strip: np.asarray(strip.convert("RGB"))
    managed = convert
    return lambda strip: np.asarray(managed(strip))


def _by_profile(
    conversion: Callable[[bytes, str], _Conversion], profile: bytes | None, mode: str, warnings: list[str]
) -> _Conversion | None:
    """Conversion by the embedded profile; None if there is none, it is sRGB, or (a warning) does not fit."""
    if profile is None or profile == SRGB_PROFILE:
        return None
    try:
        return conversion(profile, mode)
    except ImageError as error:
        warnings.append(f"its colour profile is {error}; it is ignored")
        return None


# --- By libvips


def _vips_rows(data: bytes, header: Header, warnings: list[str]) -> Iterator[Pixels]:
    """Strips of a TIFF or PNG that libvips decodes: uint8 or uint16 sRGB, or uint16 gray."""
    image = _vips_open(data, header)
    mode = _MODES.get(image.interpretation)
    channels = 0 if mode is None else Image.getmodebands(mode)
    if mode is None or image.bands < channels:
        raise ImageError(
            f"{header.name}: has {image.bands} channels of no known kind; gray, RGB, CMYK or Lab can be read"
        )
    alpha = image.extract_band(channels) if image.bands > channels else None
    image = image.extract_band(0, n=channels)
    if mode == "LAB":
        image = icc_conversion.deep_lab_to_srgb(image)
    profile, mode = (None, "RGB") if mode == "LAB" else (header.profile, mode)
    convert = _array_conversion(image.format, profile, mode, warnings)
    transparent = False
    for strip in _regions(image if alpha is None else image.bandjoin(alpha)):
        if alpha is not None:
            transparent = transparent or bool(strip[..., -1].min() < np.iinfo(strip.dtype).max)
        yield convert(strip if alpha is None else strip[..., :-1])
    if transparent:
        warnings.append(_TRANSPARENT)


def _vips_open(data: bytes, header: Header) -> pyvips.Image:
    import pyvips

    load = pyvips.Image.pngload_source if header.image is not None else pyvips.Image.tiffload_source
    # A source reads the bytes where they are; a buffer would be copied first.
    return load(pyvips.Source.new_from_memory(data), access="sequential", fail_on="error")


def _regions(image: pyvips.Image) -> Iterator[Pixels]:
    """Pixels (n, W, bands) of a libvips picture, from top to bottom, each decoded once."""
    import pyvips

    dtype = {"uchar": np.uint8, "ushort": np.uint16}[image.format]
    region = pyvips.Region.new(image)
    for rows in strips((image.width, image.height)):
        fetched = region.fetch(0, rows.start, image.width, rows.stop - rows.start)
        yield np.frombuffer(fetched, dtype).reshape(-1, image.width, image.bands)


def _array_conversion(
    vips_format: str, profile: bytes | None, mode: str, warnings: list[str]
) -> Callable[[Pixels], Pixels]:
    """How strips (n, W, channels) of libvips' format `uchar` or `ushort` become sRGB, or gray of 16 bits."""
    if vips_format == "uchar":
        convert = _conversion(profile, mode, warnings)
        return lambda strip: convert(_as_image(strip, mode))
    deep = _by_profile(icc_conversion.deep_to_srgb, profile, mode, warnings)
    if deep is None and mode == "CMYK":
        warnings.append(_GUESSED_CMYK)
        return _naive_rgb
    return deep or (lambda strip: strip)


def _as_image(strip: Pixels, mode: str) -> Image.Image:
    return Image.frombytes(mode, (strip.shape[1], strip.shape[0]), strip.tobytes())


def _naive_rgb(cmyk: Pixels) -> Pixels:
    """16-bit RGB as Pillow makes it of 8-bit CMYK without a profile: (1 - ink) (1 - black)."""
    light = 1 - cmyk / np.float32(65535)
    return np.rint(light[..., :3] * light[..., 3:] * 65535).astype(np.uint16)
