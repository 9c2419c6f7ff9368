"""What a file says of itself: size, depth, orientation, resolution; and what is refused before any decoding."""

import struct
import subprocess
import sys
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image
from PIL.ExifTags import Base as Tag

from styletransfer.errors import ImageError
from styletransfer.pictures.decode import decode, inspect
from styletransfer.pictures.headers import read_header
from tests.pictures.picture_files import (
    DEEP,
    P3,
    PIXELS,
    WHOLE,
    orientation_exif,
    pillow_file,
    png_of_size,
    vips_file,
    with_png_chunk,
)

FLOATS = PIXELS.astype(np.float32) / 255

# What it says


@pytest.mark.parametrize("orientation", range(1, 9))
def test_size_and_resolution_are_those_of_the_upright_picture(orientation):
    data = pillow_file(PIXELS, "JPEG", exif=orientation_exif(orientation), dpi=(300, 150))
    header = read_header(data, "a", max_megapixels=1)
    assert (header.stored, header.orientation) == ((34, 23), orientation)
    turned = orientation >= 5
    assert header.size == ((23, 34) if turned else (34, 23))
    assert header.upright_dpi == ((150, 300) if turned else (300, 150))


@pytest.mark.parametrize(
    ("kind", "deep", "needs_vips"),
    [
        ("png", False, False),
        ("png16", True, True),
        ("jpeg", False, False),
        ("webp", False, False),
        ("tiff", False, True),
        ("tiff16", True, True),
        ("gif", False, False),
        ("bmp", False, False),
    ],
)
def test_depth_decides_who_decodes(kind, deep, needs_vips):
    """Pillow reads TIFF's and PNG's 16 bits as 8."""
    header = read_header(WHOLE[kind], "a", max_megapixels=1)
    assert (header.stored, header.deep, header.needs_vips) == ((34, 23), deep, needs_vips)


@pytest.mark.parametrize("data", [pillow_file(PIXELS, icc_profile=P3), vips_file(DEEP, "tiff", profile=P3)])
def test_the_profile_is_the_files(data):
    assert read_header(data, "a", max_megapixels=1).profile == P3


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_is_none_counts_as_upright(orientation):
    data = with_png_chunk(pillow_file(PIXELS), b"eXIf", orientation_exif(orientation)[6:])
    assert read_header(data, "a", max_megapixels=1).orientation == 1
    tiff = pillow_file(PIXELS, "TIFF", tiffinfo={Tag.Orientation: orientation})
    assert np.array_equal(decode(tiff, "a").pixels, PIXELS)


def test_a_damaged_exif_block_spoils_no_picture():
    picture = decode(pillow_file(PIXELS, exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff"), "a")
    np.testing.assert_array_equal(picture.pixels, PIXELS)


# Resolution


def jpeg_with_exif_resolution(x, y, unit):
    exif = Image.Exif()
    exif[282], exif[283], exif[296] = x, y, unit
    jfif = pillow_file(PIXELS, "JPEG", exif=exif)
    return jfif[:2] + jfif[20:]             # without the JFIF segment, as cameras write them


@pytest.mark.parametrize(
    ("data", "dpi"),
    [
        (pillow_file(PIXELS), None),
        (pillow_file(PIXELS, dpi=(300, 150)), (300, 150)),
        (pillow_file(PIXELS, "JPEG"), None),
        (pillow_file(PIXELS, "JPEG", dpi=(300, 150)), (300, 150)),
        (pillow_file(PIXELS, "JPEG", exif=orientation_exif(1)), None),
        (pillow_file(PIXELS, "JPEG", exif=orientation_exif(6), dpi=(300, 150)), (150, 300)),
        (jpeg_with_exif_resolution(300.0, 150.0, 2), (300, 150)),
        (jpeg_with_exif_resolution(100.0, 50.0, 3), (254, 127)),
        (jpeg_with_exif_resolution(1.0, 1.0, 1), None),
        (pillow_file(PIXELS, "TIFF", dpi=(300, 150)), (300, 150)),
        (pillow_file(PIXELS, "TIFF", resolution_unit=3, x_resolution=99.0, y_resolution=50.0), (251.46, 127)),
        (pillow_file(PIXELS, "TIFF"), None),
        (pillow_file(PIXELS, "BMP", dpi=(300, 150)), (300, 150)),
        (vips_file(DEEP, "tiff", xres=10.0, yres=5.0), (254, 127)),
        (vips_file(DEEP, "tiff", xres=10.0, yres=5.0, orientation=6), (127, 254)),
    ],
)
def test_resolution_is_read(data, dpi):
    read = decode(data, "a").dpi
    assert read == (None if dpi is None else pytest.approx(dpi, rel=1e-3))


# What is refused


def with_scans(count):
    """A progressive JPEG whose last scan is repeated."""
    data = pillow_file(PIXELS, "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * (count + 1 - data.count(b"\xff\xda")) + data[-2:]


def test_a_progressive_jpeg_may_have_many_scans():
    assert decode(with_scans(64), "a").pixels.shape == PIXELS.shape


REFUSED = {
    "empty": (b"", r"is empty; must be a picture"),
    "heic": (
        b"\0\0\0\x10ftypheic\0\0\0\0" + b"\0\0\0\x10mdat" + bytes(8),
        r"is HEIC, which Pillow has no decoder for here; save it as PNG, JPEG or TIFF",
    ),
    "text": (b"Dear Sir or Madam", r"is not a picture that can be read \(begins with b'Dear Sir'\); PNG"),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", r"is not a picture that can be read"),
    "eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", r"is not a picture that can be read"),
    "no png": (b"\x89PNG\r\n\x1a\n", r"is not a picture that can be read"),
    "bomb": (png_of_size(30_000, 20_000), r"is 30000x20000 px, 600.0 megapixels; at most 512 "),
    "float tiff": (vips_file(FLOATS, "tiff"), r"has 32-bit floating point pixels; 8 or 16 bits"),
    "float gray": (pillow_file(FLOATS[..., 0], "TIFF"), r"has 32-bit floating point pixels; 8 or 16 bits"),
    "int tiff": (vips_file(PIXELS.astype(np.uint32), "tiff"), r"has 32-bit unsigned pixels; 8 or 16 bits"),
    "pfm": (pillow_file(FLOATS[..., 0], "PPM"), r"has floating point pixels; 8 or 16 bits"),
    "scans": (with_scans(65), r"goes over its pixels in 65 scans; at most 64"),
    "tiff start": (b"II*\0", r"damaged, can't be decoded"),
    "tiff junk": (b"II*\0" + b"\xff" * 40, r"damaged, can't be decoded"),
}


@pytest.mark.parametrize(("data", "message"), REFUSED.values(), ids=REFUSED)
def test_what_can_not_be_read_is_refused_by_name(data, message):
    with pytest.raises(ImageError, match=f"^in/a.png: .*{message}"):
        decode(data, "in/a.png")


def test_the_limit_is_ours_to_set():
    data = pillow_file(PIXELS)
    decode(data, "a", max_megapixels=34 * 23 / 1e6)
    for read in (decode, inspect):
        with pytest.raises(ImageError, match=r"is 34x23 px, 0.0 megapixels; at most 0.0007 megapixels are"):
            read(data, "a", max_megapixels=0.0007)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG", "GIF", "BMP"])
def test_pillows_own_limit_neither_warns_nor_refuses(kind, monkeypatch):
    data = pillow_file(Image.new("L", (4000, 3000), 77), kind)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 5_000_000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        picture = decode(data, "a")
    assert picture.pixels.mean() == 77
    assert Image.MAX_IMAGE_PIXELS == 5_000_000


def test_large_pictures_are_opened_without_decoding():
    assert inspect(png_of_size(20_000, 20_000), "a") == (20_000, 20_000)


# What it takes

LOOK = """
import io, resource, struct, sys, zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from PIL import Image
from styletransfer.pictures.decode import inspect
Image.init()
picture = Path(sys.argv[1]).read_bytes()
mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (mapped + int(sys.argv[2]), -1))
with ThreadPoolExecutor(2) as readers:
    print(set(readers.map(lambda _: inspect(picture, "a"), range(8))))
"""


def white_png(side_px: int, kind: bytes = b"", contents: bytes = b"") -> bytes:
    """8 bits of gray, with a chunk behind its pixels."""
    squeezed = zlib.compressobj(1)
    rows = b"".join(squeezed.compress(b"\0" + b"\xff" * side_px) for _ in range(side_px)) + squeezed.flush()
    chunks = [(b"IHDR", struct.pack(">2I5B", side_px, side_px, 8, 0, 0, 0, 0)), (b"IDAT", rows), (kind, contents)]
    chunks = [*(chunk for chunk in chunks if chunk[0]), (b"IEND", b"")]
    written = (struct.pack(">I", len(part)) + name + part for name, part in chunks)
    sums = (struct.pack(">I", zlib.crc32(name + part)) for name, part in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(part for pair in zip(written, sums, strict=True) for part in pair)


def test_looking_at_a_png_takes_no_memory_for_its_pixels(tmp_path):
    """16,000 x 16,000 px of gray would be 256 MB."""
    (tmp_path / "a.png").write_bytes(white_png(16_000))
    command = [sys.executable, "-c", LOOK, str(tmp_path / "a.png"), str(150 * 2**20)]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert told.stdout == "{(16000, 16000)}\n", told.stderr


def test_orientation_behind_the_pixels_of_a_png_is_found():
    data = white_png(4, b"eXIf", orientation_exif(6)[6:])
    assert read_header(data, "a", max_megapixels=1).orientation == 6


def test_a_png_beyond_the_limit_is_refused_although_its_pixels_are_none():
    data = png_of_size(30_000, 30_000)
    with pytest.raises(ImageError, match=r"30000x30000 px, 900\.0 megapixels"):
        inspect(data, "a")
