"""Poolings and their gradients at the input, against autograd's through torch's own."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from styletransfer.network.poolings import Pooling2x2
from styletransfer.settings import Pooling
from tests.reference.network import make_pooling

POOLINGS: tuple[Pooling, ...] = ("max", "average", "l2")


def features(height: int, width: int, seed: int, levels: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """(1, 3, H, W) behind a ReLU; few levels make ties and zeros common."""
    values = torch.randint(-1, levels, (1, 3, height, width), generator=torch.Generator().manual_seed(seed))
    return (values / levels).to(dtype).relu_().contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("kind", POOLINGS)
@given(
    height=st.integers(2, 9), width=st.integers(2, 9), seed=st.integers(0, 99), levels=st.sampled_from([1, 2, 1000])
)
def test_gradients_are_autograds(kind, height, width, seed, levels):
    x = features(height, width, seed, levels)
    if kind == "l2":
        x += 1e-3  # at zero its slope has no limit
    pooling, pooled = Pooling2x2(kind), make_pooling(kind)(x.requires_grad_())
    grad = torch.randn(pooled.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    (expected,) = torch.autograd.grad(pooled, x, grad)
    x = x.detach()
    torch.testing.assert_close(pooling.forward(x), pooled.detach())
    torch.testing.assert_close(pooling.backward(grad.clone(), x, pooled.detach()), expected)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_of_equal_maxima_the_first_gets_everything(dtype):
    x = torch.ones(1, 1, 2, 2, dtype=dtype)
    found = Pooling2x2("max").backward(torch.full((1, 1, 1, 1), 3.0, dtype=dtype), x, x[..., :1, :1].clone())
    assert found.flatten().tolist() == [3, 0, 0, 0]


def test_neighbours_of_the_maximum_get_nothing_however_close():
    """bf16: one ulp below 1 is 1 - 2**-8."""
    x = torch.tensor([1 - 2**-8, 1.0, 1 - 2**-8, 0.0], dtype=torch.bfloat16).view(1, 1, 2, 2)
    pooling = Pooling2x2("max")
    found = pooling.backward(torch.ones(1, 1, 1, 1, dtype=torch.bfloat16), x, pooling.forward(x))
    assert found.flatten().tolist() == [0, 1, 0, 0]


@pytest.mark.parametrize("kind", POOLINGS)
def test_rows_and_columns_left_out_get_zero(kind):
    x = features(5, 7, 1, 1000) + 1
    pooling = Pooling2x2(kind)
    pooled = pooling.forward(x)
    found = pooling.backward(torch.ones_like(pooled), x, pooled)
    assert (found[..., 4, :] == 0).all()
    assert (found[..., 6] == 0).all()
    assert (found[..., :4, :6] != 0).any()
