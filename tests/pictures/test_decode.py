"""Decoding: orientation, colour, depth, what is left out with a warning, and what is refused."""

import contextlib
import io
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import pyvips
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageOps

from styletransfer.errors import ImageError
from styletransfer.pictures import colour
from styletransfer.pictures import decode as decoding
from styletransfer.pictures.decode import decode, inspect
from styletransfer.pictures.headers import Header
from styletransfer.pictures.icc import SRGB_PROFILE

P3 = pyvips.Operation.call("profile_load", "p3")
CMYK = pyvips.Operation.call("profile_load", "cmyk")

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (23, 34, 3), np.uint8)
FLOATS = PIXELS.astype(np.float32) / 255
DEEP = RNG.integers(0, 65536, (23, 34, 3), np.uint16)


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
        image = colour.embed_profile(image, profile)
    if orientation is not None:
        image.set_type(pyvips.GValue.gint_type, "orientation", orientation)
    return bytes(getattr(image, f"{kind}save_buffer")(**options))


def orientation_exif(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif.tobytes()


# --- Orientation


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_orientation_is_honoured(kind, orientation):
    options = {"WEBP": {"lossless": True}}.get(kind, {})
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = pillow_file(PIXELS, kind, exif=exif, **options)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(pillow_file(PIXELS, exif=exif)))))
    picture = decode(data, "a")
    np.testing.assert_array_equal(picture.pixels, expected)
    assert inspect(data, "a") == picture.size == expected.shape[1::-1]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_orientation_is_honoured_at_16_bits(kind, orientation):
    if kind == "tiff":
        data = vips_file(DEEP, "tiff", orientation=orientation)
    else:
        data = with_png_chunk(vips_file(DEEP, "png", keep="none"), b"eXIf", orientation_exif(orientation)[6:])
    high = Image.fromarray((DEEP >> 8).astype(np.uint8))
    high.getexif()[0x0112] = orientation
    picture = decode(data, "a")
    np.testing.assert_array_equal(picture.pixels >> 8, np.asarray(ImageOps.exif_transpose(high)))
    assert inspect(data, "a") == picture.size


def with_png_chunk(data, kind, content):
    """A PNG file with one more chunk after its header."""
    chunk = struct.pack(">I", len(content)) + kind + content
    return data[:33] + chunk + struct.pack(">I", zlib.crc32(kind + content)) + data[33:]


def test_a_damaged_exif_block_spoils_no_picture():
    picture = decode(pillow_file(PIXELS, exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff"), "a")
    np.testing.assert_array_equal(picture.pixels, PIXELS)


# --- 8 bits


MODES = {
    "PNG": ["1", "L", "P", "RGB"],
    "TIFF": ["1", "L", "P", "RGB", "CMYK", "YCbCr"],
    "JPEG": ["1", "L", "RGB", "CMYK", "YCbCr"],
    "GIF": ["1", "L", "P", "RGB"],
}


@pytest.mark.parametrize(("kind", "mode"), [(kind, mode) for kind, modes in MODES.items() for mode in modes])
def test_every_kind_of_pixel_becomes_what_pillow_makes_of_it(kind, mode):
    data = pillow_file(Image.fromarray(PIXELS).convert(mode), kind)
    with Image.open(io.BytesIO(data)) as opened:
        expected = np.asarray(opened.convert("RGB"))
    picture = decode(data, "a")
    assert picture.pixels.dtype == np.uint8
    np.testing.assert_array_equal(picture.pixels, expected)
    guessed = ("a: is CMYK without a usable ICC profile; its colours are a guess",)
    assert picture.warnings == (guessed if mode == "CMYK" else ())


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_an_embedded_profile_is_honoured(kind):
    expected = np.asarray(colour.to_srgb(P3, "RGB")(Image.fromarray(PIXELS)))
    picture = decode(pillow_file(PIXELS, kind, icc_profile=P3), "a")
    np.testing.assert_array_equal(picture.pixels, expected)
    assert np.abs(expected.astype(int) - PIXELS).max() > 20
    assert picture.warnings == ()


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_with_a_profile_is_colour_managed(kind):
    ink = Image.new("CMYK", (8, 8), (255, 0, 0, 0))
    options = {"quality": 100} if kind == "JPEG" else {}
    picture = decode(pillow_file(ink, kind, icc_profile=CMYK, **options), "a")
    expected = ImageCms.profileToProfile(ink, io.BytesIO(CMYK), io.BytesIO(SRGB_PROFILE), outputMode="RGB")
    assert expected is not None
    np.testing.assert_allclose(picture.pixels, np.asarray(expected), atol=2)
    assert picture.pixels[0, 0, 0] < 80     # printers' cyan, not the (0, 255, 255) of a formula
    assert picture.pixels[0, 0, 1] < 200
    assert picture.warnings == ()


def test_our_own_profile_changes_nothing():
    picture = decode(pillow_file(PIXELS, icc_profile=SRGB_PROFILE), "a")
    np.testing.assert_array_equal(picture.pixels, PIXELS)


@pytest.mark.parametrize(
    ("profile", "reason"),
    [(b"junk" * 40, "not an ICC profile"), (CMYK, "an ICC profile for CMYK, which does not fit RGB pixels")],
)
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_a_profile_that_does_not_fit_is_ignored_with_a_warning(kind, profile, reason):
    picture = decode(pillow_file(PIXELS, kind, icc_profile=profile), "a.png")
    np.testing.assert_array_equal(picture.pixels, PIXELS)
    assert picture.warnings == (f"a.png: its colour profile is {reason}; it is ignored",)


@pytest.mark.parametrize("compression", ["jpeg", "tiff_lzw", "packbits", "group4"])
def test_compressed_tiffs_are_read_as_pillow_reads_them(compression):
    image = Image.fromarray(PIXELS).convert("1" if compression == "group4" else "RGB")
    data = pillow_file(image, "TIFF", compression=compression)
    with Image.open(io.BytesIO(data)) as opened:
        expected = np.asarray(opened.convert("RGB"))
    np.testing.assert_array_equal(decode(data, "a").pixels, expected)


@pytest.mark.parametrize("orientation", [1, 6])
def test_lab_of_8_bits_is_read(orientation):
    lab = Image.new("LAB", (4, 3), (255, 128, 128))
    picture = decode(pillow_file(lab, "TIFF", tiffinfo={0x0112: orientation}), "a")
    assert picture.size == ((4, 3) if orientation == 1 else (3, 4))
    np.testing.assert_allclose(picture.pixels, 255, atol=1)


def test_lab_of_16_bits_is_read():
    lab = pyvips.Image.new_from_array([[100.0, 50.0, 0.0]]).bandjoin([0, 0]).copy(interpretation="lab")
    picture = decode(bytes(lab.colourspace("labs").tiffsave_buffer()), "a")
    # L* 50 is 18.4 % of white's light, in sRGB 0.4663.
    np.testing.assert_allclose(picture.pixels[0, :, 1] / 65535, [1, 0.4663, 0], atol=2e-3)


# --- 16 bits


@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_16_bits_stay_16_bits(kind):
    picture = decode(vips_file(DEEP, kind), "a")
    assert picture.bits == 16
    np.testing.assert_array_equal(picture.pixels, DEEP)


@pytest.mark.parametrize("options", [{"compression": "lzw"}, {"tile": True}, {"bigtiff": True}])
def test_tiffs_of_all_layouts_are_read(options):
    np.testing.assert_array_equal(decode(vips_file(DEEP, "tiff", **options), "a").pixels, DEEP)


def test_interlaced_16_bit_png_is_read():
    np.testing.assert_array_equal(decode(vips_file(DEEP, "png", interlace=True), "a").pixels, DEEP)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM", "JPEG2000"])
def test_16_bit_gray_fills_all_channels(kind):
    gray = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    picture = decode(pillow_file(gray, kind), "a")
    np.testing.assert_array_equal(picture.pixels, gray[..., None].repeat(3, 2))


@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_an_embedded_profile_is_honoured_at_16_bits(kind):
    picture = decode(vips_file(DEEP, kind, profile=P3), "a")
    np.testing.assert_array_equal(picture.pixels, colour.deep_to_srgb(P3, "RGB")(DEEP))
    assert picture.warnings == ()


def test_16_bit_cmyk_with_a_profile_matches_8_bits():
    ink = RNG.integers(0, 256, (16, 16, 4), np.uint8)
    deep = vips_file(ink.astype(np.uint16) * 257, "tiff", interpretation="cmyk", profile=CMYK)
    flat = pillow_file(Image.frombytes("CMYK", (16, 16), ink.tobytes()), "TIFF", icc_profile=CMYK)
    # LittleCMS resamples the profile's table at each precision in its own way.
    np.testing.assert_allclose(decode(deep, "a").pixels / 257, decode(flat, "a").pixels, atol=3)


def test_16_bit_cmyk_without_a_profile_matches_8_bits():
    ink = RNG.integers(0, 256, (16, 16, 4), np.uint8)
    picture = decode(vips_file(ink.astype(np.uint16) * 257, "tiff", interpretation="cmyk"), "a")
    expected = np.asarray(Image.frombytes("CMYK", (16, 16), ink.tobytes()).convert("RGB"))
    np.testing.assert_allclose(picture.pixels / 257, expected, atol=1)
    assert picture.warnings == ("a: is CMYK without a usable ICC profile; its colours are a guess",)


# --- What is left out with a warning

TRANSPARENT = ("a: is transparent in places; transparency is ignored",)


def with_alpha(pixels, value):
    return np.concatenate([pixels, np.full((*pixels.shape[:2], 1), value, pixels.dtype)], axis=2)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_alpha_is_ignored_with_a_warning(kind):
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    picture = decode(pillow_file(with_alpha(PIXELS, 100), kind, **options), "a")
    np.testing.assert_array_equal(picture.pixels, PIXELS)
    assert picture.warnings == TRANSPARENT


@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_alpha_is_ignored_with_a_warning_at_16_bits(kind):
    picture = decode(vips_file(with_alpha(DEEP, 65000), kind, interpretation="rgb16"), "a")
    np.testing.assert_array_equal(picture.pixels, DEEP)
    assert picture.warnings == TRANSPARENT


@pytest.mark.parametrize("data", [
    pillow_file(with_alpha(PIXELS, 255)),
    pillow_file(with_alpha(PIXELS, 255), "TIFF"),
    vips_file(with_alpha(DEEP, 65535), "png", interpretation="rgb16"),
])  # fmt: skip
def test_alpha_without_effect_is_not_mentioned(data):
    assert decode(data, "a").warnings == ()


@pytest.mark.parametrize("transparency", [3, bytes([0, 128, 255])])
def test_a_transparent_palette_is_ignored_with_a_warning(transparency):
    image = Image.fromarray(PIXELS).quantize(16)
    picture = decode(pillow_file(image, transparency=transparency), "a")
    np.testing.assert_array_equal(picture.pixels, np.asarray(image.convert("RGB")))
    assert picture.warnings == TRANSPARENT


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_the_first_frame_is_used_with_a_warning(kind):
    frames = [Image.new("RGB", (20, 10), colour) for colour in ("red", "blue")]
    options = {"lossless": True} if kind == "WEBP" else {}
    picture = decode(pillow_file(frames[0], kind, save_all=True, append_images=frames[1:], **options), "a")
    np.testing.assert_array_equal(picture.pixels, np.asarray(frames[0]))
    assert picture.warnings == ("a: has more than one frame or page; the first is used",)


def test_a_phones_second_picture_is_not_mentioned():
    first, preview = Image.fromarray(PIXELS), Image.new("RGB", (5, 5))
    assert decode(pillow_file(first, "MPO", save_all=True, append_images=[preview]), "a").warnings == ()


# --- Resolution


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


# --- What is refused


PIXELLESS = b"".join(
    b"\0\0\0\0" + kind + struct.pack(">I", zlib.crc32(kind)) for kind in (b"IDAT", b"IEND")
)


def png_of_size(width, height):
    """A PNG that says it is this large, and has no pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n\0\0\0\r" + header + struct.pack(">I", zlib.crc32(header)) + PIXELLESS


REFUSED = {
    "empty": (b"", r"is empty; must be a picture"),
    "text": (b"Dear Sir or Madam", r"is not a picture that can be read \(begins with b'Dear Sir'\); PNG"),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", r"is not a picture that can be read"),
    "eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", r"is not a picture that can be read"),
    "no png": (b"\x89PNG\r\n\x1a\n", r"is not a picture that can be read"),
    "bomb": (png_of_size(30_000, 20_000), r"is 30000x20000 px, 600.0 megapixels; at most 512 "),
    "float tiff": (vips_file(FLOATS, "tiff"), r"has 32-bit floating point pixels; 8 or 16 bits"),
    "float gray": (pillow_file(FLOATS[..., 0], "TIFF"), r"has 32-bit floating point pixels; 8 or 16 bits"),
    "int tiff": (vips_file(PIXELS.astype(np.uint32), "tiff"), r"has 32-bit unsigned pixels; 8 or 16 bits"),
    "pfm": (pillow_file(FLOATS[..., 0], "PPM"), r"has floating point pixels; 8 or 16 bits"),
    "tiff start": (b"II*\0", r"damaged, can't be decoded"),
    "tiff junk": (b"II*\0" + b"\xff" * 40, r"damaged, can't be decoded"),
}


@pytest.mark.parametrize(("data", "message"), REFUSED.values(), ids=REFUSED)
def test_what_can_not_be_read_is_refused_by_name(data, message):
    with pytest.raises(ImageError, match=f"^in/a.png: .*{message}"):
        decode(data, "in/a.png")


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


@pytest.mark.parametrize("data", WHOLE.values(), ids=WHOLE)
def test_a_file_cut_short_is_refused(data):
    with pytest.raises(ImageError, match=r"^a: "):
        decode(data[: len(data) // 2], "a")


@pytest.mark.parametrize("strips", [[], [PIXELS[:9]], [PIXELS[:, :9]], [PIXELS, PIXELS[:0], PIXELS[:1]]])
def test_pixels_that_do_not_fill_the_picture_are_damage(strips):
    """No picture may show what was in memory before it."""
    header = Header("a", (34, 23), 1, None, None, deep=False, animated=False, image=None)
    with pytest.raises((ImageError, ValueError)):
        decoding._assemble(iter(strips), header)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(sorted(WHOLE)), st.data())
def test_damaged_files_give_a_picture_or_an_image_error(kind, data):
    damaged = bytearray(WHOLE[kind])
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ImageError):   # any other error fails the test
        assert decode(bytes(damaged), "a", max_megapixels=1).size == inspect(bytes(damaged), "a")


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


# --- Threads and strips


def test_threads_do_not_disturb_each_other():
    files = list(WHOLE.values()) * 6
    alone = [decode(data, "a").pixels for data in files]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda data: decode(data, "a").pixels, files))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize("orientation", [1, 6, 8])
def test_strips_join_without_a_seam(kind, orientation, monkeypatch):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = pillow_file(PIXELS, kind, exif=exif, icc_profile=P3)
    whole = decode(data, "a").pixels
    monkeypatch.setattr("styletransfer.pictures.picture._STRIP_PX", 100)
    np.testing.assert_array_equal(decode(data, "a").pixels, whole)
