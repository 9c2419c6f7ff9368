"""A stylized picture is shown, saved, and taken on as any other."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from styletransfer.errors import ImageError
from styletransfer.pictures.decode import decode
from styletransfer.pictures.encode import encode
from styletransfer.pictures.picture import Picture
from styletransfer.renders.sources import picture_of
from styletransfer.renders.stylized import Stylized

IMAGE = torch.rand(1, 3, 20, 30, generator=torch.Generator().manual_seed(1))
CONTENT = Picture(np.zeros((40, 60, 3), np.uint8), dpi=(300.0, 300.0))


@pytest.mark.parametrize(
    ("name", "file_format"), [("a.png", "png"), ("a.JPEG", "jpeg"), ("a.webp", "webp"), ("a.tiff", "tiff")]
)
def test_it_is_saved_from_its_floats_in_the_format_of_the_name(name, file_format, tmp_path):
    Stylized.of(IMAGE, CONTENT).save(tmp_path / name)
    assert (tmp_path / name).read_bytes() == encode(IMAGE, file_format, CONTENT.dpi)


def test_it_is_saved_to_a_bucket(bucket):
    Stylized.of(IMAGE, CONTENT).save(f"{bucket.url}/sub/a.png")
    assert bucket.get("sub/a.png") == encode(IMAGE, "png", CONTENT.dpi)


def test_a_name_without_a_format_says_what_there_is(tmp_path):
    with pytest.raises(ImageError, match=r"a\.gif: ends in '\.gif'; must end in \.png, \.jpg, \.webp, \.tif,"):
        Stylized.of(IMAGE, CONTENT).save(tmp_path / "a.gif")
    assert list(tmp_path.iterdir()) == []


def test_it_keeps_the_contents_transparency(tmp_path):
    alpha = np.repeat(np.arange(40, dtype=np.uint8)[:, None], 60, axis=1)
    Stylized.of(IMAGE, Picture(CONTENT.pixels, alpha=alpha)).save(tmp_path / "a.png")
    saved = decode((tmp_path / "a.png").read_bytes(), "a", alpha="keep")
    assert saved.alpha is not None
    assert saved.alpha.shape == (20, 30)
    assert saved.alpha[0, 0] < saved.alpha[-1, 0]


def test_it_is_a_picture_of_16_bits():
    found = Stylized.of(IMAGE, CONTENT)
    assert picture_of(found) is found
    assert (found.size, found.bits, found.dpi) == ((30, 20), 16, CONTENT.dpi)
    assert torch.allclose(found.at((30, 20), torch.float32), IMAGE, atol=1 / 65535)


def test_a_notebook_shows_it_as_a_png_of_at_most_1024_px():
    shown = Image.open(io.BytesIO(Stylized.of(IMAGE, CONTENT)._repr_png_()))
    assert (shown.format, shown.size, shown.mode) == ("PNG", (30, 20), "RGB")
    wide = Picture(np.zeros((10, 3000, 3), np.uint8), alpha=np.zeros((10, 3000), np.uint8))
    shown = Image.open(io.BytesIO(wide._repr_png_()))
    assert (shown.size, shown.mode) == ((1024, 3), "RGBA")
