"""Scales and sizes: the original's tables, and what holds for all numbers."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from styletransfer.sizes import parse_safe_scale, pyramid, resolve_end_scale, safe_scale, size_to_fit
from tests.golden_numbers import NUMBERS

scales = st.integers(1, 65_536)
sizes = st.tuples(st.integers(1, 100_000), st.integers(1, 100_000))


# The pyramid


@pytest.mark.parametrize(("start", "end", "expected"), NUMBERS["gen_scales"])
def test_pyramid_is_that_of_the_original(start, end, expected):
    assert list(pyramid(start, end)) == expected


@given(scales, scales)
def test_pyramid_ascends_to_the_end_scale(start, end):
    found = pyramid(start, end)
    assert all(coarse < fine for coarse, fine in pairwise(found))
    assert found[-1] == end


@given(scales, scales)
def test_pyramid_begins_at_the_smallest_scale_allowed(start, end):
    found = pyramid(start, end)
    assert found[0] >= min(start, end)
    steps = 0
    while round(end / 2 ** (steps / 2)) >= found[0]:
        steps += 1
    assert round(end / 2 ** (steps / 2)) < min(start, end)  # one step coarser would be too coarse


@given(st.integers(8, 65_536), st.integers(8, 65_536))
def test_each_scale_is_sqrt_2_times_the_one_before(start, end):
    found = pyramid(start, end)
    for steps, scale in enumerate(reversed(found)):  # from 8 px on rounding makes no two of them equal
        assert abs(scale - end / 2 ** (steps / 2)) <= 0.5


def test_a_min_scale_above_the_end_scale_leaves_one_scale():
    assert pyramid(1000, 512) == (512,)


# Sizes


@pytest.mark.parametrize(("size", "limit", "enlarge", "expected"), NUMBERS["size_to_fit"])
def test_size_to_fit_is_that_of_the_original(size, limit, enlarge, expected):
    assert size_to_fit(tuple(size), limit, enlarge=enlarge) == tuple(expected)


@given(sizes, scales)
def test_the_longest_edge_becomes_the_limit(size, limit):
    assert max(size_to_fit(size, limit, enlarge=True)) == limit


@given(sizes, scales)
def test_nothing_is_enlarged_unless_asked_for(size, limit):
    found = size_to_fit(size, limit, enlarge=False)
    assert max(found) == min(limit, max(size))
    if max(size) <= limit:
        assert found == size


@given(sizes, scales, st.booleans())
def test_the_aspect_is_kept_to_half_a_pixel(size, limit, enlarge):
    width, height = size_to_fit(size, limit, enlarge=enlarge)
    exact = min(size) * max(width, height) / max(size)
    # 1e-9: the product of floats may fall on the other side of a half.
    assert abs(min(width, height) - max(exact, 1)) <= 0.5 + 1e-9 * limit
    assert (width >= height) == (size[0] >= size[1]) or width == height


@given(sizes, scales, st.booleans())
def test_no_edge_vanishes(size, limit, enlarge):
    assert min(size_to_fit(size, limit, enlarge=enlarge)) >= 1


@given(sizes, scales)
def test_a_picture_that_fits_stays(size, limit):
    fitted = size_to_fit(size, limit, enlarge=False)
    assert size_to_fit(fitted, limit, enlarge=False) == fitted


@given(sizes, scales, st.booleans())
def test_a_picture_on_its_side_has_its_size_on_its_side(size, limit, enlarge):
    assert size_to_fit(size[::-1], limit, enlarge=enlarge) == size_to_fit(size, limit, enlarge=enlarge)[::-1]


# Safe scales


@pytest.mark.parametrize(("width", "height", "square", "expected"), NUMBERS["safe_scale"])
def test_safe_scale_is_that_of_the_original(width, height, square, expected):
    assert safe_scale((width, height), square) == expected


@given(sizes, st.integers(1, 10_000))
def test_a_safe_scale_is_the_largest_with_the_area_of_the_square(size, square):
    aspect = max(size) / min(size)
    scale = safe_scale(size, square)
    # scale**2 / aspect is the area; the float root may miss by its last digit
    assert scale**2 / aspect <= square**2 * (1 + 1e-12)
    assert (scale + 1) ** 2 / aspect >= square**2 * (1 - 1e-12)


@given(st.integers(1, 10_000), st.integers(1, 10_000))
def test_the_safe_scale_of_a_square_is_its_edge(edge, square):
    assert safe_scale((edge, edge), square) == square


def test_an_end_scale_in_px_is_taken_as_it_is():
    assert resolve_end_scale(700, (640, 480)) == 700


def test_an_end_scale_with_a_plus_is_a_safe_scale():
    assert resolve_end_scale("512+", (640, 480)) == 591


@given(st.integers(1, 10**9))
def test_the_number_before_the_plus_is_read(number):
    assert parse_safe_scale(f"{number}+") == number


@pytest.mark.parametrize("text", ["", "+", "0+", "-5+", "05+", "512", "5++", " 512+", "512+\n", "5.5+", "٣+"])
def test_anything_else_is_no_safe_scale(text):
    with pytest.raises(ValueError, match=r"is not a whole number followed by '\+'"):
        parse_safe_scale(text)
