"""Colour conversions: known answers for RGB spaces, the gamut of a real CMYK profile, and what is refused."""

import io

import numpy as np
import pytest
import pyvips
from PIL import Image, ImageCms

from styletransfer.errors import ImageError
from styletransfer.pictures import icc_conversion, icc_profile
from styletransfer.pictures.icc_profile import SRGB_PROFILE

# libvips comes with these: Display P3 (CC0) and a CMYK profile by Graeme W. Gill (public domain).
P3 = pyvips.Operation.call("profile_load", "p3")
CMYK = pyvips.Operation.call("profile_load", "cmyk")

GRAY = icc_profile.write_profile(
    b"GRAY", {**icc_profile.common_tags(b"linear gray"), b"kTRC": b"curv\0\0\0\0\0\0\0\0"}
)

RANDOM_8 = np.random.default_rng(0).integers(0, 256, (60, 60, 3), np.uint8)


def deep(pixels):
    """8-bit pixels at 16 bits."""
    return pixels.astype(np.uint16) * 257


def p3_to_linear_srgb(pixels):
    """P3's published primaries to sRGB's in float64; both share the curve and the white."""
    matrix = np.array([[1.22494, -0.22494, 0], [-0.04206, 1.04206, 0], [-0.01964, -0.07864, 1.09827]])
    return (icc_profile.srgb_to_linear(pixels / 65535) @ matrix.T).clip(0, 1)


def test_wide_gamut_pixels_become_the_srgb_of_the_formulas_at_16_bits():
    converted = icc_conversion.deep_to_srgb(P3, "RGB")(deep(RANDOM_8)) / 65535
    # This profile leaves out the red primary's negative Z, -0.0011.
    np.testing.assert_allclose(
        icc_profile.srgb_to_linear(converted), p3_to_linear_srgb(deep(RANDOM_8)), atol=0.002
    )


def test_both_precisions_agree():
    eight = np.asarray(icc_conversion.to_srgb(P3, "RGB")(Image.fromarray(RANDOM_8))) / 255
    sixteen = icc_conversion.deep_to_srgb(P3, "RGB")(deep(RANDOM_8)) / 65535
    np.testing.assert_allclose(eight, sixteen, atol=0.75 / 255)     # half a level is rounding


def test_srgb_by_another_name_stays_as_it_is():
    littlecms = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    converted = icc_conversion.to_srgb(littlecms, "RGB")(Image.fromarray(RANDOM_8))
    np.testing.assert_array_equal(np.asarray(converted), RANDOM_8)


def test_a_16_bit_ramp_keeps_all_its_steps():
    ramp = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1).repeat(3, 2)
    levels = icc_conversion.deep_to_srgb(P3, "RGB")(ramp)[..., 1].ravel().astype(int)
    assert np.diff(levels).min() >= 0
    assert np.diff(levels).max() <= 2
    np.testing.assert_allclose(levels, np.arange(65536), atol=8)    # gray stays gray: both have one curve


def test_linear_gray_becomes_srgb_gray():
    half = np.full((2, 2, 1), 32768, np.uint16)
    converted = icc_conversion.deep_to_srgb(GRAY, "L")(half)
    np.testing.assert_allclose(converted / 65535, 0.7354, atol=1e-4)    # 1.055 * 0.5 ** (1 / 2.4) - 0.055


@pytest.mark.parametrize("mode", ["1", "L", "LA"])
def test_gray_pixels_may_come_with_an_rgb_profile(mode):
    image = Image.fromarray(RANDOM_8).convert(mode)
    converted = icc_conversion.to_srgb(P3, mode)(image)
    assert converted.mode == "RGB"
    # The two whites agree to the third digit only.
    np.testing.assert_allclose(np.asarray(converted), np.asarray(image.convert("RGB")), atol=1)


def test_16_bit_gray_may_come_with_an_rgb_profile():
    gray = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1)
    converted = icc_conversion.deep_to_srgb(P3, "L")(gray)
    assert converted.shape == (256, 256, 3)
    np.testing.assert_allclose(converted[..., 0], gray[..., 0], atol=8)


IN_GAMUT = np.array([[[120, 100, 90], [128, 128, 128], [90, 110, 100], [150, 120, 100]]], np.uint8)
OUT_OF_GAMUT = np.array([[[0, 255, 0], [0, 0, 255], [255, 0, 255], [0, 255, 255]]], np.uint8)


def proofed(pixels, bits):
    if bits == 16:
        return icc_conversion.deep_through_cmyk(CMYK)(deep(pixels)) / 257
    return np.asarray(icc_conversion.through_cmyk(CMYK)(Image.fromarray(pixels))).astype(float)


@pytest.mark.parametrize("bits", [8, 16])
def test_a_proof_keeps_what_can_be_printed(bits):
    # The perceptual intent compresses everything a little.
    np.testing.assert_allclose(proofed(IN_GAMUT, bits), IN_GAMUT, atol=12)


@pytest.mark.parametrize("bits", [8, 16])
def test_a_proof_dulls_what_can_not_be_printed(bits):
    before = OUT_OF_GAMUT.max(2).astype(float) - OUT_OF_GAMUT.min(2)
    after = proofed(OUT_OF_GAMUT, bits)
    assert ((after.max(2) - after.min(2)) < 0.85 * before).all()
    assert (np.abs(after - OUT_OF_GAMUT).max(2) > 40).all()


def test_a_proof_is_the_same_at_both_precisions():
    # LittleCMS resamples the profile's tables, at 8 bits otherwise than at 16.
    np.testing.assert_allclose(proofed(RANDOM_8, 8), proofed(RANDOM_8, 16), atol=4)


def test_lab_has_known_answers():
    lab = Image.new("LAB", (3, 1))
    for x, value in enumerate([(255, 128, 128), (0, 128, 128), (138, 209, 198)]):
        lab.putpixel((x, 0), value)
    converted = np.asarray(icc_conversion.lab_to_srgb()(lab))[0]
    np.testing.assert_allclose(converted[:2], [[255] * 3, [0] * 3], atol=1)
    np.testing.assert_allclose(converted[2], [255, 0, 0], atol=5)       # L 54.3, a 80.8, b 69.9


def test_deep_lab_has_known_answers():
    lab = pyvips.Image.new_from_array([[100.0, 50.0, 0.0]]).bandjoin([0, 0]).copy(interpretation="lab")
    converted = icc_conversion.deep_lab_to_srgb(lab).numpy() / 65535
    # L* 50 is 18.4 % of white's light, in sRGB 0.4663.
    np.testing.assert_allclose(converted[0, :, 1], [1, 0.4663, 0], atol=2e-3)


@pytest.mark.parametrize("convert", [icc_conversion.to_srgb, icc_conversion.deep_to_srgb])
@pytest.mark.parametrize(
    ("profile", "mode", "message"),
    [
        (b"", "RGB", "not an ICC profile"),
        (b"no profile at all" * 20, "RGB", "not an ICC profile"),
        (SRGB_PROFILE[:150], "RGB", "not an ICC profile"),
        (CMYK, "RGB", "an ICC profile for CMYK, which does not fit RGB pixels"),
        (SRGB_PROFILE, "CMYK", "an ICC profile for RGB, which does not fit CMYK pixels"),
        (GRAY, "RGB", "an ICC profile for L, which does not fit RGB pixels"),
        (SRGB_PROFILE.replace(b"RGB ", b"YCbr"), "RGB", "an ICC profile for YCbr"),
        (SRGB_PROFILE.replace(b"TRC", b"XXX"), "RGB", "an ICC profile that can't convert RGB to RGB"),
    ],
)
def test_profiles_that_do_not_fit_are_refused(convert, profile, mode, message):
    with pytest.raises(ImageError) as caught:
        convert(profile, mode)
    assert str(caught.value) == message


@pytest.mark.parametrize("proof", [icc_conversion.through_cmyk, icc_conversion.deep_through_cmyk])
def test_a_proof_needs_a_cmyk_profile(proof):
    with pytest.raises(ImageError, match="an ICC profile for RGB; a soft proof needs one for CMYK"):
        proof(P3)
    with pytest.raises(ImageError, match="not an ICC profile"):
        proof(io.BytesIO(b"junk").getvalue())
