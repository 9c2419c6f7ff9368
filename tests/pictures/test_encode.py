"""Encoding: what is written is what others read, from tensors, with profile and resolution."""

import hashlib
import io
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from styletransfer.errors import ImageError
from styletransfer.pictures.decode import decode
from styletransfer.pictures.encode import encode, from_tensor
from styletransfer.pictures.formats import FORMATS
from styletransfer.pictures.icc_profile import SRGB_PROFILE
from styletransfer.pictures.picture import Picture, to_tensor
from tests.pictures.picture_files import DEEP, PIXELS, opened, smooth_tensor


@pytest.mark.parametrize(("picture", "bits"), [(Picture(PIXELS), 8), (Picture(DEEP), 16)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_picture_survives_the_way_through_a_tensor(picture, bits, dtype):
    back = from_tensor(to_tensor(picture, dtype), bits=bits)
    np.testing.assert_array_equal(back.pixels, picture.pixels)


@given(st.floats(-1, 2, width=32))
def test_values_are_clamped_and_rounded_to_nearest(value):
    pixel = from_tensor(torch.full((3, 1, 1), value)).pixels[0, 0, 0]
    assert abs(pixel - min(max(value, 0), 1) * 255) <= 0.5 + 1e-4


def test_half_precision_makes_a_picture():
    tensor = torch.full((1, 3, 2, 2), 0.5, dtype=torch.bfloat16, requires_grad=True)
    assert from_tensor(tensor).pixels[0, 0, 0] == 128


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_picture_of_nonsense_is_refused(value):
    with pytest.raises(ImageError, match="2x1 px picture has values that are not finite numbers"):
        encode(torch.tensor([0.5, value]).expand(3, 1, 2), "png")


@pytest.mark.parametrize("shape", [(1, 4, 2, 2), (2, 2), (2, 3, 2, 2)])
def test_tensors_of_other_shapes_are_refused(shape):
    with pytest.raises(ImageError, match=r"must be \(1, 3, H, W\) or \(3, H, W\)"):
        encode(torch.zeros(shape), "png")


# --- Transparency


def alpha_of(data, bits):
    if bits == 16:
        return decode(data, "a", alpha="keep").alpha
    return np.asarray(opened(data).getchannel("A"))


@pytest.mark.parametrize(("file_format", "bits"), [("png", 8), ("webp", 8), ("tiff", 16)])
@pytest.mark.parametrize("source", [PIXELS, DEEP])
def test_an_alpha_is_written_in_the_bits_of_the_format(file_format, bits, source):
    alpha = source[..., 1] | 1
    image = to_tensor(Picture(source), torch.float32)
    found = alpha_of(encode(image, file_format, alpha=alpha), bits)
    np.testing.assert_allclose(found / (2**bits - 1), alpha / np.iinfo(alpha.dtype).max, atol=0.5 / (2**bits - 1))
    if alpha.dtype.itemsize * 8 == bits:
        np.testing.assert_array_equal(found, alpha)


def test_jpeg_has_no_alpha():
    with pytest.raises(ImageError, match="jpeg has no transparency; use png, webp, tiff"):
        encode(torch.zeros(3, 2, 2), "jpeg", alpha=np.zeros((2, 2), np.uint8))


# --- Encoding

LARGEST_ERROR = {"png": 0.5 / 255, "jpeg": 6 / 255, "webp": 12 / 255, "tiff": 0.5 / 65535}


@pytest.mark.parametrize("file_format", FORMATS)
def test_what_is_written_is_what_is_read(file_format):
    tensor = smooth_tensor()
    picture = decode(encode(tensor, file_format), "a")
    assert picture.bits == (16 if file_format == "tiff" else 8)
    assert picture.warnings == ()
    error = (to_tensor(picture, torch.float32) - tensor).abs().max()
    assert error <= LARGEST_ERROR[file_format] + 1e-6


@pytest.mark.parametrize("file_format", FORMATS)
def test_the_srgb_profile_is_embedded(file_format):
    assert opened(encode(smooth_tensor(), file_format)).info["icc_profile"] == SRGB_PROFILE


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("dpi", [(300.0, 300.0), (240.0, 120.0)])
def test_resolution_is_written_where_we_and_others_find_it(file_format, dpi):
    data = encode(smooth_tensor(), file_format, dpi)
    assert decode(data, "a").dpi == pytest.approx(dpi, rel=1e-4)
    image = opened(data)
    exif = image.getexif()
    others = (exif[282], exif[283]) if file_format == "webp" else image.info["dpi"]
    assert [float(value) for value in others] == pytest.approx(dpi, rel=1e-4)


@pytest.mark.parametrize("file_format", ["png", "jpeg", "webp"])
def test_no_resolution_is_made_up(file_format):
    assert decode(encode(smooth_tensor(), file_format), "a").dpi is None


def test_a_tiff_without_resolution_says_72():
    assert decode(encode(smooth_tensor(), "tiff"), "a").dpi == pytest.approx((72, 72))


def test_jpeg_is_quality_95_without_chroma_subsampling():
    image = opened(encode(smooth_tensor(), "jpeg"))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=95)
    assert image.quantization == opened(file.getvalue()).quantization
    assert [component[1:3] for component in image.layer] == [(1, 1)] * 3


def test_tiff_holds_16_bits_of_the_floats():
    ramp = torch.linspace(0.5, 0.5 + 1 / 255, 257).expand(1, 3, 4, 257)
    levels = decode(encode(ramp, "tiff"), "a").pixels[0, :, 0].astype(int)
    np.testing.assert_allclose(np.diff(levels), 1, atol=1)
    assert len(np.unique(levels)) >= 256    # one level of 8 bits holds 257 of them


@pytest.mark.parametrize("file_format", FORMATS)
def test_the_same_picture_gives_the_same_bytes(file_format):
    tensor = torch.rand(1, 3, 40, 50, generator=torch.Generator().manual_seed(0))
    once = encode(tensor, file_format, (300.0, 300.0))
    with ThreadPoolExecutor(4) as pool:
        again = list(pool.map(lambda _: encode(tensor, file_format, (300.0, 300.0)), range(8)))
    assert set(again) == {once}


def test_the_files_hold_no_time():
    """Another process writes the same bytes, at a later time and with another hash seed."""
    script = (
        "import hashlib, torch; from styletransfer.pictures.encode import encode;"
        "tensor = torch.linspace(0, 1, 300).reshape(3, 10, 10);"
        "from styletransfer.pictures.formats import FORMATS;"
        "files = [encode(tensor, name, (300.0, 300.0)) for name in FORMATS];"
        "print([hashlib.sha256(file).hexdigest() for file in files])"
    )
    tensor = torch.linspace(0, 1, 300).reshape(3, 10, 10)
    here = [hashlib.sha256(encode(tensor, name, (300.0, 300.0))).hexdigest() for name in FORMATS]
    there = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True).stdout
    assert there.strip() == str(here)


def test_a_picture_too_large_for_its_format_is_refused_before_any_work():
    huge = torch.zeros(1, 1, 1, 1).expand(1, 3, 1, 16_384)
    with pytest.raises(ImageError, match="16384x1 px is too large for webp"):
        encode(huge, "webp")


def test_planning_needs_no_torch():
    modules = "import sys; from styletransfer.pictures import encode, soft_proof, thumbnail"
    script = f"{modules}; sys.exit(bool({{'torch', 'pyvips'}} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0
