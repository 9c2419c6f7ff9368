"""The styles of a render: at which sizes they are measured, and how they are blended."""

from typing import Any

import pytest
import torch

from styletransfer.objective.objective import Objective
from styletransfer.settings import Settings
from styletransfer.transfer.memory_plan import Budget, plan_memory
from styletransfer.transfer.style_cache import StyleCache
from styletransfer.transfer.styles import RenderStyles
from tests.networks import shallow_network
from tests.transfer.small_renders import QUICK, STYLES, make_stylizer, random_picture, render

SETTINGS = Settings.model_validate(QUICK)
PLAN = plan_memory((24, 16), SETTINGS, 4, Budget(("cpu",), {"cpu": 10**13}))


def targets_of(pictures, weights, *, cache=None, identity=None):
    styles = RenderStyles(
        pictures=pictures,
        weights=weights,
        settings=SETTINGS,
        objective=Objective(shallow_network("relu2_1"), SETTINGS, dtype=torch.float64),
        cache=cache or StyleCache(),
        network_identity=identity,
        network_dtype=torch.float64,
        image_dtype=torch.float64,
    )
    return styles.targets(24, PLAN)


# Sizes


def sizes_of_styles(**values: Any) -> list[tuple[int, int]]:
    """Width and height at which each style is measured, in order; the real objective does the measuring."""
    stylizer, sizes = make_stylizer(**values), []
    measure = stylizer.objective.style_moments

    def style_moments(style, mask=None):
        sizes.append((style.shape[3], style.shape[2]))
        return measure(style, mask)

    stylizer.objective.style_moments = style_moments  # type: ignore[method-assign]
    render(stylizer)
    return sizes


@pytest.mark.parametrize(
    ("values", "sizes"),
    [
        # Each scale: the 26 x 40 style, then the 19 x 12 one.
        ({}, [(11, 17), (17, 11), (16, 24), (19, 12)]),
        ({"style_scale_fac": 0.5}, [(5, 8), (8, 5), (8, 12), (12, 8)]),
        ({"style_scale_fac": 10.0}, [(26, 40), (19, 12)] * 2),
        ({"style_size": 10}, [(6, 10), (10, 6)] * 2),
        ({"style_size": 10, "style_scale_fac": 3.0}, [(6, 10), (10, 6)] * 2),
        ({"style_size": 1000}, [(26, 40), (19, 12)] * 2),
    ],
)
def test_styles_follow_the_scale_or_their_own_size_and_are_never_enlarged(values, sizes):
    assert sizes_of_styles(**values) == sizes


# Blends


def test_only_the_proportions_of_style_weights_count():
    # Powers of two: the shares are the same to the last bit.
    assert torch.equal(render(make_stylizer(), (1, 3)), render(make_stylizer(), (4, 12)))
    assert not torch.equal(render(make_stylizer(), (1, 3)), render(make_stylizer(), (3, 1)))


def test_a_style_blended_with_itself_is_that_style():
    alone, twice = targets_of(STYLES[:1], [1]), targets_of([STYLES[0], STYLES[0]], [1, 3])
    assert list(alone) == ["relu1_1", "relu2_1"]
    for layer, target in alone.items():
        torch.testing.assert_close(twice[layer].mean, target.mean, rtol=0, atol=1e-12)
        torch.testing.assert_close(twice[layer].covariance, target.covariance, rtol=0, atol=1e-12)


def test_a_blends_means_are_weighted():
    one, other = (targets_of([style], [1])["relu1_1"].mean for style in STYLES)
    blend = targets_of(STYLES, [3, 1])["relu1_1"].mean
    torch.testing.assert_close(blend, (3 * one + other) / 4, rtol=0, atol=1e-12)


def test_styles_are_told_apart_by_their_pixels_where_targets_are_kept():
    """Only a network that has an identity has its targets kept."""
    cache = StyleCache()
    first = targets_of(STYLES[:1], [1], cache=cache, identity="shallow")
    again = targets_of([random_picture(1, 26, 40)], [1], cache=cache, identity="shallow")
    other = targets_of(STYLES[1:], [1], cache=cache, identity="shallow")
    assert again["relu1_1"].covariance is first["relu1_1"].covariance
    assert other["relu1_1"].covariance is not first["relu1_1"].covariance
    unknown = [targets_of(STYLES[:1], [1], cache=cache) for _ in range(2)]
    assert unknown[0]["relu1_1"].covariance is not unknown[1]["relu1_1"].covariance
