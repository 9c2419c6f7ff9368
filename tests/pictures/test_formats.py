"""Formats: their endings and their largest sizes."""

import io

import pytest
from PIL import Image

from styletransfer.errors import ImageError
from styletransfer.pictures.formats import FORMATS, check_format_size, extension


def test_every_format_has_its_own_ending():
    assert [extension(name) for name in FORMATS] == [".png", ".jpg", ".webp", ".tif"]


@pytest.mark.parametrize(
    ("file_format", "size"),
    [("jpeg", (65_500, 1)), ("webp", (1, 16_383)), ("png", (70_000, 1)), ("tiff", (70_000, 1))],
)
def test_the_largest_size_is_accepted(file_format, size):
    check_format_size(file_format, size)


@pytest.mark.parametrize(
    ("file_format", "size", "message"),
    [
        ("jpeg", (65_501, 10), "65501x10 px is too large for jpeg, which has at most 65500 px a side"),
        ("webp", (10, 16_384), "10x16384 px is too large for webp, which has at most 16383 px a side"),
    ],
)
def test_one_px_more_is_an_error_that_says_what_is_allowed(file_format, size, message):
    with pytest.raises(ImageError) as caught:
        check_format_size(file_format, size)
    assert str(caught.value) == f"{message}; use png or tiff"


@pytest.mark.parametrize(("file_format", "largest"), [("jpeg", 65_500), ("webp", 16_383)])
def test_the_limits_are_those_of_the_encoders(file_format, largest, capfd):
    Image.new("L", (largest, 1)).save(io.BytesIO(), file_format)
    with pytest.raises((OSError, ValueError)):
        Image.new("L", (largest + 1, 1)).save(io.BytesIO(), file_format)
