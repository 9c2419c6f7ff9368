"""A decoded picture: its statistics, its sizes by resizing, its tensors at any size, and what its digest tells."""

import hashlib

import numpy as np
import PIL
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from styletransfer.errors import ImageError
from styletransfer.pictures import picture as pictures
from styletransfer.pictures.picture import Picture, resize, to_tensor
from styletransfer.sizes import size_to_fit
from tests.checkout import ROOT
from tests.pictures.picture_files import DEEP, PIXELS

GOLDEN = ROOT / "tests/golden/golden.npz"

SIDES = st.integers(1, 40)


def random_picture(dtype=np.uint8, height=50, width=37, seed=0) -> Picture:
    pixels = np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, (height, width, 3), dtype, endpoint=True)
    return Picture(pixels)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("strip_px", [100, 10**6])
def test_mean_and_variance_are_those_of_a_sample_in_strips_or_whole(dtype, strip_px, monkeypatch):
    monkeypatch.setattr(pictures, "_STRIP_PX", strip_px)
    picture = random_picture(dtype)
    values = (picture.pixels / np.iinfo(dtype).max).reshape(-1, 3)
    means, variances = picture.mean_and_variance()
    assert means == pytest.approx(values.mean(axis=0), rel=1e-12)
    assert variances == pytest.approx(values.var(axis=0, ddof=1), rel=1e-12)


def test_one_colour_has_no_variance():
    picture = Picture(np.full((30, 20, 3), (51, 102, 255), np.uint8))
    assert picture.mean_and_variance() == ([0.2, 0.4, 1.0], [0.0, 0.0, 0.0])
    assert Picture(np.zeros((1, 1, 3), np.uint8)).mean_and_variance() == ([0.0] * 3, [0.0] * 3)


def test_a_picture_at_a_size_is_resized_and_then_made_a_tensor():
    picture = random_picture()
    found = picture.at((20, 30), torch.float64)
    assert (found.shape, found.dtype) == ((1, 3, 30, 20), torch.float64)
    assert torch.equal(found, to_tensor(resize(picture, (20, 30)), torch.float64))


def test_a_digest_tells_pixels_depth_and_how_they_are_scaled(monkeypatch):
    picture = random_picture()
    same, wider = Picture(picture.pixels.copy()), Picture(picture.pixels.astype(np.uint16))
    assert picture.digest == same.digest
    assert len({picture.digest, wider.digest, random_picture(seed=1).digest}) == 3
    pictures._scaling.cache_clear()
    monkeypatch.setattr(PIL, "__version__", "99")
    assert Picture(picture.pixels).digest != picture.digest
    pictures._scaling.cache_clear()


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


def test_an_alpha_has_the_size_of_its_picture():
    with pytest.raises(ImageError, match=r"alpha is uint8 \(3, 4\); must be uint8 or uint16 \(23, 34\)"):
        Picture(PIXELS, alpha=np.zeros((3, 4), np.uint8))


@pytest.mark.parametrize("pixels", [PIXELS, DEEP])
def test_an_alpha_is_resized_as_the_picture_is(pixels):
    picture = Picture(pixels, alpha=pixels[..., 1])
    np.testing.assert_array_equal(picture.alpha_at((17, 40)), resize(picture, (17, 40)).pixels[..., 1])
    np.testing.assert_array_equal(picture.alpha_at(picture.size), pixels[..., 1])
    assert Picture(pixels).alpha_at((17, 40)) is None


def test_a_picture_says_its_size_as_width_and_height():
    assert (Picture(PIXELS).size, Picture(PIXELS).bits, Picture(DEEP).bits) == ((34, 23), 8, 16)


@settings(deadline=None)
@given(SIDES, SIDES, SIDES, SIDES, st.sampled_from([1, 100, 4_000_000]))
def test_8_bits_are_resized_by_pillow_rows_first(width, height, new_width, new_height, strip_px):
    pixels = np.random.default_rng(width).integers(0, 256, (height, width, 3), np.uint8)
    rows = Image.fromarray(pixels).resize((new_width, height), Image.Resampling.BICUBIC)
    expected = rows.resize((new_width, new_height), Image.Resampling.BICUBIC)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("styletransfer.pictures.picture._STRIP_PX", strip_px)
        resized = resize(Picture(pixels), (new_width, new_height))
    np.testing.assert_array_equal(resized.pixels, np.asarray(expected))


@pytest.mark.parametrize("name", ["content", "style_a", "style_b"])
@pytest.mark.parametrize("scale", [45, 50, 64, 80, 128])
def test_the_reference_pictures_are_resized_as_by_one_call_of_pillow(name, scale):
    pixels = np.load(GOLDEN)[name]
    size = size_to_fit((pixels.shape[1], pixels.shape[0]), scale, enlarge=True)
    expected = Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(resize(Picture(pixels), size).pixels, np.asarray(expected))


def test_a_tall_picture_is_the_same_with_every_version_of_pillow():
    # Made by Pillow 13; with the columns first, as it would do it itself, the hash is another.
    pixels = np.random.default_rng(0).integers(0, 256, (202, 23, 3), np.uint8)
    resized = resize(Picture(pixels), (18, 155)).pixels
    assert hashlib.sha256(resized.tobytes()).hexdigest().startswith("cc4fefdf48774fc2cf1cbdd007c9afcd")


@settings(deadline=None)
@given(SIDES, SIDES, SIDES, SIDES)
def test_16_bits_are_resized_by_the_same_filter(width, height, new_width, new_height):
    pixels = np.random.default_rng(width).integers(64, 192, (height, width, 3)).astype(np.uint8)
    size = new_width, new_height
    eight = resize(Picture(pixels), size).pixels.astype(float)
    sixteen = resize(Picture(pixels.astype(np.uint16) * 257), size).pixels / 257
    np.testing.assert_allclose(eight, sixteen, atol=1.5)    # 8 bits are rounded twice, after columns and rows


def test_a_16_bit_ramp_survives_resizing_without_banding():
    row = np.linspace(20_000, 21_000, 512).round().astype(np.uint16)
    ramp = np.broadcast_to(row[None, :, None], (8, 512, 3))
    levels = resize(Picture(ramp), (1024, 16)).pixels[8, :, 0].astype(int)
    assert len(np.unique(levels)) > 512     # more than the ramp itself had; 8 bits have 5
    assert np.diff(levels).min() >= 0


def test_overshoot_at_16_bits_is_clipped():
    edge = np.zeros((8, 8, 3), np.uint16)
    edge[:, 4:] = 65535
    resized = resize(Picture(edge), (64, 64)).pixels
    assert resized[32, :20].max() == 0
    assert resized[32, 44:].min() == 65535


def test_resizing_keeps_what_else_is_known():
    picture = resize(Picture(PIXELS, (300, 300), ("a: note",)), (5, 5))
    assert (picture.dpi, picture.warnings) == ((300, 300), ("a: note",))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_level_becomes_its_fraction(dtype):
    levels = torch.arange(256, dtype=torch.uint8)
    picture = Picture(levels.reshape(16, 16, 1).repeat(1, 1, 3).numpy())
    tensor = to_tensor(picture, dtype)
    assert (tensor.shape, tensor.dtype, tensor.is_contiguous()) == ((1, 3, 16, 16), dtype, True)
    torch.testing.assert_close(tensor[0, 2].flatten(), levels.to(dtype) / 255, rtol=0, atol=0)
