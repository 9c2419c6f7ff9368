"""Both ways to the truncated root agree; where twelve steps are enough it is the root, elsewhere below it."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from styletransfer.objective.sqrtm import (
    STEPS,
    spectral_root,
    trace_by_chain,
    trace_by_eigenvalues,
)
from tests.reference.losses import newton_schulz_root

quick = settings(deadline=None, max_examples=30)  # the machine's load says nothing about the code
seeds = st.integers(0, 2**31)
channels = st.integers(1, 24)


def random_symmetric(eigenvalues: Tensor, seed: int) -> Tensor:
    """A symmetric matrix with these eigenvalues, in a random basis."""
    generator = torch.Generator().manual_seed(seed)
    count = len(eigenvalues)
    basis, _ = torch.linalg.qr(torch.randn(count, count, generator=generator, dtype=torch.float64))
    matrix: Tensor = (basis * eigenvalues.double()) @ basis.mT
    return matrix


def exact_root(matrix: Tensor) -> Tensor:
    """The converged root; differentiable where the eigenvalues are distinct."""
    eigenvalues, vectors = torch.linalg.eigh(matrix)
    root: Tensor = (vectors * eigenvalues.clamp(min=0).sqrt()) @ vectors.mT
    return root


@st.composite
def semidefinite(draw: st.DrawFn, decades: float = 12.0) -> Tensor:
    """Positive semidefinite, of any size, with eigenvalues spread over so many decades."""
    count, scale = draw(channels), 10.0 ** draw(st.floats(-3, 3))
    exponents = draw(st.lists(st.floats(-decades, 0), min_size=count, max_size=count))
    return random_symmetric(scale * 10 ** torch.tensor([*exponents[:-1], 0.0]), draw(seeds))


# The two ways agree


def trace_and_gradient(matrix):
    """Of the root of the matrix itself."""
    return trace_by_eigenvalues(matrix, torch.eye(len(matrix), dtype=matrix.dtype))


def by_chain(covariance, root):
    """Of a batch of one."""
    traces, gradients = trace_by_chain(covariance[None], root[None])
    return traces[0], gradients[0]


@quick
@given(semidefinite())
def test_spectral_root_is_the_newton_schulz_root(matrix):
    # Rounding at small eigenvalues grows by up to 1.5**12, about 130, so 1e-11 of the norm, not 1e-16.
    scale = float(torch.linalg.matrix_norm(matrix)) ** 0.5
    found, expected = spectral_root(matrix) / scale, newton_schulz_root(matrix) / scale
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-11)


@quick
@given(semidefinite())
def test_spectral_trace_and_gradient_are_those_of_newton_schulz(matrix):
    found, gradient = trace_and_gradient(matrix)
    matrix.requires_grad_()
    trace = newton_schulz_root(matrix).trace()
    (expected,) = torch.autograd.grad(trace, matrix)
    # The backward steps multiply rounding by up to 1.5**12 once more.
    torch.testing.assert_close(found, trace.detach(), rtol=1e-10, atol=0)
    torch.testing.assert_close(gradient, expected, rtol=0, atol=1e-8 * float(expected.norm()))


@quick
@given(semidefinite(), seeds)
def test_the_gradient_between_two_roots_is_that_of_newton_schulz(covariance, seed):
    """What the style loss needs: of the root of R C R, at C."""
    root = random_symmetric(torch.linspace(0.1, 1, len(covariance)), seed)
    found, gradient = trace_by_eigenvalues(covariance, root)
    covariance.requires_grad_()
    trace = newton_schulz_root(root @ covariance @ root).trace()
    (expected,) = torch.autograd.grad(trace, covariance)
    torch.testing.assert_close(found, trace.detach(), rtol=1e-10, atol=0)
    torch.testing.assert_close(gradient, expected, rtol=0, atol=1e-8 * float(expected.norm()))


@quick
@given(semidefinite(), seeds)
def test_by_a_chain_of_products_trace_and_gradient_are_the_same(covariance, seed):
    """What runs on CUDA."""
    root = random_symmetric(torch.linspace(0.1, 1, len(covariance)), seed)
    found, gradient = by_chain(covariance, root)
    expected, expected_gradient = trace_by_eigenvalues(covariance, root)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=0)
    torch.testing.assert_close(gradient, expected_gradient, rtol=0, atol=1e-8 * float(expected_gradient.norm()))


@quick
@given(semidefinite(), semidefinite(), seeds)
def test_a_batch_gives_each_its_own_whatever_zeros_are_around_it(one, other, seed):
    width = max(len(one), len(other)) + 1
    roots = [random_symmetric(torch.linspace(0.1, 1, len(matrix)), seed) for matrix in (one, other)]
    covariances, around = (
        torch.stack([F.pad(matrix, (0, width - len(matrix)) * 2) for matrix in matrices])
        for matrices in ((one, other), roots)
    )
    traces, gradients = trace_by_chain(covariances, around)
    for index, (matrix, root) in enumerate(zip((one, other), roots, strict=True)):
        trace, gradient = by_chain(matrix, root)
        torch.testing.assert_close(traces[index], trace, rtol=1e-10, atol=0)
        inside = gradients[index, : len(matrix), : len(matrix)]
        torch.testing.assert_close(inside, gradient, rtol=0, atol=1e-8 * float(gradient.norm()))
        assert torch.count_nonzero(gradients[index]) == torch.count_nonzero(inside)


@pytest.mark.parametrize(("way", "tolerance"), [(by_chain, 2e-4), (trace_by_eigenvalues, 2e-3)])
def test_in_float32_both_ways_stay_close_to_float64(way, tolerance):
    """Features of few positions, against a style of many: measured 6e-5 by the chain, 6e-4 by eigenvalues, whose
    float32 vectors of small eigenvalues hold a little of the large ones'.
    """
    few = torch.cat([torch.full((250,), 1e-4), torch.logspace(-2, 1, 6)])
    covariance, root = random_symmetric(few, 1), random_symmetric(torch.logspace(-2, 0, 256), 2)
    exact, exact_gradient = trace_by_eigenvalues(covariance.double(), root.double())
    trace, gradient = way(covariance.float(), root.float())
    torch.testing.assert_close(trace.double(), exact, rtol=2e-5, atol=0)
    distance = torch.linalg.matrix_norm(gradient.double() - exact_gradient)
    assert distance <= tolerance * torch.linalg.matrix_norm(exact_gradient)


@quick
@given(semidefinite())
def test_trace_is_that_of_the_root(matrix):
    trace, _ = trace_and_gradient(matrix)
    torch.testing.assert_close(trace, spectral_root(matrix).trace(), rtol=1e-11, atol=0)


@pytest.mark.parametrize("seed", range(3))
def test_in_float32_the_spectral_trace_stays_close_to_float64(seed):
    """A covariance of features from few positions: few large eigenvalues, many at the eps of the diagonal."""
    eigenvalues = torch.cat([torch.full((250,), 1e-4), torch.logspace(-2, 1, 6)])
    matrix = random_symmetric(eigenvalues, seed).float()
    exact, exact_gradient = trace_and_gradient(matrix.double())
    trace, gradient = trace_and_gradient(matrix)
    # Measured: 5e-7 and 3e-6. With eigenvalues as eigh gives them, both are ten times that, and biased.
    torch.testing.assert_close(trace.double(), exact, rtol=2e-6, atol=0)
    distance = torch.linalg.matrix_norm(gradient.double() - exact_gradient)
    assert distance <= 1e-5 * torch.linalg.matrix_norm(exact_gradient)


# Where twelve steps are enough


def test_the_root_of_a_diagonal_matrix_is_that_of_its_diagonal():
    root = spectral_root(torch.diag(torch.tensor([1.0, 4.0, 9.0], dtype=torch.float64)))
    torch.testing.assert_close(
        root, torch.diag(torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)), rtol=0, atol=1e-9
    )


@quick
@given(semidefinite(decades=1.5))
def test_the_root_of_a_well_conditioned_matrix_squares_to_it(matrix):
    # Over 1.5 decades, and at most 24 eigenvalues, twelve steps reach the root to more than nine digits.
    scale = float(torch.linalg.matrix_norm(matrix))
    for root in (spectral_root(matrix), newton_schulz_root(matrix)):
        torch.testing.assert_close(root @ root / scale, matrix / scale, rtol=0, atol=1e-9)


@quick
@given(semidefinite(decades=1.5), seeds)
def test_the_lyapunov_gradient_is_that_of_the_exact_root(matrix, seed):
    direction = torch.randn(matrix.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    matrix.requires_grad_()
    (found,) = torch.autograd.grad(newton_schulz_root(matrix), matrix, direction)
    # root X + X root = direction, solved in the basis where root is diagonal
    eigenvalues, vectors = torch.linalg.eigh(matrix.detach())
    roots = eigenvalues.sqrt()
    exact = vectors @ (vectors.mT @ direction @ vectors / (roots[:, None] + roots)) @ vectors.mT
    torch.testing.assert_close(found / exact.norm(), exact / exact.norm(), rtol=0, atol=1e-8)


@pytest.mark.parametrize("seed", range(3))
def test_the_lyapunov_gradient_is_that_of_finite_differences(seed):
    matrix = random_symmetric(torch.linspace(0.2, 1, 6), seed).requires_grad_()
    assert torch.autograd.gradcheck(newton_schulz_root, matrix, eps=1e-6, atol=1e-7)


@pytest.mark.parametrize("seed", range(3))
def test_the_spectral_gradient_is_that_of_autograd_through_the_exact_root(seed):
    matrix = random_symmetric(torch.linspace(0.2, 1, 16), seed)
    _, gradient = trace_and_gradient(matrix)
    matrix.requires_grad_()
    (exact,) = torch.autograd.grad(exact_root(matrix).trace(), matrix)
    torch.testing.assert_close(gradient, exact, rtol=0, atol=1e-9)


# Where they are not


@quick
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.floats(1e-3, 1e3))
def test_a_truncated_root_is_never_above_the_root(smaller, scale):
    eigenvalues = torch.tensor([1.0, *smaller], dtype=torch.float64) * scale
    roots = spectral_root(torch.diag(eigenvalues)).diagonal()
    assert (roots >= 0).all()
    assert (roots <= eigenvalues.sqrt() * (1 + 1e-12)).all()


@pytest.mark.parametrize("small", [1e-8, 1e-10, 1e-12])
def test_the_root_of_a_small_eigenvalue_is_cut_to_one_and_a_half_per_step(small):
    """Each step can raise it by 1.5 at most: the root becomes linear in the eigenvalue, its slope bounded."""
    matrix = torch.diag(torch.tensor([1.0, small], dtype=torch.float64))
    root, slope = spectral_root(matrix)[1, 1], trace_and_gradient(matrix)[1][1, 1]
    # One part in 1.5**24 * small of the way to convergence: 2e-4 at 1e-8, less below.
    assert root.item() == pytest.approx(1.5**STEPS * small, rel=1e-3)
    assert root.item() < math.sqrt(small) / 70 * (small / 1e-8) ** 0.5
    assert slope.item() < 1.5**STEPS  # the exact root's is 0.5 / sqrt(small), 5000 and more


@quick
@given(semidefinite(), st.floats(0.1, 10))
def test_the_root_of_a_multiple_is_the_multiple_of_the_root(matrix, factor):
    scale = float(torch.linalg.matrix_norm(matrix)) ** 0.5
    scaled = spectral_root(factor**2 * matrix) / (factor * scale)
    torch.testing.assert_close(scaled, spectral_root(matrix) / scale, rtol=0, atol=1e-11)


@quick
@given(semidefinite())
def test_the_spectral_root_is_symmetric(matrix):
    root = spectral_root(matrix)
    scale = float(root.norm())
    torch.testing.assert_close(root / scale, root.mT / scale, rtol=0, atol=1e-14)


@pytest.mark.parametrize("root", [newton_schulz_root, spectral_root])
def test_more_steps_come_closer(root):
    matrix = random_symmetric(torch.logspace(-6, 0, 8), 0)
    exact = exact_root(matrix)
    errors = [float((root(matrix, steps) - exact).norm()) for steps in (4, 8, 12, 24)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 1e-9  # enough for any digit that conditioning leaves
