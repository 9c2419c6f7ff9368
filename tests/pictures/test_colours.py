"""Colours of a photograph put into a result, and palettes moved from one picture to another, by known answers."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from styletransfer.pictures import colours
from styletransfer.pictures.colours import (
    Palette,
    from_oklab,
    gaussian_map,
    match_palette,
    put_colours,
    to_oklab,
)
from styletransfer.pictures.picture import Picture, to_tensor

RNG = np.random.default_rng(0)


def random_picture(height=20, width=30, dtype=np.uint8, seed=0):
    top = np.iinfo(dtype).max
    return Picture(np.random.default_rng(seed).integers(0, top, (height, width, 3), dtype, endpoint=True))


def picture_of(mean, cov, seed=0, px=200):
    """A picture whose colours have just this mean and covariance, but for rounding to 16 bits."""
    drawn = np.random.default_rng(seed).uniform(-1, 1, (px * px, 3))
    drawn -= drawn.mean(axis=0)
    drawn = drawn @ np.linalg.inv(np.linalg.cholesky(drawn.T @ drawn / len(drawn))).T
    values = drawn @ np.linalg.cholesky(np.array(cov)).T + mean
    assert values.min() >= 0
    assert values.max() <= 1
    return Picture(np.rint(values * 65535).astype(np.uint16).reshape(px, px, 3))


# Oklab


@pytest.mark.parametrize(
    ("rgb", "lab"),  # from Ottosson's page and its reference implementation
    [
        ((1, 1, 1), (1, 0, 0)),
        ((0, 0, 0), (0, 0, 0)),
        ((1, 0, 0), (0.627955, 0.224863, 0.125846)),
        ((0, 1, 0), (0.866440, -0.233888, 0.179498)),
        ((0, 0, 1), (0.452014, -0.032457, -0.311528)),
    ],
)
def test_known_colours_have_their_place_in_oklab(rgb, lab):
    assert to_oklab(np.array(rgb, float)) == pytest.approx(lab, abs=1e-5)


def test_every_colour_comes_back_from_oklab():
    rgb = RNG.uniform(0, 1, (1000, 3))
    np.testing.assert_allclose(from_oklab(to_oklab(rgb)), rgb, atol=1e-9)


@given(st.floats(0.05, 1), st.floats(-0.4, 0.4), st.floats(-0.4, 0.4))
def test_a_colour_that_srgb_has_not_keeps_lightness_and_hue(lightness, a, b):
    found = to_oklab(from_oklab(np.array([[lightness, a, b]])))[0]
    assert found[0] == pytest.approx(lightness, abs=1e-5)
    assert found[1] * b == pytest.approx(found[2] * a, abs=1e-6)  # the same direction...
    assert found[1:] @ (a, b) >= -1e-6
    assert np.hypot(*found[1:]) <= np.hypot(a, b) + 1e-6  # ... and no more of it


# The photograph's colours in the result


def test_a_picture_with_its_own_colours_stays_as_it_is():
    picture = random_picture(dtype=np.uint16)
    image = to_tensor(picture, torch.float32)
    torch.testing.assert_close(put_colours(image.clone(), picture), image, atol=1e-6, rtol=0)


def test_a_gray_photograph_gives_a_gray_result_as_light_as_it_was():
    image = torch.rand((1, 3, 20, 30), generator=torch.Generator().manual_seed(0))
    before = to_oklab(image[0].permute(1, 2, 0).double().numpy())[..., 0]
    gray = Picture(np.repeat(RNG.integers(0, 256, (40, 60, 1), np.uint8), 3, axis=2))
    planes = put_colours(image, gray)[0].double().numpy()
    assert np.ptp(planes, axis=0).max() < 1e-6
    np.testing.assert_allclose(to_oklab(planes.transpose(1, 2, 0))[..., 0], before, atol=1e-6)


def test_lightness_is_the_results_and_chroma_the_contents():
    light = torch.full((1, 3, 8, 8), 0.5)
    content = Picture(np.full((8, 8, 3), (120, 100, 90), np.uint8))
    found = to_oklab(put_colours(light, content)[0, :, 0, 0].double().numpy())
    assert found[0] == pytest.approx(to_oklab(np.full(3, 0.5))[0], abs=1e-6)
    assert found[1:] == pytest.approx(to_oklab(np.array([120, 100, 90]) / 255)[1:], abs=1e-6)


def test_strips_make_the_same_picture(monkeypatch):
    image, content = to_tensor(random_picture(), torch.float32), random_picture(40, 60, seed=1)
    whole = put_colours(image.clone(), content)
    monkeypatch.setattr(colours, "FLOATS_PX", 60)
    assert torch.equal(put_colours(image.clone(), content), whole)


# Palettes


def random_cov(seed):
    root = np.random.default_rng(seed).uniform(-1, 1, (3, 3))
    return root @ root.T + 0.01 * np.eye(3)


@given(st.integers(0, 1000), st.integers(0, 1000))
def test_one_gaussian_is_carried_to_the_other_by_a_symmetric_map_without_turning(first, second):
    cov, wanted = random_cov(first), random_cov(second)
    matrix = gaussian_map(cov, wanted)
    np.testing.assert_allclose(matrix @ cov @ matrix.T, wanted, atol=1e-8)
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-9)
    assert np.linalg.eigvalsh(matrix).min() > 0


def test_where_axes_agree_each_is_stretched_by_the_ratio_of_deviations():
    found = gaussian_map(np.diag([0.04, 0.01, 0.09]), np.diag([0.01, 0.04, 0.09]))
    np.testing.assert_allclose(found, np.diag([0.5, 2, 1]), atol=1e-12)


def test_an_axis_without_variance_is_not_stretched():
    found = gaussian_map(np.diag([0.04, 1e-9, 0]), np.diag([0.01, 0.04, 0.09]))
    np.testing.assert_allclose(found, np.diag([0.5, 0, 0]), atol=1e-12)


def test_a_palette_is_the_mean_and_covariance_in_strips_or_whole(monkeypatch):
    picture = random_picture(dtype=np.uint16)
    values = (picture.pixels / 65535).reshape(-1, 3)
    monkeypatch.setattr(colours, "FLOATS_PX", 70)
    found = Palette.of(picture)
    np.testing.assert_allclose(found.mean, values.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(found.cov, np.cov(values.T, bias=True), atol=1e-12)


def test_a_style_of_one_gaussian_gets_the_palette_of_another():
    style = picture_of([0.6, 0.5, 0.4], [[0.01, 0.002, 0], [0.002, 0.01, 0.001], [0, 0.001, 0.005]])
    content = picture_of([0.4, 0.5, 0.5], [[0.004, 0, 0.001], [0, 0.008, 0.002], [0.001, 0.002, 0.006]], seed=1)
    moved, wanted = Palette.of(match_palette(style, content)), Palette.of(content)
    np.testing.assert_allclose(moved.mean, wanted.mean, atol=1e-5)
    np.testing.assert_allclose(moved.cov, wanted.cov, atol=2e-5)  # a colour or two are clipped


def test_a_style_that_has_the_palette_already_stays_to_the_rounding():
    style = random_picture(dtype=np.uint16)
    moved = match_palette(style, style)
    np.testing.assert_allclose(moved.pixels.astype(int), style.pixels.astype(int), atol=1)


def test_a_gray_content_makes_the_style_gray():
    gray = Picture(np.repeat(RNG.integers(60, 190, (20, 30, 1), np.uint8), 3, axis=2))
    moved = match_palette(random_picture(), gray).pixels.astype(int)
    assert np.ptp(moved, axis=2).max() <= 1


def test_styles_of_one_colour_get_the_contents_mean():
    style, content = Picture(np.full((8, 8, 3), (9, 200, 50), np.uint8)), random_picture()
    moved = match_palette(style, content)
    np.testing.assert_allclose(moved.pixels[0, 0] / 65535, Palette.of(content).mean, atol=1e-5)
