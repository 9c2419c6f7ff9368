"""Convolutions with weights in oneDNN's layout give what plain ones give, and do without it where it is gone."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from styletransfer.network import convolutions
from styletransfer.network.convolutions import (
    Convolution,
    FirstConvolution,
    PlainKernel,
    can_pack,
    fold_replicate_padding,
    turned_round,
)


def random_tensor(*shape: int, seed: int, dtype: torch.dtype = torch.float32) -> Tensor:
    tensor = torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)
    return tensor.contiguous(memory_format=torch.channels_last) if len(shape) == 4 else tensor


def weight_and_bias(channels_in: int, channels_out: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    weight = random_tensor(channels_out, channels_in, 3, 3, seed=1) / (3 * channels_in**0.5)
    return weight.to(dtype), random_tensor(channels_out, seed=2, dtype=dtype)


def test_this_torch_has_the_interface():
    """If this fails after an upgrade of torch, results are still right, but small pictures take longer."""
    assert can_pack(torch.zeros(64, 64, 3, 3))


def test_what_the_processor_cannot_pack_is_left_plain():
    bf16 = torch.zeros(64, 64, 3, 3, dtype=torch.bfloat16)
    assert can_pack(bf16) == torch.ops.mkldnn._is_mkldnn_bf16_supported()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize(("height", "width"), [(64, 64), (17, 22), (1, 3)])
@pytest.mark.parametrize("padding", [0, 1, 2])
def test_packed_weights_give_what_plain_ones_give(dtype, height, width, padding, monkeypatch):
    if padding == 0 and min(height, width) < 3:
        height, width = 3, 5
    weight, bias = weight_and_bias(16, 32, dtype)
    x = random_tensor(1, 16, height, width, seed=3, dtype=dtype)
    packed = PlainKernel(weight, bias, padding)(x, relu=True)
    monkeypatch.setattr(convolutions, "can_pack", lambda _: False)
    plain = PlainKernel(weight, bias, padding)(x, relu=True)
    assert packed.is_contiguous(memory_format=torch.channels_last)
    # The order of sums may differ with the layout: an ulp or two of the largest value.
    torch.testing.assert_close(packed, plain, rtol=0, atol=4 * torch.finfo(dtype).eps * float(plain.max()))


def test_float64_has_no_layout_of_its_own():
    assert not can_pack(torch.zeros(64, 64, 3, 3, dtype=torch.float64))


def test_the_gradient_is_autograds():
    weight, bias = weight_and_bias(4, 6, torch.float64)
    x = random_tensor(1, 4, 7, 9, seed=3, dtype=torch.float64).requires_grad_()
    y = F.conv2d(x, weight, bias, padding=1)
    grad = random_tensor(1, 6, 7, 9, seed=4, dtype=torch.float64)
    (expected,) = torch.autograd.grad(y, x, grad)
    torch.testing.assert_close(Convolution.of(weight, bias).backward(grad), expected)


def test_the_first_gradient_is_autograds_through_replicate_padding():
    weight, bias = weight_and_bias(3, 6, torch.float64)
    x = random_tensor(1, 3, 7, 9, seed=3, dtype=torch.float64).requires_grad_()
    y = F.conv2d(F.pad(x, (1, 1, 1, 1), "replicate"), weight, bias)
    grad = random_tensor(1, 6, 7, 9, seed=4, dtype=torch.float64)
    (expected,) = torch.autograd.grad(y, x, grad)
    torch.testing.assert_close(FirstConvolution.first(weight, bias, torch.float64).backward(grad), expected)


def test_the_first_convolution_sees_the_image_in_float32():
    """Two images that are one in bf16 have different features."""
    weight, bias = weight_and_bias(3, 64, torch.float32)
    convolution = FirstConvolution.first(weight, bias, torch.bfloat16)
    image = torch.full((1, 3, 8, 8), 0.5)
    features, others = convolution.forward(image), convolution.forward(image + 2**-11)
    assert features.dtype == torch.bfloat16
    assert torch.equal(image.bfloat16(), (image + 2**-11).bfloat16())
    assert not torch.equal(features, others)


def test_turning_round_twice_is_nothing():
    weight, _ = weight_and_bias(3, 5, torch.float32)
    assert torch.equal(turned_round(turned_round(weight)), weight)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**31), st.integers(1, 9), st.integers(1, 9), st.integers(1, 3))
def test_folding_is_the_gradient_of_replicate_padding(seed, height, width, channels):
    image = random_tensor(1, channels, height, width, seed=0, dtype=torch.float64).requires_grad_()
    grad = random_tensor(1, channels, height + 2, width + 2, seed=seed, dtype=torch.float64)
    (expected,) = torch.autograd.grad(F.pad(image, (1, 1, 1, 1), "replicate"), image, grad)
    torch.testing.assert_close(fold_replicate_padding(grad.clone()), expected, rtol=0, atol=1e-14)
