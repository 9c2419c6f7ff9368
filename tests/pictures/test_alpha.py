"""Colours below full transparency are made of those around, whatever they were."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from styletransfer.pictures.alpha import fill_hidden
from styletransfer.pictures.colours import Palette
from styletransfer.pictures.picture import Picture

SIDES = st.integers(1, 40)


def random_alpha(height, width, seed, opaque=0.3):
    rng = np.random.default_rng(seed)
    seen = rng.uniform(size=(height, width)) < opaque
    return (rng.integers(1, 256, (height, width)) * seen).astype(np.uint8)


def random_pixels(height, width, seed, dtype=np.uint8):
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, (height, width, 3), dtype, endpoint=True)


@given(SIDES, SIDES, st.integers(0, 99))
def test_what_is_hidden_has_no_effect_and_what_is_seen_stays(height, width, seed):
    alpha = random_alpha(height, width, seed)
    one, other = random_pixels(height, width, seed), random_pixels(height, width, seed + 1)
    other[alpha > 0] = one[alpha > 0]
    filled = fill_hidden(Picture(one, alpha=alpha))
    np.testing.assert_array_equal(filled.pixels, fill_hidden(Picture(other, alpha=alpha)).pixels)
    np.testing.assert_array_equal(filled.pixels[alpha > 0], one[alpha > 0])
    np.testing.assert_array_equal(filled.alpha, alpha)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_around_one_colour_there_is_that_colour(dtype):
    alpha = random_alpha(31, 50, 0, opaque=0.01)
    colour = random_pixels(1, 1, 0, dtype)[0, 0]
    pixels = np.where(alpha[..., None] > 0, colour, random_pixels(31, 50, 1, dtype))
    filled = fill_hidden(Picture(pixels, alpha=alpha)).pixels
    assert np.abs(filled.astype(int) - colour).max() <= np.iinfo(dtype).max // 60_000


def test_between_two_colours_all_lies_between():
    alpha, pixels = np.zeros((16, 64), np.uint8), np.zeros((16, 64, 3), np.uint8)
    alpha[:, :8] = alpha[:, -8:] = 255
    pixels[:, :8], pixels[:, -8:] = 40, 200
    row = fill_hidden(Picture(pixels, alpha=alpha)).pixels[8, :, 0].astype(int)
    assert row.min() == 40
    assert row.max() == 200
    assert (np.diff(row) >= 0).all()


def test_where_nothing_is_seen_there_is_gray():
    filled = fill_hidden(Picture(random_pixels(5, 7, 0), alpha=np.zeros((5, 7), np.uint8)))
    assert np.unique(filled.pixels).tolist() == [128]


def test_a_picture_without_hidden_colours_is_left_alone():
    for picture in (Picture(random_pixels(5, 7, 0)), Picture(random_pixels(5, 7, 0), alpha=np.ones((5, 7), "u1"))):
        assert fill_hidden(picture) is picture


def test_colours_count_in_a_palette_as_much_as_they_are_opaque():
    pixels, alpha = random_pixels(6, 9, 0), random_alpha(6, 9, 0)
    weights, values = alpha.ravel() / 255, pixels.reshape(-1, 3) / 255
    found = Palette.of(Picture(pixels, alpha=alpha))
    np.testing.assert_allclose(found.mean, np.average(values, axis=0, weights=weights), rtol=1e-12)
    np.testing.assert_allclose(found.cov, np.cov(values.T, aweights=weights, ddof=0), atol=1e-12)
