"""Style (Wasserstein-2 between Gaussians) and total variation, differentiable by autograd.

Roots of matrices by Newton-Schulz steps with the Lyapunov gradient, as in the original program.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from styletransfer.objective.moments import Moments
from styletransfer.objective.sqrtm import STEPS
from styletransfer.objective.wasserstein import StyleTarget


def moments(feats: Tensor) -> Moments:
    """Moments of features (1, C, H, W), in their dtype; differentiable."""
    flat = feats.flatten(2)[0]  # (C, H W)
    return Moments(flat.mean(dim=1), flat @ flat.mT / flat.shape[1])


def style_target(blended: Moments) -> StyleTarget:
    """The target that `blended` moments of the styles make."""
    covariance = blended.covariance()
    root = newton_schulz_root(covariance)
    return StyleTarget(blended.mean, covariance, root, root @ root)


def wasserstein2(found: Moments, target: StyleTarget) -> Tensor:
    """Squared 2-Wasserstein distance of two Gaussians, per channel; differentiable, by Newton-Schulz."""
    covariance = found.covariance()
    cross = newton_schulz_root(target.root @ covariance @ target.root)
    means = (found.mean - target.mean).square().mean()
    return means + (target.covariance + covariance - 2 * cross).diagonal().mean()


def total_variation(image: Tensor) -> Tensor:
    """L2 total variation of image (1, 3, H, W) on a nine-point stencil; differentiable."""
    padded = F.pad(image, (1, 1, 1, 1), "replicate")
    inside = padded[..., 1:-1, 1:-1]
    dx, dy = padded[..., 1:-1, 2:] - inside, padded[..., 2:, 1:-1] - inside
    down = padded[..., 1:, 1:] - padded[..., :-1, :-1]
    up = padded[..., :-1, 1:] - padded[..., 1:, :-1]
    straight, diagonal = ((a.square().mean() + b.square().mean()) for a, b in ((dx, dy), (down, up)))
    return 2 * (straight / 3 + diagonal / 12)


def newton_schulz_root(matrix: Tensor, steps: int = STEPS) -> Tensor:
    """Root of a positive semidefinite `matrix` (C, C) by coupled Newton-Schulz steps; differentiable."""
    root: Tensor = _NewtonSchulzRoot.apply(matrix, steps)
    return root


def _newton_schulz(matrix: Tensor, steps: int) -> Tensor:
    norm: Tensor = torch.linalg.matrix_norm(matrix)
    three = 3 * torch.eye(len(matrix), dtype=matrix.dtype, device=matrix.device)
    y, z = matrix / norm, three / 3
    for _ in range(steps):
        t = (three - z @ y) / 2
        y, z = y @ t, t @ z
    return y * norm.sqrt()


class _NewtonSchulzRoot(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, matrix: Tensor, steps: int) -> Tensor:
        root = _newton_schulz(matrix, steps)
        ctx.save_for_backward(root)
        ctx.steps = steps
        return root

    @staticmethod
    def backward(ctx: Any, grad_root: Tensor) -> tuple[Tensor, None]:
        (root,) = ctx.saved_tensors
        return _lyapunov(root, grad_root, ctx.steps), None


def _lyapunov(root: Tensor, grad: Tensor, steps: int) -> Tensor:
    """Solution x of root x + x root = grad, by steps that drive the scaled root to the identity."""
    norm: Tensor = torch.linalg.matrix_norm(root)
    three = 3 * torch.eye(len(root), dtype=root.dtype, device=root.device)
    a, q = root / norm, grad / norm
    for _ in range(steps):
        t = three - a @ a
        q = (q @ t - a.mT @ (a.mT @ q - q @ a)) / 2
        a = a @ t / 2
    return q / 2
