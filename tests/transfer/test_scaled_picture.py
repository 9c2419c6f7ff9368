"""Whatever gives a picture at any size can be rendered: no file, no `Picture`."""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from styletransfer.pictures.picture import Picture
from styletransfer.transfer.scaled_picture import ScaledPicture
from tests.transfer.small_renders import CONTENT, STYLES, make_stylizer, render


@dataclass(frozen=True)
class Relayed:
    """No picture of ours, but what the protocol asks for and nothing else."""

    source: Picture

    @property
    def size(self):
        return self.source.size

    @property
    def digest(self):
        return self.source.digest

    def at(self, size, dtype):
        return self.source.at(size, dtype)

    def mean_and_variance(self):
        return self.source.mean_and_variance()


@pytest.mark.parametrize("init", ["content", "style_stats"])
def test_a_picture_of_ones_own_kind_renders_to_the_same_bits(init):
    stylizer = make_stylizer(init=init)
    found = stylizer.run(Relayed(CONTENT), [Relayed(style) for style in STYLES], (1, 2))
    assert torch.equal(found, render(make_stylizer(init=init)))


def checked(picture: ScaledPicture, size: tuple[int, int], dtype: torch.dtype) -> Tensor:
    found = picture.at(size, dtype)
    assert (found.shape, found.dtype, found.device.type) == ((1, 3, size[1], size[0]), dtype, "cpu")
    assert found.is_contiguous()
    assert found.min() >= 0
    assert found.max() <= 1
    return found


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [(30, 20), (7, 5), (61, 40)])
def test_our_own_pictures_keep_the_protocol(size, dtype):
    checked(CONTENT, size, dtype)


def test_pictures_of_other_pixels_have_another_digest():
    assert len({picture.digest for picture in (CONTENT, *STYLES)}) == 3
    assert Picture(CONTENT.pixels.copy()).digest == CONTENT.digest


def test_mean_and_variance_are_those_of_all_pixels():
    pixels = checked(CONTENT, CONTENT.size, torch.float64)
    mean, variance = CONTENT.mean_and_variance()
    torch.testing.assert_close(torch.tensor(mean), pixels.mean((0, 2, 3)).float(), rtol=0, atol=1e-6)
    torch.testing.assert_close(torch.tensor(variance), pixels.var((0, 2, 3)).float(), rtol=0, atol=1e-6)
