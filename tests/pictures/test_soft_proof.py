"""A soft proof: the inks' limits, whatever the depth, and the profiles that are refused."""

import numpy as np
import pytest

from styletransfer.errors import ImageError
from styletransfer.pictures.icc_profile import SRGB_PROFILE
from styletransfer.pictures.picture import Picture
from styletransfer.pictures.soft_proof import soft_proof
from tests.pictures.picture_files import CMYK, DEEP, PIXELS


@pytest.mark.parametrize("scale", [1, 257])
def test_a_proof_shows_the_inks_limits_at_the_pictures_own_depth(scale):
    dtype = np.uint8 if scale == 1 else np.uint16
    pixels = np.array([[[0, 255, 0], [128, 128, 128]]], np.uint16) * scale
    proofed = soft_proof(Picture(pixels.astype(dtype), (300, 300)), CMYK, "press.icc")
    green, gray = proofed.pixels[0] / scale
    assert green[1] - green[0] < 100        # no ink is as green as a screen
    np.testing.assert_allclose(gray, 128, atol=12)
    assert (proofed.bits, proofed.dpi) == (8 * np.dtype(dtype).itemsize, (300, 300))


def test_a_proof_in_strips_is_the_whole_proof(monkeypatch):
    for picture in (Picture(PIXELS), Picture(DEEP)):
        whole = soft_proof(picture, CMYK, "press.icc").pixels
        with monkeypatch.context() as patch:
            patch.setattr("styletransfer.pictures.picture._STRIP_PX", 200)
            np.testing.assert_array_equal(soft_proof(picture, CMYK, "press.icc").pixels, whole)


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
        soft_proof(picture, profile, "press.icc")
    assert str(caught.value) == message
