"""Pictures from files, Pillow, arrays and tensors are the same pictures; what is none says why."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from styletransfer.errors import ImageError, StorageError
from styletransfer.pictures.decode import decode
from styletransfer.pictures.picture import Picture
from styletransfer.renders.sources import mask_of, picture_of
from tests.studio import picture_file

PIXELS = np.random.default_rng(3).integers(0, 256, (5, 7, 3), np.uint8)


def file_of(image, **options):
    file = io.BytesIO()
    image.save(file, "PNG", **options)
    return file.getvalue()


def test_a_file_is_named_by_a_path_or_a_url(tmp_path, bucket):
    data = picture_file(1)
    expected = decode(data, "a").pixels
    (tmp_path / "a.png").write_bytes(data)
    bucket.put("a.png", data)
    for source in (tmp_path / "a.png", str(tmp_path / "a.png"), f"{bucket.url}/a.png"):
        assert np.array_equal(picture_of(source).pixels, expected)


def test_a_file_that_is_not_there_says_so(tmp_path):
    with pytest.raises(StorageError, match="no such file"):
        picture_of(tmp_path / "none.png")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (PIXELS, PIXELS),
        (PIXELS[..., 0], np.dstack([PIXELS[..., 0]] * 3)),
        (PIXELS[..., 0] > 99, np.dstack([(PIXELS[..., 0] > 99) * 255] * 3)),
        (PIXELS / 255, PIXELS * np.uint16(257)),
        (torch.from_numpy(PIXELS / 255).permute(2, 0, 1), PIXELS * np.uint16(257)),
        (torch.from_numpy(PIXELS / 255).permute(2, 0, 1)[None], PIXELS * np.uint16(257)),
    ],
    ids=["uint8", "gray", "bool", "floats", "tensor", "batch of one"],
)
def test_an_array_or_tensor_counts_as_srgb(values, expected):
    assert np.array_equal(picture_of(values).pixels, expected)


def test_a_picture_is_itself():
    picture = Picture(PIXELS)
    assert picture_of(picture) is picture


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "LAB", "YCbCr"])
def test_one_of_pillows_is_what_its_file_is(mode):
    image = Image.fromarray(PIXELS).convert("RGB").convert(mode) if mode != "LAB" else Image.new("LAB", (7, 5), 99)
    found = picture_of(image)
    assert found.size == (7, 5)
    if mode in ("1", "L", "P", "RGB"):
        assert np.array_equal(found.pixels, decode(file_of(image), "a").pixels)


def test_of_pillows_profile_orientation_and_transparency_count():
    deep = Image.fromarray(np.arange(35, dtype=np.uint16).reshape(5, 7) * 1800)
    assert picture_of(deep).bits == 16
    turned = Image.fromarray(PIXELS)
    turned.getexif()[0x0112] = 6
    assert picture_of(turned).size == (5, 7)
    opaque = Image.fromarray(np.dstack([PIXELS, PIXELS[..., :1]]))
    found = picture_of(opaque, alpha="keep").alpha
    assert found is not None
    assert np.array_equal(found, PIXELS[..., 0])
    assert picture_of(opaque).alpha is None


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (7, "a picture is of type int; must be a path, a URL, a Picture, one of Pillow's, an array or a tensor"),
        (np.zeros((5, 7, 4), np.uint8), r"pixels are uint8 \(5, 7, 4\); must be"),
        (np.zeros((5, 7, 3), np.int64), r"pixels are int64 \(5, 7, 3\); must be"),
        (torch.zeros(2, 3, 4, 4), r"tensor is \(2, 3, 4, 4\); must be"),
        (np.full((5, 7, 3), np.nan), "not finite numbers"),
        (Image.new("F", (3, 3)), "floating point"),
    ],
)
def test_what_is_no_picture_says_what_one_is(source, message):
    with pytest.raises(ImageError, match=message):
        picture_of(source)


def test_a_mask_is_never_black_all_over(tmp_path):
    black = np.zeros((5, 7), bool)
    Image.fromarray(black).save(tmp_path / "black.png")
    for source in (black, Image.fromarray(black), tmp_path / "black.png"):
        with pytest.raises(ImageError, match="black all over"):
            mask_of(source)
    white = ~black
    Image.fromarray(white).save(tmp_path / "white.png")
    for source in (white, Image.fromarray(white), str(tmp_path / "white.png")):
        assert mask_of(source).pixels.min() == 255
