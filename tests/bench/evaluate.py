"""What a finished picture is worth: both objectives in float64, whatever it was rendered with.

The loss that a render reports is rounded as the render is. Here the picture is looked at afresh: by the objective
that is minimised, whose square roots take twelve steps and do not converge, and by the exact one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from styletransfer.objective.moments import Moments
from styletransfer.objective.objective import Objective
from styletransfer.pictures.picture import Picture, resize, to_tensor
from styletransfer.settings import Settings
from styletransfer.sizes import size_to_fit


@dataclass(frozen=True)
class Worth:
    """The two objectives, weighted as in a render: less is better."""

    twelve_steps: float
    exact: float


class Evaluator:
    """Both objectives of pictures that show one content in one style at one scale (longest edge in px)."""

    def __init__(self, tensors: Mapping[str, Tensor], content: Picture, style: Picture, scale: int) -> None:
        self.size = size_to_fit(content.size, scale, enlarge=True)
        self._objective = Objective(tensors, Settings(), dtype=torch.float64)
        at_scale = to_tensor(resize(content, self.size), torch.float64)
        smaller = resize(style, size_to_fit(style.size, scale, enlarge=False))
        self._style = self._objective.style_moments(to_tensor(smaller, torch.float64))
        self._targets = self._objective.targets(at_scale, self._style)

    def worth(self, image: Tensor) -> Worth:
        """Of image (1, 3, H, W) in [0, 1]; one of another size is resized first."""
        width, height = self.size
        image = image.double()
        if image.shape[2:] != (height, width):
            image = torch.nn.functional.interpolate(image, (height, width), mode="bicubic").clamp_(0, 1)
        losses, _ = self._objective.value_and_gradient(image, self._targets)
        terms = losses.read()
        others = sum(loss for name, loss in terms.items() if not name.startswith(("style_", "total")))
        return Worth(terms["total"], others + self._exact_style(image))

    def _exact_style(self, image: Tensor) -> float:
        found = self._objective.style_moments(image)
        return sum(
            weight * exact_wasserstein2(found[layer], self._style[layer])
            for layer, weight in self._objective.weighting.style.items()
        )


def exact_wasserstein2(found: Moments, target: Moments) -> float:
    """Squared 2-Wasserstein distance of two Gaussians, per channel, with square roots by eigenvalues."""
    covariance, wanted = found.covariance(), target.covariance()
    eigenvalues, vectors = torch.linalg.eigh(wanted)
    root = (vectors * eigenvalues.clamp(min=0).sqrt()) @ vectors.mT
    cross = torch.linalg.eigvalsh(root @ covariance @ root).clamp(min=0).sqrt().sum()
    distance = (covariance.trace() + wanted.trace() - 2 * cross) / len(covariance)
    return float((found.mean - target.mean).square().mean() + distance)
