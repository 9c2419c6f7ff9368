"""Files of pictures in many formats, depths and states, for tests that read them."""

import io
import struct
import zlib

import numpy as np
import pyvips
import torch
from PIL import Image

from styletransfer.pictures import icc_conversion

P3 = pyvips.Operation.call("profile_load", "p3")
CMYK = pyvips.Operation.call("profile_load", "cmyk")

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (23, 34, 3), np.uint8)
DEEP = RNG.integers(0, 65536, (23, 34, 3), np.uint16)


def smooth_tensor(height=48, width=64):
    """A picture without fine detail, which JPEG and WebP keep well."""
    y, x = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    return torch.stack([x, y, (x + y) / 2])[None]


def opened(data):
    """Pillow's picture of a file, decoded."""
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def pillow_file(image, kind="PNG", **options):
    """A file with this Pillow picture, or with these pixels."""
    file = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(file, kind, **options)
    return file.getvalue()


def vips_file(pixels, kind, *, interpretation=None, profile=None, orientation=None, **options):
    """A PNG or TIFF with these pixels at their own depth."""
    image = pyvips.Image.new_from_array(pixels)
    if interpretation is not None:
        image = image.copy(interpretation=interpretation)
    if profile is not None:
        image = icc_conversion.embed_profile(image, profile)
    if orientation is not None:
        image.set_type(pyvips.GValue.gint_type, "orientation", orientation)
    return bytes(getattr(image, f"{kind}save_buffer")(**options))


def orientation_exif(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif.tobytes()


def with_png_chunk(data, kind, content):
    """A PNG file with one more chunk after its header."""
    chunk = struct.pack(">I", len(content)) + kind + content
    return data[:33] + chunk + struct.pack(">I", zlib.crc32(kind + content)) + data[33:]


PIXELLESS = b"".join(
    b"\0\0\0\0" + kind + struct.pack(">I", zlib.crc32(kind)) for kind in (b"IDAT", b"IEND")
)


def png_of_size(width, height):
    """A PNG that says it is this large, and has no pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n\0\0\0\r" + header + struct.pack(">I", zlib.crc32(header)) + PIXELLESS


WHOLE = {
    "png": pillow_file(PIXELS),
    "png16": vips_file(DEEP, "png"),
    "jpeg": pillow_file(PIXELS, "JPEG", quality=95),
    "webp": pillow_file(PIXELS, "WEBP", quality=95),
    "tiff": pillow_file(PIXELS, "TIFF", compression="tiff_lzw"),
    "tiff16": vips_file(DEEP, "tiff", compression="deflate", profile=P3),
    "gif": pillow_file(Image.fromarray(PIXELS).quantize(64), "GIF"),
    "bmp": pillow_file(PIXELS, "BMP"),
}
