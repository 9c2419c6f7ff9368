"""Pictures to file bytes: PNG, JPEG, WebP and TIFF, from a tensor.

Every function may be called from several threads at once. PyTorch is imported for its types only: planning should
be quick to start.
"""

from __future__ import annotations

import io
import logging
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from PIL import Image, PngImagePlugin
from PIL.ExifTags import Base as Tag

from styletransfer.errors import ImageError
from styletransfer.pictures import icc_conversion
from styletransfer.pictures.embedded_recipe import MOST_BYTES, PNG_KEYWORD, xmp_packet
from styletransfer.pictures.formats import Format, check_format_alpha, check_format_size
from styletransfer.pictures.headers import damage_as_image_error
from styletransfer.pictures.icc_profile import SRGB_PROFILE
from styletransfer.pictures.picture import Dpi, Picture, Pixels, of_depth

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)

_QUALITY: Final = 95                        # of JPEG and WebP, as in the original program
_DEFAULT_TIFF_DPI: Final = (72.0, 72.0)     # TIFF must state a resolution; this is what viewers assume
_CLASSIC_TIFF_BYTES: Final = 4_000_000_000  # a little under the 4 GiB that its offsets reach


def encode(
    image: torch.Tensor,
    file_format: Format,
    dpi: Dpi | None = None,
    alpha: Pixels | None = None,
    recipe: str | None = None,
) -> bytes:
    """A picture file from a float tensor (1, 3, H, W) or (3, H, W) in [0, 1], with the sRGB profile embedded.

    PNG 8 bits; JPEG quality 95 without chroma subsampling; WebP quality 95; TIFF 16 bits, straight from the
    floats. `alpha` (H, W), uint8 or uint16, is its opacity. `recipe`, ASCII, is put in as XMP (and PNG text); one
    that is longer than XMP may be is left out. The same picture gives the same bytes. Raises ImageError when the
    format can't hold the size, or an alpha.
    """
    if image.ndim >= 2:                     # else `from_tensor` has something to say
        check_format_size(file_format, (image.shape[-1], image.shape[-2]))
    picture = from_tensor(image, bits=16 if file_format == "tiff" else 8, dpi=dpi)
    pixels = picture.pixels
    if alpha is not None:
        check_format_alpha(file_format)
        pixels = np.dstack([pixels, of_depth(alpha, pixels.dtype)])
    recipe = _fitting(recipe)
    if file_format == "tiff":
        return _tiff(pixels, dpi, recipe)
    options = _save_options(file_format, dpi) | _recipe_options(file_format, recipe)
    file = io.BytesIO()
    try:
        Image.fromarray(pixels).save(file, file_format, **options)
    except (OSError, ValueError) as error:
        width, height = picture.size
        raise ImageError(f"{width}x{height} px picture can't be written as {file_format}: {error}") from error
    return file.getvalue()


def _fitting(recipe: str | None) -> str | None:
    """The recipe, unless no JPEG could hold it."""
    size = len(xmp_packet(recipe)) if recipe is not None else 0
    if size <= MOST_BYTES:
        return recipe
    log.warning("the picture is without its recipe, whose XMP has %s bytes; at most %s fit", size, MOST_BYTES)
    return None


def _save_options(file_format: Format, dpi: Dpi | None) -> dict[str, Any]:
    """Pillow's options for writing PNG, JPEG or WebP."""
    options: dict[str, Any] = {"icc_profile": SRGB_PROFILE}
    if file_format != "png":
        options["quality"] = _QUALITY
    if file_format == "jpeg":
        options["subsampling"] = "4:4:4"
    if dpi is None:
        return options
    if file_format == "webp":               # has no field for it but EXIF's
        options["exif"] = _resolution_exif(dpi)
    else:
        options["dpi"] = dpi if file_format == "png" else tuple(min(round(value), 65535) for value in dpi)
    return options


def _recipe_options(file_format: Format, recipe: str | None) -> dict[str, Any]:
    if recipe is None:
        return {}
    xmp = xmp_packet(recipe)
    if file_format != "png":
        return {"xmp": xmp}
    texts = PngImagePlugin.PngInfo()
    texts.add_itxt("XML:com.adobe.xmp", xmp.decode())
    texts.add_text(PNG_KEYWORD, recipe)
    return {"pnginfo": texts}


def _resolution_exif(dpi: Dpi) -> bytes:
    exif = Image.Exif()
    exif[Tag.XResolution], exif[Tag.YResolution] = dpi
    exif[Tag.ResolutionUnit] = 2            # per inch
    return exif.tobytes()


def _tiff(pixels: Pixels, dpi: Dpi | None, recipe: str | None) -> bytes:
    """A 16-bit TIFF of RGB or RGBA (H, W, channels): deflate, BigTIFF where the classic kind is too small."""
    import pyvips

    across, down = dpi or _DEFAULT_TIFF_DPI
    image = icc_conversion.vips_picture(pixels).copy(
        interpretation="rgb16", xres=across / 25.4, yres=down / 25.4  # dots per mm
    )
    image = icc_conversion.embed_profile(image, SRGB_PROFILE)
    if recipe is not None:
        image.set_type(pyvips.GValue.blob_type, "xmp-data", xmp_packet(recipe))
    with damage_as_image_error("TIFF"):
        return bytes(
            image.tiffsave_buffer(
                compression="deflate",
                predictor="horizontal",
                resunit="inch",
                keep="icc|xmp",
                bigtiff=pixels.nbytes > _CLASSIC_TIFF_BYTES,
            )
        )


def from_tensor(image: torch.Tensor, *, bits: Literal[8, 16] = 8, dpi: Dpi | None = None) -> Picture:
    """The picture in a float tensor (1, 3, H, W) or (3, H, W) in [0, 1]: clamped, rounded to nearest.

    Any device. Raises ImageError when a value is not a number or infinite.
    """
    shape = tuple(image.shape)
    if shape[-3:-2] != (3,) or shape[:-3] not in {(), (1,)}:
        raise ImageError(f"tensor is {shape}; must be (1, 3, H, W) or (3, H, W)")
    planes = image.detach().reshape(shape[-3:])
    height, width = shape[-2:]
    dtype, top = (np.uint8, 255) if bits == 8 else (np.uint16, 65535)
    pixels = np.empty((height, width, 3), dtype)
    for channel, plane in enumerate(planes):        # one at a time, to hold little more than the result
        values = plane.cpu().numpy() if plane.itemsize >= 4 else plane.float().cpu().numpy()
        if not np.isfinite(values).all():
            raise ImageError(f"{width}x{height} px picture has values that are not finite numbers")
        pixels[..., channel] = np.rint(values.clip(0, 1) * top)
    return Picture(pixels, dpi)
