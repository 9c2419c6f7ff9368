"""Thumbnails: of the same shape, never larger, never empty."""

import numpy as np
import pytest
from PIL import Image

from styletransfer.errors import ImageError
from styletransfer.pictures.encode import encode, from_tensor
from styletransfer.pictures.picture import Picture
from styletransfer.pictures.thumbnail import thumbnail
from tests.pictures.picture_files import PIXELS, opened, smooth_tensor


def test_a_thumbnail_is_a_small_jpeg_of_the_same_shape():
    image = opened(thumbnail(encode(smooth_tensor(120, 160), "tiff"), 64))
    assert (image.format, image.size) == ("JPEG", (64, 48))
    expected = Image.fromarray(from_tensor(smooth_tensor(48, 64)).pixels)
    np.testing.assert_allclose(np.asarray(image).astype(int), np.asarray(expected).astype(int), atol=12)


def test_a_small_picture_is_not_enlarged():
    assert opened(thumbnail(Picture(PIXELS), 500)).size == (34, 23)


def test_a_thin_picture_keeps_a_pixel():
    assert opened(thumbnail(Picture(np.zeros((1, 900, 3), np.uint8)), 50)).size == (50, 1)


def test_a_thumbnail_of_a_damaged_file_names_it():
    with pytest.raises(ImageError, match=r"^harbour.jpg: is not a picture"):
        thumbnail(b"junk", 50, name="harbour.jpg")
