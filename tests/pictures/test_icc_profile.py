"""ICC profiles: LittleCMS agrees with what we write and read."""

import hashlib
import io
import struct
import tracemalloc

import numpy as np
import pytest
from PIL import Image, ImageCms

from styletransfer.pictures import icc_profile
from styletransfer.pictures.icc_profile import SRGB_PROFILE, read_matrix_profile


def para(kind, *values):
    return struct.pack(f">4sIHH{len(values)}i", b"para", 0, kind, 0, *(round(v * 65536) for v in values))


SRGB_PRIMARIES = {
    b"rXYZ": (28576, 14581, 912),
    b"gXYZ": (25239, 46983, 6361),
    b"bXYZ": (9375, 3972, 46788),
}

CURVES = {
    "linear": struct.pack(">4sII", b"curv", 0, 0),
    "power 2.2": struct.pack(">4sIIH", b"curv", 0, 1, round(2.2 * 256)),
    "table": struct.pack(">4sII5H", b"curv", 0, 5, 0, 3000, 14000, 35000, 65535),
    "para 0": para(0, 1.8),
    "para 1": para(1, 2.4, 1 / 1.055, 0.055 / 1.055),
    "para 2": para(2, 2.0, 0.9, 0.05, 0.02),
    "para 3": para(3, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045),
    "para 4": para(4, 2.4, 0.9, 0.055, 1 / 12.92, 0.04045, 0.01, 0.005),
}


def gray_profile(curve):
    return icc_profile.write_profile(b"GRAY", {**icc_profile.common_tags(b"gray"), b"kTRC": curve})


def rgb_profile(curve):
    primaries = {tag: icc_profile.xyz_tag(*xyz) for tag, xyz in SRGB_PRIMARIES.items()}
    curves = dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    return icc_profile.write_profile(b"RGB ", {**icc_profile.common_tags(b"test"), **primaries, **curves})


def test_tags_that_all_claim_the_whole_file_take_no_memory():
    """A hundred of 8 MB would be 800 MB."""
    profile = bytearray(gray_profile(CURVES["linear"]) + bytes(8_000_000))
    struct.pack_into(">I", profile, 128, 100)
    for number in range(100):
        struct.pack_into(">4sII", profile, 132 + 12 * number, b"%04d" % number, 0, len(profile))
    tracemalloc.start()
    try:
        assert read_matrix_profile(bytes(profile)) is None
        assert tracemalloc.get_traced_memory()[1] < 2 * len(profile)
    finally:
        tracemalloc.stop()


def test_a_curve_has_no_more_points_than_pixels_have_values():
    longest = struct.pack(">4sII", b"curv", 0, 65_536) + bytes(2 * 65_536)
    longer = struct.pack(">4sII", b"curv", 0, 65_537) + bytes(2 * 65_537)
    assert read_matrix_profile(gray_profile(longest)) is not None
    assert read_matrix_profile(gray_profile(longer)) is None


def test_curves_are_each_others_inverse():
    values = np.linspace(0, 1, 10_001)
    # The two branches of the standard meet with a gap of 3e-8 at the join.
    np.testing.assert_allclose(icc_profile.linear_to_srgb(icc_profile.srgb_to_linear(values)), values, atol=1e-7)


def test_the_srgb_profile_never_changes():
    # It is part of every picture: other bytes would make a rerun's pictures differ from the last one's.
    digest = hashlib.sha256(SRGB_PROFILE).hexdigest()
    assert digest == "e6d066d416a9f949031b6382ab03d9c2d34efd47177bddaaf548fca0fc1f6ae1"


def test_littlecms_takes_our_profile_for_its_own_srgb():
    own = ImageCms.createProfile("sRGB")
    ours = ImageCms.ImageCmsProfile(io.BytesIO(SRGB_PROFILE))
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    converted = ImageCms.profileToProfile(Image.fromarray(pixels), own, ours)
    assert converted is not None
    np.testing.assert_array_equal(np.asarray(converted), pixels)
    assert ours.profile.profile_description == "sRGB"


def test_white_is_white():
    profile = read_matrix_profile(SRGB_PROFILE)
    assert profile is not None
    assert profile.to_xyz is not None
    np.testing.assert_array_equal(profile.to_xyz.sum(1) * 65536, (63190, 65536, 54061))


@pytest.mark.parametrize("curve", CURVES.values(), ids=CURVES)
def test_every_kind_of_curve_is_read_as_littlecms_reads_it(curve):
    data = rgb_profile(curve)
    profile = read_matrix_profile(data)
    assert profile is not None
    ours = icc_profile.linear_to_srgb(profile.curves[1][np.arange(256) * 257]) * 255
    ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[None, :, None].repeat(3, 2))
    theirs = ImageCms.profileToProfile(ramp, io.BytesIO(data), io.BytesIO(SRGB_PROFILE))
    assert theirs is not None
    # Its 8 bits are rounded: half a level, and a little for its own table of sRGB's curve.
    np.testing.assert_allclose(ours, np.asarray(theirs)[0, :, 1], atol=0.51)


def test_a_gray_profile_has_one_curve_and_no_matrix():
    profile = read_matrix_profile(gray_profile(CURVES["linear"]))
    assert profile is not None
    assert profile.to_xyz is None
    np.testing.assert_allclose(profile.curves[0], np.linspace(0, 1, 65536))


def replaced(old, new):
    assert old in SRGB_PROFILE
    return SRGB_PROFILE.replace(old, new, 1)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        SRGB_PROFILE[:100],
        SRGB_PROFILE[:200],
        replaced(b"rTRC", b"xTRC"),
        replaced(b"curv", b"crvv"),
        replaced(b"XYZ ", b"Lab "),         # its connection space
        replaced(b"wtpt", b"A2B0"),         # works by tables, where the header tells otherwise
        gray_profile(para(5, 1.0)),
        gray_profile(para(1, 2.4, 0.0, 0.1)),
    ],
    ids=["empty", "header", "cut", "no curve", "odd curve", "Lab", "tables", "unknown", "zero"],
)
def test_other_profiles_are_left_to_littlecms(data):
    assert read_matrix_profile(data) is None
