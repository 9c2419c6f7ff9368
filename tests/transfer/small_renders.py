"""Renders that take some hundredths of a second."""

from typing import Any

import numpy as np
from torch import Tensor

from styletransfer.network.vgg_weights import Weights
from styletransfer.pictures.picture import Picture
from styletransfer.settings import Settings
from styletransfer.transfer.stylizer import Progress, Stylizer
from tests.networks import shallow_network

QUICK: dict[str, Any] = {
    "end_scale": 24,
    "min_scale": 16,
    "initial_iterations": 4,
    "iterations": 3,
    "content_layers": ("relu2_1",),
    "style_layers": {"relu1_1": 1, "relu2_1": 1},
}
"""Two scales, 17 and 24 px, seven iterations, up to relu2_1: some hundredths of a second."""


def random_picture(seed: int, width: int, height: int) -> Picture:
    return Picture(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8))


CONTENT = random_picture(0, 30, 20)
STYLES = [random_picture(1, 26, 40), random_picture(2, 19, 12)]


def weights() -> Weights:
    return Weights("shallow", "shallow", shallow_network("relu2_1"))


def make_stylizer(**values: Any) -> Stylizer:
    return Stylizer(weights(), Settings.model_validate(QUICK | values))


def render(stylizer: Stylizer, style_weights: tuple[float, ...] = (1, 2), **options: Any) -> Tensor:
    return stylizer.run(CONTENT, STYLES, style_weights, **options)


def progress_of(stylizer: Stylizer) -> list[Progress]:
    seen: list[Progress] = []
    render(stylizer, callback=seen.append)
    return seen
