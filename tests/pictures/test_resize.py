"""Pictures in use: resizing, soft proof, tensors, encoding, thumbnails."""

import hashlib
import io
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import pyvips
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from styletransfer.errors import ImageError
from styletransfer.pictures import resize
from styletransfer.pictures.icc import SRGB_PROFILE
from styletransfer.pictures.resize import FORMATS, Picture
from styletransfer.sizes import size_to_fit
from tests.checkout import ROOT

CMYK = pyvips.Operation.call("profile_load", "cmyk")

GOLDEN = ROOT / "tests/golden/golden.npz"

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (23, 34, 3), np.uint8)
DEEP = RNG.integers(0, 65536, (23, 34, 3), np.uint16)

SIDES = st.integers(1, 40)


def smooth_tensor(height=48, width=64):
    """A picture without fine detail, which JPEG and WebP keep well."""
    y, x = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    return torch.stack([x, y, (x + y) / 2])[None]


def opened(data):
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


# --- Picture


def test_pixels_are_read_only_and_the_callers_array_is_not():
    own = PIXELS.copy()
    picture = Picture(own)
    with pytest.raises(ValueError, match="read-only"):
        picture.pixels[0, 0, 0] = 1
    own[0, 0, 0] = 1


@pytest.mark.parametrize(("shape", "dtype"), [((3, 4), "u1"), ((3, 4, 4), "u1"), ((3, 4, 3), "f8")])
def test_other_arrays_are_no_pictures(shape, dtype):
    pixels = np.zeros(shape, dtype)
    with pytest.raises(ImageError, match=r"must be uint8 or uint16 \(H, W, 3\)"):
        Picture(pixels)


def test_a_picture_says_its_size_as_width_and_height():
    assert (Picture(PIXELS).size, Picture(PIXELS).bits, Picture(DEEP).bits) == ((34, 23), 8, 16)


# --- Resizing


@settings(deadline=None)
@given(SIDES, SIDES, SIDES, SIDES, st.sampled_from([1, 100, 4_000_000]))
def test_8_bits_are_resized_by_pillow_rows_first(width, height, new_width, new_height, strip_px):
    pixels = np.random.default_rng(width).integers(0, 256, (height, width, 3), np.uint8)
    rows = Image.fromarray(pixels).resize((new_width, height), Image.Resampling.BICUBIC)
    expected = rows.resize((new_width, new_height), Image.Resampling.BICUBIC)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("styletransfer.pictures.picture._STRIP_PX", strip_px)
        resized = resize.resize(Picture(pixels), (new_width, new_height))
    np.testing.assert_array_equal(resized.pixels, np.asarray(expected))


@pytest.mark.parametrize("name", ["content", "style_a", "style_b"])
@pytest.mark.parametrize("scale", [45, 50, 64, 80, 128])
def test_the_reference_pictures_are_resized_as_by_one_call_of_pillow(name, scale):
    pixels = np.load(GOLDEN)[name]
    size = size_to_fit((pixels.shape[1], pixels.shape[0]), scale, enlarge=True)
    expected = Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(resize.resize(Picture(pixels), size).pixels, np.asarray(expected))


def test_a_tall_picture_is_the_same_with_every_version_of_pillow():
    # Made by Pillow 13; with the columns first, as it would do it itself, the hash is another.
    pixels = np.random.default_rng(0).integers(0, 256, (202, 23, 3), np.uint8)
    resized = resize.resize(Picture(pixels), (18, 155)).pixels
    assert hashlib.sha256(resized.tobytes()).hexdigest().startswith("cc4fefdf48774fc2cf1cbdd007c9afcd")


@settings(deadline=None)
@given(SIDES, SIDES, SIDES, SIDES)
def test_16_bits_are_resized_by_the_same_filter(width, height, new_width, new_height):
    pixels = np.random.default_rng(width).integers(64, 192, (height, width, 3)).astype(np.uint8)
    size = new_width, new_height
    eight = resize.resize(Picture(pixels), size).pixels.astype(float)
    sixteen = resize.resize(Picture(pixels.astype(np.uint16) * 257), size).pixels / 257
    np.testing.assert_allclose(eight, sixteen, atol=1.5)    # 8 bits are rounded twice, after columns and rows


def test_a_16_bit_ramp_survives_resizing_without_banding():
    row = np.linspace(20_000, 21_000, 512).round().astype(np.uint16)
    ramp = np.broadcast_to(row[None, :, None], (8, 512, 3))
    levels = resize.resize(Picture(ramp), (1024, 16)).pixels[8, :, 0].astype(int)
    assert len(np.unique(levels)) > 512     # more than the ramp itself had; 8 bits have 5
    assert np.diff(levels).min() >= 0


def test_overshoot_at_16_bits_is_clipped():
    edge = np.zeros((8, 8, 3), np.uint16)
    edge[:, 4:] = 65535
    resized = resize.resize(Picture(edge), (64, 64)).pixels
    assert resized[32, :20].max() == 0
    assert resized[32, 44:].min() == 65535


def test_resizing_keeps_what_else_is_known():
    picture = resize.resize(Picture(PIXELS, (300, 300), ("a: note",)), (5, 5))
    assert (picture.dpi, picture.warnings) == ((300, 300), ("a: note",))


# --- Soft proof


@pytest.mark.parametrize("scale", [1, 257])
def test_a_proof_shows_the_inks_limits_at_the_pictures_own_depth(scale):
    dtype = np.uint8 if scale == 1 else np.uint16
    pixels = np.array([[[0, 255, 0], [128, 128, 128]]], np.uint16) * scale
    proof = resize.proof(Picture(pixels.astype(dtype), (300, 300)), CMYK, "press.icc")
    green, gray = proof.pixels[0] / scale
    assert green[1] - green[0] < 100        # no ink is as green as a screen
    np.testing.assert_allclose(gray, 128, atol=12)
    assert (proof.bits, proof.dpi) == (8 * np.dtype(dtype).itemsize, (300, 300))


def test_a_proof_in_strips_is_the_whole_proof(monkeypatch):
    for picture in (Picture(PIXELS), Picture(DEEP)):
        whole = resize.proof(picture, CMYK, "press.icc").pixels
        with monkeypatch.context() as patch:
            patch.setattr("styletransfer.pictures.picture._STRIP_PX", 200)
            np.testing.assert_array_equal(resize.proof(picture, CMYK, "press.icc").pixels, whole)


@pytest.mark.parametrize("picture", [Picture(PIXELS), Picture(DEEP)])
@pytest.mark.parametrize(
    ("profile", "message"),
    [
        (b"junk", "press.icc: is not an ICC profile"),
        (SRGB_PROFILE, "press.icc: is an ICC profile for RGB; a soft proof needs one for CMYK"),
    ],
)
def test_a_proof_names_the_profile_it_can_not_use(picture, profile, message):
    with pytest.raises(ImageError) as caught:
        resize.proof(picture, profile, "press.icc")
    assert str(caught.value) == message


# --- Tensors


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_level_becomes_its_fraction(dtype):
    levels = torch.arange(256, dtype=torch.uint8)
    picture = Picture(levels.reshape(16, 16, 1).repeat(1, 1, 3).numpy())
    tensor = resize.to_tensor(picture, dtype)
    assert (tensor.shape, tensor.dtype, tensor.is_contiguous()) == ((1, 3, 16, 16), dtype, True)
    torch.testing.assert_close(tensor[0, 2].flatten(), levels.to(dtype) / 255, rtol=0, atol=0)


@pytest.mark.parametrize(("picture", "bits"), [(Picture(PIXELS), 8), (Picture(DEEP), 16)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_picture_survives_the_way_through_a_tensor(picture, bits, dtype):
    back = resize.from_tensor(resize.to_tensor(picture, dtype), bits=bits)
    np.testing.assert_array_equal(back.pixels, picture.pixels)


@given(st.floats(-1, 2, width=32))
def test_values_are_clamped_and_rounded_to_nearest(value):
    pixel = resize.from_tensor(torch.full((3, 1, 1), value)).pixels[0, 0, 0]
    assert abs(pixel - min(max(value, 0), 1) * 255) <= 0.5 + 1e-4


def test_half_precision_makes_a_picture():
    tensor = torch.full((1, 3, 2, 2), 0.5, dtype=torch.bfloat16, requires_grad=True)
    assert resize.from_tensor(tensor).pixels[0, 0, 0] == 128


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_picture_of_nonsense_is_refused(value):
    with pytest.raises(ImageError, match="2x1 px picture has values that are not finite numbers"):
        resize.encode(torch.tensor([0.5, value]).expand(3, 1, 2), "png")


@pytest.mark.parametrize("shape", [(1, 4, 2, 2), (2, 2), (2, 3, 2, 2)])
def test_tensors_of_other_shapes_are_refused(shape):
    with pytest.raises(ImageError, match=r"must be \(1, 3, H, W\) or \(3, H, W\)"):
        resize.encode(torch.zeros(shape), "png")


# --- Encoding

LARGEST_ERROR = {"png": 0.5 / 255, "jpeg": 6 / 255, "webp": 12 / 255, "tiff": 0.5 / 65535}


@pytest.mark.parametrize("file_format", FORMATS)
def test_what_is_written_is_what_is_read(file_format):
    tensor = smooth_tensor()
    picture = resize.decode(resize.encode(tensor, file_format), "a")
    assert picture.bits == (16 if file_format == "tiff" else 8)
    assert picture.warnings == ()
    error = (resize.to_tensor(picture, torch.float32) - tensor).abs().max()
    assert error <= LARGEST_ERROR[file_format] + 1e-6


@pytest.mark.parametrize("file_format", FORMATS)
def test_the_srgb_profile_is_embedded(file_format):
    assert opened(resize.encode(smooth_tensor(), file_format)).info["icc_profile"] == SRGB_PROFILE


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("dpi", [(300.0, 300.0), (240.0, 120.0)])
def test_resolution_is_written_where_we_and_others_find_it(file_format, dpi):
    data = resize.encode(smooth_tensor(), file_format, dpi)
    assert resize.decode(data, "a").dpi == pytest.approx(dpi, rel=1e-4)
    image = opened(data)
    exif = image.getexif()
    others = (exif[282], exif[283]) if file_format == "webp" else image.info["dpi"]
    assert [float(value) for value in others] == pytest.approx(dpi, rel=1e-4)


@pytest.mark.parametrize("file_format", ["png", "jpeg", "webp"])
def test_no_resolution_is_made_up(file_format):
    assert resize.decode(resize.encode(smooth_tensor(), file_format), "a").dpi is None


def test_a_tiff_without_resolution_says_72():
    assert resize.decode(resize.encode(smooth_tensor(), "tiff"), "a").dpi == pytest.approx((72, 72))


def test_jpeg_is_quality_95_without_chroma_subsampling():
    image = opened(resize.encode(smooth_tensor(), "jpeg"))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=95)
    assert image.quantization == opened(file.getvalue()).quantization
    assert [component[1:3] for component in image.layer] == [(1, 1)] * 3


def test_tiff_holds_16_bits_of_the_floats():
    ramp = torch.linspace(0.5, 0.5 + 1 / 255, 257).expand(1, 3, 4, 257)
    levels = resize.decode(resize.encode(ramp, "tiff"), "a").pixels[0, :, 0].astype(int)
    np.testing.assert_allclose(np.diff(levels), 1, atol=1)
    assert len(np.unique(levels)) >= 256    # one level of 8 bits holds 257 of them


@pytest.mark.parametrize("file_format", FORMATS)
def test_the_same_picture_gives_the_same_bytes(file_format):
    tensor = torch.rand(1, 3, 40, 50, generator=torch.Generator().manual_seed(0))
    once = resize.encode(tensor, file_format, (300.0, 300.0))
    with ThreadPoolExecutor(4) as pool:
        again = list(pool.map(lambda _: resize.encode(tensor, file_format, (300.0, 300.0)), range(8)))
    assert set(again) == {once}


def test_the_files_hold_no_time():
    """Another process writes the same bytes, at a later time and with another hash seed."""
    script = (
        "import hashlib, torch; from styletransfer.pictures import resize as images;"
        "tensor = torch.linspace(0, 1, 300).reshape(3, 10, 10);"
        "files = [images.encode(tensor, name, (300.0, 300.0)) for name in images.FORMATS];"
        "print([hashlib.sha256(file).hexdigest() for file in files])"
    )
    tensor = torch.linspace(0, 1, 300).reshape(3, 10, 10)
    here = [hashlib.sha256(resize.encode(tensor, name, (300.0, 300.0))).hexdigest() for name in FORMATS]
    there = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True).stdout
    assert there.strip() == str(here)


def test_a_picture_too_large_for_its_format_is_refused_before_any_work():
    huge = torch.zeros(1, 1, 1, 1).expand(1, 3, 1, 16_384)
    with pytest.raises(ImageError, match="16384x1 px is too large for webp"):
        resize.encode(huge, "webp")


# --- Thumbnails


def test_a_thumbnail_is_a_small_jpeg_of_the_same_shape():
    image = opened(resize.thumbnail(resize.encode(smooth_tensor(120, 160), "tiff"), 64))
    assert (image.format, image.size) == ("JPEG", (64, 48))
    expected = Image.fromarray(resize.from_tensor(smooth_tensor(48, 64)).pixels)
    np.testing.assert_allclose(np.asarray(image).astype(int), np.asarray(expected).astype(int), atol=12)


def test_a_small_picture_is_not_enlarged():
    assert opened(resize.thumbnail(Picture(PIXELS), 500)).size == (34, 23)


def test_a_thin_picture_keeps_a_pixel():
    assert opened(resize.thumbnail(Picture(np.zeros((1, 900, 3), np.uint8)), 50)).size == (50, 1)


def test_a_thumbnail_of_a_damaged_file_names_it():
    with pytest.raises(ImageError, match=r"^harbour.jpg: is not a picture"):
        resize.thumbnail(b"junk", 50, name="harbour.jpg")


# --- Import


def test_planning_needs_no_torch():
    script = "import sys, styletransfer.pictures.resize; sys.exit(bool({'torch', 'pyvips'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0
