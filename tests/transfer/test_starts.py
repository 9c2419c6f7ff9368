"""What the first scale starts from: the right distribution, from the seed alone."""

from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from styletransfer.pictures.picture import Picture
from styletransfer.settings import NamedInit
from styletransfer.transfer.starts import start_image

quick = settings(deadline=None, max_examples=30)
seeds = st.integers(0, 2**63 - 1)
inits = st.sampled_from(get_args(NamedInit))
random_inits = st.sampled_from([init for init in get_args(NamedInit) if init != "content"])

CONTENT = torch.linspace(0, 1, 3 * 5 * 7).view(1, 3, 5, 7)
LARGE = torch.zeros(1, 3, 200, 200)
"""40,000 samples a channel: a mean is off by 1/200 of the deviation, typically."""


def two_tone(low: tuple[float, ...], high: tuple[float, ...]) -> Picture:
    """A picture, half of each colour: mean (low + high) / 2, deviation (high - low) / 2."""
    halves = [np.broadcast_to(np.rint(np.array(colour) * 65535), (100, 50, 3)) for colour in (low, high)]
    return Picture(np.concatenate(halves, axis=1).astype(np.uint16))


STYLES = [two_tone((0.4, 0.5, 0.5), (0.5, 0.6, 0.6)), two_tone((0.5, 0.3, 0.4), (0.6, 0.4, 0.5))]


def start(init: NamedInit, content: Tensor = LARGE, weights: tuple[float, ...] = (1, 1), seed: int = 0) -> Tensor:
    return start_image(init, content, STYLES, weights, seed)


@quick
@given(inits, seeds)
def test_every_start_is_a_picture_like_the_content(init, seed):
    found = start(init, CONTENT.double(), seed=seed)
    assert (found.shape, found.dtype, found.device) == (CONTENT.shape, torch.float64, CONTENT.device)
    assert found.min() >= 0
    assert found.max() <= 1


def test_content_starts_from_a_copy_of_the_content():
    found = start("content", CONTENT)
    assert torch.equal(found, CONTENT)
    assert found.data_ptr() != CONTENT.data_ptr()


@quick
@given(random_inits, seeds)
def test_one_seed_gives_one_start(init, seed):
    assert torch.equal(start(init, CONTENT, seed=seed), start(init, CONTENT, seed=seed))


@quick
@given(random_inits, st.lists(seeds, min_size=2, max_size=2, unique=True))
def test_another_seed_gives_another_start(init, two):
    assert not torch.equal(start(init, CONTENT, seed=two[0]), start(init, CONTENT, seed=two[1]))


@quick
@given(random_inits, seeds, st.integers(0, 1000))
def test_the_global_generator_is_neither_used_nor_moved(init, seed, unrelated):
    expected = start(init, CONTENT, seed=seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(unrelated)
        before = torch.get_rng_state()
        assert torch.equal(start(init, CONTENT, seed=seed), expected)
        assert torch.equal(torch.get_rng_state(), before)


@quick
@given(random_inits, seeds)
def test_precision_does_not_change_the_start(init, seed):
    single, double = start(init, CONTENT, seed=seed), start(init, CONTENT.double(), seed=seed)
    assert torch.equal(single.double(), double)


@pytest.mark.parametrize(
    ("init", "mean", "deviation", "low", "high"),
    [
        ("gray", 0.5 + 0.5 / 255, 1 / 255 / 12**0.5, 0.5, 0.5 + 1 / 255),
        ("uniform", 0.5, 1 / 12**0.5, 0, 1),
        # A normal of deviation 0.25 cut at two deviations: 0.25 * sqrt(1 - 2 * 2 * phi(2) / (2 * Phi(2) - 1)).
        ("normal", 0.5, 0.25 * 0.8796, 0, 1),
    ],
)
def test_noise_has_its_mean_deviation_and_bounds(init, mean, deviation, low, high):
    found = start(init)
    error = deviation / 200  # of one channel's mean: 3 channels and 4 sigma keep chance out
    assert found.mean().item() == pytest.approx(mean, abs=4 * error / 3**0.5)
    assert found.std().item() == pytest.approx(deviation, rel=0.02)
    assert low <= found.min()
    assert found.max() <= high
    assert found.max() - found.min() > 0.99 * (high - low)  # the bounds are reached


def test_channels_of_noise_are_independent():
    channels = start("uniform")[0].flatten(1)
    correlations = torch.corrcoef(channels)[~torch.eye(3, dtype=torch.bool)]
    assert correlations.abs().max() < 4 / 200  # four standard errors


@pytest.mark.parametrize("weights", [(1, 1), (3, 1), (30, 10), (1, 0.25)])
def test_style_stats_blend_means_and_variances_of_the_styles(weights):
    """All deviations are 0.05 here and the colours within 4 of them from the ends: hardly anything is cut."""
    found = start("style_stats", weights=weights)
    share = weights[0] / sum(weights)
    expected = share * torch.tensor([0.45, 0.55, 0.55]) + (1 - share) * torch.tensor([0.55, 0.35, 0.45])
    torch.testing.assert_close(found.mean(dim=(0, 2, 3)), expected, rtol=0, atol=4 * 0.05 / 200)
    torch.testing.assert_close(found.std(dim=(0, 2, 3)), torch.full((3,), 0.05), rtol=0.02, atol=0)


def test_variances_of_styles_are_blended_not_their_deviations():
    flat, varied = two_tone((0.5,) * 3, (0.5,) * 3), two_tone((0.4,) * 3, (0.6,) * 3)
    found = start_image("style_stats", LARGE, [flat, varied], [1, 1], 0)
    torch.testing.assert_close(found.std(), torch.tensor(0.1 / 2**0.5), rtol=0.02, atol=0)


def test_a_style_of_one_colour_gives_that_colour():
    colour = (0.2, 0.4, 1.0)
    found = start_image("style_stats", CONTENT, [two_tone(colour, colour)], [1], 0)
    torch.testing.assert_close(found, torch.tensor(colour).view(1, 3, 1, 1).expand_as(found), rtol=0, atol=1e-6)
