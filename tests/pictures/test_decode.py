"""Decoding: orientation, colour, depth, what is left out with a warning, and what is refused."""

import contextlib
import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import pyvips
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageOps

from styletransfer.errors import ImageError
from styletransfer.pictures import decode as decoding
from styletransfer.pictures import icc_conversion
from styletransfer.pictures.decode import decode, inspect
from styletransfer.pictures.headers import Header
from styletransfer.pictures.icc_profile import SRGB_PROFILE
from tests.pictures.picture_files import (
    CMYK,
    DEEP,
    P3,
    PIXELS,
    RNG,
    WHOLE,
    orientation_exif,
    pillow_file,
    vips_file,
    with_png_chunk,
)

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
    expected = np.asarray(icc_conversion.to_srgb(P3, "RGB")(Image.fromarray(PIXELS)))
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
    np.testing.assert_array_equal(picture.pixels, icc_conversion.deep_to_srgb(P3, "RGB")(DEEP))
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

TRANSPARENT = ("a: is transparent in places; transparency is ignored; `alpha: keep` keeps it",)


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


@pytest.mark.parametrize("data", [
    pillow_file(np.dstack([PIXELS, PIXELS[..., 0] | 1])),
    pillow_file(np.dstack([PIXELS, PIXELS[..., 0] | 1]), "TIFF"),
    pillow_file(np.dstack([PIXELS, PIXELS[..., 0] | 1]), "WEBP", lossless=True, exact=True),
    vips_file(np.dstack([DEEP, DEEP[..., 0] | 1]), "png", interpretation="rgb16"),
    vips_file(np.dstack([DEEP, DEEP[..., 0] | 1]), "tiff", interpretation="rgb16"),
])  # fmt: skip
def test_alpha_is_kept_at_its_precision(data):
    picture = decode(data, "a", alpha="keep")
    pixels = PIXELS if picture.bits == 8 else DEEP
    np.testing.assert_array_equal(picture.pixels, pixels)
    np.testing.assert_array_equal(picture.alpha, pixels[..., 0] | 1)
    assert picture.warnings == ()


def test_alpha_without_effect_is_none():
    assert decode(pillow_file(with_alpha(PIXELS, 255)), "a", alpha="keep").alpha is None
    assert decode(pillow_file(with_alpha(PIXELS, 100)), "a").alpha is None


@pytest.mark.parametrize("transparency", [3, bytes([0, 128, 255])])
def test_the_alpha_of_a_palette_is_kept(transparency):
    image = Image.fromarray(PIXELS).quantize(16)
    picture = decode(pillow_file(image, transparency=transparency), "a", alpha="keep")
    of_entries = np.full(16, 255)
    if isinstance(transparency, bytes):
        of_entries[:3] = list(transparency)
    else:
        of_entries[transparency] = 0
    np.testing.assert_array_equal(picture.alpha, of_entries[np.asarray(image)])


def test_a_colour_that_stands_for_transparency_is_kept_as_alpha():
    pixels = np.full((4, 6, 3), 200, np.uint8)
    pixels[1, 2] = (1, 2, 3)
    picture = decode(pillow_file(pixels, transparency=(1, 2, 3)), "a", alpha="keep")
    assert picture.alpha is not None
    assert np.argwhere(picture.alpha == 0).tolist() == [[1, 2]]
    np.testing.assert_array_equal(picture.pixels, 200)  # the hidden colour is one of those around


@pytest.mark.parametrize("orientation", range(1, 9))
def test_alpha_is_turned_as_the_picture_is(orientation):
    pixels = np.dstack([PIXELS, PIXELS[..., 0] | 1])
    picture = decode(pillow_file(pixels, exif=orientation_exif(orientation)), "a", alpha="keep")
    np.testing.assert_array_equal(picture.alpha, picture.pixels[..., 0] | 1)


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


# --- What is refused


@pytest.mark.parametrize("data", WHOLE.values(), ids=WHOLE)
def test_a_file_cut_short_is_refused(data):
    with pytest.raises(ImageError, match=r"^a: "):
        decode(data[: len(data) // 2], "a")


@pytest.mark.parametrize("strips", [[], [PIXELS[:9]], [PIXELS[:, :9]], [PIXELS, PIXELS[:0], PIXELS[:1]]])
def test_pixels_that_do_not_fill_the_picture_are_damage(strips):
    """No picture may show what was in memory before it."""
    header = Header("a", (34, 23), 1, None, None, deep=False, animated=False, image=None)
    with pytest.raises((ImageError, ValueError)):
        decoding._assemble(iter([(strip, None) for strip in strips]), header, keep_alpha=False)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(sorted(WHOLE)), st.data())
def test_damaged_files_give_a_picture_or_an_image_error(kind, data):
    damaged = bytearray(WHOLE[kind])
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ImageError):   # any other error fails the test
        assert decode(bytes(damaged), "a", max_megapixels=1).size == inspect(bytes(damaged), "a")


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
