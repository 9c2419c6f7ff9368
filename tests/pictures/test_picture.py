"""A decoded picture: its statistics, its tensors at any size, and what its digest tells."""

import numpy as np
import PIL
import pytest
import torch

from styletransfer.pictures import picture as pictures
from styletransfer.pictures.picture import Picture, resize, to_tensor


def random_picture(dtype=np.uint8, height=50, width=37, seed=0) -> Picture:
    pixels = np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, (height, width, 3), dtype, endpoint=True)
    return Picture(pixels)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("strip_px", [100, 10**6])
def test_mean_and_variance_are_those_of_a_sample_in_strips_or_whole(dtype, strip_px, monkeypatch):
    monkeypatch.setattr(pictures, "_STRIP_PX", strip_px)
    picture = random_picture(dtype)
    values = (picture.pixels / np.iinfo(dtype).max).reshape(-1, 3)
    means, variances = picture.mean_and_variance()
    assert means == pytest.approx(values.mean(axis=0), rel=1e-12)
    assert variances == pytest.approx(values.var(axis=0, ddof=1), rel=1e-12)


def test_one_colour_has_no_variance():
    picture = Picture(np.full((30, 20, 3), (51, 102, 255), np.uint8))
    assert picture.mean_and_variance() == ([0.2, 0.4, 1.0], [0.0, 0.0, 0.0])
    assert Picture(np.zeros((1, 1, 3), np.uint8)).mean_and_variance() == ([0.0] * 3, [0.0] * 3)


def test_a_picture_at_a_size_is_resized_and_then_made_a_tensor():
    picture = random_picture()
    found = picture.at((20, 30), torch.float64)
    assert (found.shape, found.dtype) == ((1, 3, 30, 20), torch.float64)
    assert torch.equal(found, to_tensor(resize(picture, (20, 30)), torch.float64))


def test_a_digest_tells_pixels_depth_and_how_they_are_scaled(monkeypatch):
    picture = random_picture()
    same, wider = Picture(picture.pixels.copy()), Picture(picture.pixels.astype(np.uint16))
    assert picture.digest == same.digest
    assert len({picture.digest, wider.digest, random_picture(seed=1).digest}) == 3
    pictures._scaling.cache_clear()
    monkeypatch.setattr(PIL, "__version__", "99")
    assert Picture(picture.pixels).digest != picture.digest
    pictures._scaling.cache_clear()
