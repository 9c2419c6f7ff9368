"""Winograd's way of convolving gives what torch's gives, for any size, more exactly."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from styletransfer import winograd
from styletransfer.convolutions import PlainKernel, make_kernel
from styletransfer.winograd import WinogradKernel


def random_tensor(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def case(channels: tuple[int, int], height: int, width: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Features behind a ReLU, weight, bias; channels in and out."""
    channels_in, channels_out = channels
    x = random_tensor(1, channels_in, height, width, seed=seed).relu_()
    weight = random_tensor(channels_out, channels_in, 3, 3, seed=seed + 1) / (3 * channels_in**0.5)
    return x.contiguous(memory_format=torch.channels_last), weight, random_tensor(channels_out, seed=seed + 2)


@given(
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    channels=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    relu=st.booleans(),
    seed=st.integers(0, 999),
)
def test_it_convolves_any_size(height, width, channels, relu, seed):
    x, weight, bias = case(channels, height, width, seed)
    expected = F.conv2d(x.double(), weight.double(), bias.double(), padding=1)
    found = WinogradKernel(weight, bias)(x, relu=relu)
    torch.testing.assert_close(found.double(), expected.relu() if relu else expected, rtol=0, atol=1e-5)
    assert found.is_contiguous(memory_format=torch.channels_last)


def test_strips_change_nothing(monkeypatch):
    x, weight, bias = case((3, 4), 13, 10, 1)
    whole = WinogradKernel(weight, bias)(x)
    monkeypatch.setattr(winograd, "STRIP_ELEMENTS", 1)
    torch.testing.assert_close(WinogradKernel(weight, bias)(x), whole, rtol=0, atol=1e-6)


def test_its_rounding_is_no_coarser_than_the_plain_ways():
    x, weight, bias = case((256, 256), 16, 16, 1)
    exact = F.conv2d(x.double(), weight.double(), bias.double(), padding=1)
    by_winograd, plain = (kernel(weight, bias)(x) for kernel in (WinogradKernel, PlainKernel))
    assert (by_winograd - exact).norm() < 1.5 * (plain - exact).norm()


@pytest.mark.parametrize(
    ("channels", "dtype", "device", "chosen"),
    [
        (256, torch.float32, "cpu", True),
        (128, torch.float32, "cpu", False),
        (256, torch.bfloat16, "cpu", False),
        (256, torch.float64, "cpu", False),
        (256, torch.float32, "meta", False),
    ],
)
def test_it_is_chosen_where_it_is_faster(channels, dtype, device, chosen):
    weight = torch.zeros(channels, channels, 3, 3, dtype=dtype, device=device)
    assert isinstance(make_kernel(weight, None), WinogradKernel) is chosen
