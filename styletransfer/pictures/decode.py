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
from typing import TYPE_CHECKING, Final, Literal, TypeVar

import numpy as np
from PIL import Image

from styletransfer.errors import ImageError
from styletransfer.pictures import icc_conversion
from styletransfer.pictures.alpha import fill_hidden
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

_TRANSPARENT: Final = "is transparent in places; transparency is ignored; `alpha: keep` keeps it"
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


def decode(
    data: bytes, name: str, *, max_megapixels: float = MAX_MEGAPIXELS, alpha: Literal["ignore", "keep"] = "ignore"
) -> Picture:
    """The picture in a file's bytes: upright, in sRGB, 16 bits per channel if the file has them, else 8.

    An embedded ICC profile is honoured; without one the pixels count as sRGB. Further frames or pages,
    and a profile that does not fit are left out, each with a warning in the result; so is transparency, unless
    `alpha` is "keep": then the result has it, and colours that are hidden wholly are replaced by those around.

    Raises ImageError, starting with `name`, when the bytes are no picture, damaged or cut short, have more
    than `max_megapixels` million pixels, or have neither 8 nor 16 bits per channel.
    """
    header = read_header(data, name, max_megapixels=max_megapixels)
    warnings: list[str] = [_SEVERAL] if header.animated else []
    with damage_as_image_error(name):
        rows = _vips_rows(data, header, warnings) if header.needs_vips else _pillow_rows(header, warnings)
        pixels, opacity = _assemble(rows, header, keep_alpha=alpha == "keep")
    if opacity is not None and alpha == "ignore":
        warnings.append(_TRANSPARENT)
        opacity = None
    picture = Picture(pixels, header.upright_dpi, tuple(f"{name}: {warning}" for warning in warnings), opacity)
    return fill_hidden(picture)


_Strip = tuple[Pixels, Pixels | None]
"""Colours (n, W, 3 or 1) and, where there is one, alpha (n, W)."""


def _assemble(rows: Iterator[_Strip], header: Header, *, keep_alpha: bool) -> tuple[Pixels, Pixels | None]:
    """Upright pixels (H, W, 3) and, where it is not opaque throughout, alpha (H, W).

    From strips of the stored picture, top to bottom. An alpha that is not kept has no pixels.
    """
    width, height = header.size
    turned_back = _TURNED_BACK.get(header.orientation, header.orientation)
    pixels = stored = np.empty((0, 0, 3), np.uint8)
    alpha = None
    top = 0
    for strip, opacity in rows:
        if top == 0:
            pixels = np.empty((height, width, 3), strip.dtype)
            stored = upright(pixels, turned_back)
        if strip.shape[1] != stored.shape[1]:
            break
        part = slice(top, top + len(strip))
        stored[part] = strip
        if opacity is not None and (alpha is not None or opacity.min() < np.iinfo(opacity.dtype).max):
            if alpha is None:
                shape = (height, width) if keep_alpha else (0, 0)
                alpha = np.full(shape, np.iinfo(opacity.dtype).max, opacity.dtype)
            if keep_alpha:
                upright(alpha, turned_back)[part] = opacity
        top += len(strip)
    if top != stored.shape[0] or top == 0:
        raise ImageError(f"{header.name}: damaged, its pixels are not {width}x{height} as its header says")
    return pixels, alpha


def upright(pixels: Pixels, orientation: int) -> Pixels:
    """View of pixels (H, W, C) or alpha (H, W), turned and mirrored as an EXIF orientation (1 to 8) asks for."""
    turned = pixels.swapaxes(0, 1) if orientation >= 5 else pixels
    down = slice(None, None, -1 if orientation in {3, 4, 7, 8} else 1)
    across = slice(None, None, -1 if orientation in {2, 3, 6, 7} else 1)
    return turned[down, across]


# --- By Pillow


def _pillow_rows(header: Header, warnings: list[str]) -> Iterator[_Strip]:
    """Strips of a picture that Pillow decodes: uint8 sRGB, or uint16 gray."""
    image = header.image
    assert image is not None
    image.load()
    colour_key = image.info.pop("transparency", None)                 # or Pillow would act on it, or warn
    convert = _deep_gray if header.deep else _conversion(header.profile, image.mode, warnings)
    for rows in strips(image.size):
        strip = image.crop((0, rows.start, image.width, rows.stop))
        yield convert(strip), _alpha(strip, colour_key)


def _alpha(strip: Image.Image, colour_key: object) -> Pixels | None:
    """Alpha (n, W) of a strip: a channel of its own, or by colours that count as transparent."""
    if strip.mode in {"RGBA", "RGBa", "LA", "La", "PA"}:
        return np.asarray(strip.getchannel(strip.getbands()[-1]))
    if colour_key is None:
        return None
    keyed = strip.copy()
    keyed.info["transparency"] = colour_key
    return np.asarray(keyed.convert("RGBA").getchannel("A"))


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


def _vips_rows(data: bytes, header: Header, warnings: list[str]) -> Iterator[_Strip]:
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
    for strip in _regions(image if alpha is None else image.bandjoin(alpha)):
        yield (convert(strip), None) if alpha is None else (convert(strip[..., :-1]), strip[..., -1])


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
