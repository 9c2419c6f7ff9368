"""Square roots of symmetric matrices by a fixed number of Newton-Schulz steps, two ways.

Twelve steps do not converge for small eigenvalues, and that is wanted: the truncation regularises. An exact
root in float32 has noisy gradients and leads to a visibly worse picture. So both ways compute the very same
truncated iteration (Higham 2008, Functions of Matrices, section 6.7; backward: the Lyapunov solver of Lin &
Maji 2017, https://arxiv.org/abs/1707.06772):

- `trace_by_chain`: as a chain of matrix products, the original's way.
- `spectral_root`, `trace_by_eigenvalues`, `trace_by_factor`: as scalar recurrences on the eigenvalues of one
  `eigh`. A spectral function of a symmetric matrix acts on each eigenvalue alone: value and gradient are the same.

`is_by_chain` says which way a device goes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

STEPS = 12
"""The original's number of steps, forward and backward."""
BY_CHAIN = "cuda"
"""Type of the devices that `is_by_chain`."""
LEAST = -1e-5
"""Least eigenvalue, relative to the norm, that is iterated. Negative ones are rounding: they cancel that of others
and must stay. But far below this the iteration runs away to infinity, as it did for pictures of one colour."""


def is_by_chain(device: torch.device) -> bool:
    """Whether iterations on this device do without `eigh`: on CUDA it is slow, and has the host wait, while
    products are what a GPU is made for.
    """
    return device.type == BY_CHAIN


def spectral_root(matrix: Tensor, steps: int = STEPS) -> Tensor:
    """Root of a positive semidefinite `matrix` (C, C) by coupled Newton-Schulz steps. Not differentiable.

    In float64 on CUDA, whose solver is another than the CPU's: a style's root is made once, and believed for long.
    """
    eigenvalues, vectors = _eigh(matrix.double() if is_by_chain(matrix.device) else matrix)
    return ((vectors * _truncated_roots(eigenvalues, steps)) @ vectors.mT).to(matrix.dtype)


def trace_by_chain(covariances: Tensor, roots: Tensor, steps: int = STEPS) -> tuple[Tensor, Tensor]:
    """`trace_by_eigenvalues` of a batch, by matrix products alone: (B, C, C) twice -> (B), (B, C, C).

    Covariances must be free of negative eigenvalues but for the rounding of float32: from -6e-5 of the norm on the
    steps run away to infinity. Zeros around a smaller matrix and its root change nothing.

    With an identity for gradient, all that the Lyapunov steps multiply are polynomials in the root, which commute:
    what is left of each is one product in place of four.
    """
    y, scale = _root_by_steps(torch.bmm(torch.bmm(roots, covariances), roots), steps)
    norm = torch.linalg.matrix_norm(y, keepdim=True)
    inverse = _inverse_by_steps(y / norm, steps)
    traces = y.diagonal(dim1=1, dim2=2).sum(dim=1) * scale.flatten()
    return traces, torch.bmm(torch.bmm(roots, inverse), roots) / (2 * norm * scale)


def _root_by_steps(matrices: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """Roots of (B, C, C) by coupled Newton-Schulz steps, and what is left to multiply them by: (B, 1, 1)."""
    norm: Tensor = torch.linalg.matrix_norm(matrices, keepdim=True)
    y, z = matrices / norm, torch.eye(matrices.shape[1], dtype=matrices.dtype, device=matrices.device)
    z = z.expand_as(y)
    for t in _three_halves(y, steps):
        t.baddbmm_(z, y, alpha=-0.5)
        y, z = torch.bmm(y, t), torch.bmm(t, z)
    return y, norm.sqrt()


def _inverse_by_steps(a: Tensor, steps: int) -> Tensor:
    """What the Lyapunov steps make of an identity, for roots (B, C, C) of norm 1; both in one product."""
    channels = a.shape[1]
    identity = torch.eye(channels, dtype=a.dtype, device=a.device).expand_as(a)
    both = torch.cat([identity, a], dim=1)
    for t in _three_halves(a, steps):
        a = both[:, channels:]
        both = torch.bmm(both, t.baddbmm_(a, a, alpha=-0.5))
    return both[:, :channels]


def _three_halves(like: Tensor, steps: int) -> Tensor:
    """For each step one and a half times the identities, from which it subtracts in place: (steps, B, C, C).

    All at once: in every step to make them anew, or have `baddbmm` copy them, would be one launch more on a GPU.
    """
    identities = torch.zeros(steps, *like.shape, dtype=like.dtype, device=like.device)
    identities.diagonal(dim1=2, dim2=3).fill_(1.5)
    return identities


def trace_by_eigenvalues(covariance: Tensor, root: Tensor, steps: int = STEPS) -> tuple[Tensor, Tensor]:
    """Trace of the root of `root @ covariance @ root`, and its Lyapunov gradient at `covariance`; by one `eigh`.

    covariance, root (C, C), symmetric -> (), (C, C), same dtype and device.

    From the eigenvectors V of the product, once X = root V is made, all that is left are Rayleigh quotients (as in
    `_eigh`) and a product X diag X^T.
    """
    _, vectors = torch.linalg.eigh(root @ covariance @ root)
    turned = root @ vectors
    roots = _truncated_roots(_columnwise(covariance @ turned, turned), steps)
    slopes = _truncated_slopes(roots, steps)
    return roots.sum(), (turned * slopes) @ turned.mT


def trace_by_factor(
    factor: Tensor,
    shift: float,
    root: Tensor,
    square: Tensor,
    elsewhere: Tensor | None = None,
    steps: int = STEPS,
) -> tuple[Tensor, Tensor]:
    """`trace_by_eigenvalues` of the covariance `factor^T factor + shift I`, with n of C dimensions.

    factor (n, C), root (C, C) and its square -> trace (), and `factor` times the gradient (n, C). `elsewhere` are
    further eigenvalues of the product, in dimensions that `factor` and `root` leave out.
    """
    half = factor @ root
    _, vectors = torch.linalg.eigh(torch.addmm(square, half.mT, half, beta=shift))
    turned = root @ vectors
    seen = factor @ turned
    eigenvalues = _columnwise(seen, seen) + shift * _columnwise(turned, turned)
    if elsewhere is not None:
        eigenvalues = torch.cat([eigenvalues, elsewhere])
    roots = _truncated_roots(eigenvalues, steps)
    slopes = _truncated_slopes(roots, steps)
    return roots.sum(), (seen * slopes[: len(root)]) @ turned.mT


@dataclass(frozen=True)
class LowRankRoot:
    """`spectral_root` of a covariance `F^T F + shift I` with few rows in F: `elsewhere` () times the identity, but
    for the few dimensions of the orthonormal `basis` (C, r), where it has the `roots` (r).
    """

    basis: Tensor
    roots: Tensor
    elsewhere: Tensor

    @classmethod
    def of(cls, covariance: Tensor, shift: float, steps: int = STEPS) -> LowRankRoot:
        """The root of `covariance` (C, C). What differs from `shift` by no more than rounding is taken for it."""
        eigenvalues, vectors = _eigh(covariance)
        rounding = 8 * torch.finfo(covariance.dtype).eps * eigenvalues.max()
        large = eigenvalues > shift + rounding
        roots = _truncated_roots(torch.where(large, eigenvalues, shift), steps)
        return cls(vectors[:, large], roots[large], roots.min())

    @property
    def rank(self) -> int:
        return self.basis.shape[1]

    def within(self, basis: Tensor) -> Tensor:
        """The root (k, k) seen in an orthonormal `basis` (C, k) that spans its own."""
        own = basis.mT @ self.basis
        root = (own * (self.roots - self.elsewhere)) @ own.mT
        root.diagonal().add_(self.elsewhere)
        return root


def _eigh(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues (C) and eigenvectors (C, C) in columns.

    The eigenvalues are Rayleigh quotients of the vectors: in float32 `eigh`'s own are off in one direction by
    about eps times the largest, and the truncated root multiplies that by up to 1.5**12 at small ones. One more
    matrix product takes the loss's error from 1e-4 to 5e-6.
    """
    _, vectors = torch.linalg.eigh(matrix)
    return _columnwise(matrix @ vectors, vectors), vectors


def _columnwise(a: Tensor, b: Tensor) -> Tensor:
    """Scalar product of each column of a with that of b."""
    return (a * b).sum(dim=0)


def _truncated_roots(eigenvalues: Tensor, steps: int) -> Tensor:
    """Newton-Schulz steps on each eigenvalue, where Z Y is a number; the matrix norm is the vector's."""
    norm: Tensor = torch.linalg.vector_norm(eigenvalues)
    y, z = (eigenvalues / norm).clamp_(min=LEAST), torch.ones_like(eigenvalues)
    for _ in range(steps):
        t = (3 - z * y) / 2
        y, z = y * t, t * z
    return y * norm.sqrt()


def _truncated_slopes(roots: Tensor, steps: int) -> Tensor:
    """The Lyapunov steps for an identity gradient, on each eigenvalue of the root: everything commutes there."""
    norm: Tensor = torch.linalg.vector_norm(roots)
    a, q = roots / norm, torch.ones_like(roots) / norm
    for _ in range(steps):
        t = (3 - a * a) / 2
        q, a = q * t, a * t
    return q / 2
