"""Winograd's way of convolving gives what torch's gives, for any size."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.grad import conv2d_input

from styletransfer.network import winograd
from styletransfer.network.convolutions import Convolution, turned_round
from styletransfer.network.winograd import Transforms, WinogradKernel


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
    found = WinogradKernel.of(weight, bias)(x, relu=relu)
    torch.testing.assert_close(found.double(), expected.relu() if relu else expected, rtol=0, atol=1e-5)
    assert found.is_contiguous(memory_format=torch.channels_last)


@given(
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    channels=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    seed=st.integers(0, 999),
)
def test_turned_round_it_gives_the_gradient_from_the_same_weights(height, width, channels, seed):
    _, weight, bias = case(channels, height, width, seed)
    grad = random_tensor(1, channels[1], height, width, seed=seed)
    kernel = WinogradKernel.of(weight, bias)
    turned = kernel.turned_round()
    expected = conv2d_input((1, channels[0], height, width), weight.double(), grad.double(), padding=1)
    torch.testing.assert_close(turned(grad).double(), expected, rtol=0, atol=5e-5)  # sums of up to 45 around 1
    assert turned.weight.data_ptr() == kernel.weight.data_ptr()


def test_strips_change_nothing(monkeypatch):
    """But rounding, since products of other sizes may add up in another order: seen in float64."""
    x, weight, bias = case((3, 4), 13, 10, 1)
    kernel = in_float64(WinogradKernel.of(weight, bias))
    whole = kernel(x.double())
    monkeypatch.setattr(winograd, "FEWEST_TILES", 1)
    torch.testing.assert_close(kernel(x.double()), whole, rtol=0, atol=1e-13)


def in_float64(kernel: WinogradKernel) -> WinogradKernel:
    assert kernel.bias is not None
    transforms = Transforms(kernel.transforms.inputs.double(), kernel.transforms.outputs.double())
    return WinogradKernel(kernel.weight.double(), kernel.bias.double(), transforms)


@pytest.mark.parametrize("channels", [128, 256, 512])
def test_its_rounding_is_hardly_coarser_than_the_plain_ways(channels):
    """Which is 0.2e-6 to 0.9e-6. The points of most texts, 0, 1, -1, 2 and -2, would make it 2.0e-6 and more."""
    x, weight, _ = case((channels, channels), 16, 16, 1)
    kernel = WinogradKernel.of(weight, None)
    assert relative_error(kernel(x), F.conv2d(x.double(), weight.double(), padding=1)) < 1.6e-6
    gradient = F.conv2d(x.double(), turned_round(weight).double(), padding=1)
    assert relative_error(kernel.turned_round()(x), gradient) < 1.6e-6


def relative_error(found: Tensor, exact: Tensor) -> float:
    return float((found - exact).norm() / exact.norm())


@pytest.mark.parametrize(
    ("channels", "dtype", "device", "chosen"),
    [
        (128, torch.float32, "cpu", True),
        (64, torch.float32, "cpu", False),
        (256, torch.bfloat16, "cpu", False),
        (256, torch.float64, "cpu", False),
        (256, torch.float32, "meta", False),
    ],
)
def test_it_is_chosen_where_it_is_faster(channels, dtype, device, chosen):
    weight = torch.zeros(channels, channels, 3, 3, dtype=dtype, device=device)
    convolution = Convolution.of(weight, torch.zeros(channels, dtype=dtype, device=device))
    assert isinstance(convolution.kernel, WinogradKernel) is chosen
    assert isinstance(convolution.kernel_back, WinogradKernel) is chosen
