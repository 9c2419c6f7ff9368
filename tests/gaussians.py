"""Features and moments to test with."""

import torch
from torch import Tensor

from styletransfer.objective.moments import COVARIANCE_EPS, Moments
from tests.reference.losses import moments


def random_tensor(*shape: int, seed: int = 0) -> Tensor:
    """Uniform in [0, 1), float64."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def random_moments(channels: int, seed: int) -> Moments:
    """Of features at more positions than channels, so that the covariance is well conditioned."""
    return moments(random_tensor(1, channels, 5, 2 * channels, seed=seed))


def gaussian(mean: list[float], variances: list[float]) -> Moments:
    """Moments of independent channels; the variances are those that remain after eps is added."""
    means = torch.tensor(mean, dtype=torch.float64)
    covariance = torch.diag(torch.tensor(variances, dtype=torch.float64) - COVARIANCE_EPS)
    return Moments(means, covariance + torch.outer(means, means))
