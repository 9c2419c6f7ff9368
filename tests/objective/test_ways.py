"""A picture in strips over several devices has the loss and the gradient of the whole."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from styletransfer.network.tiles import ALL_BLOCKS, Tiling
from styletransfer.objective.masks import MaskedStyle
from styletransfer.objective.objective import Objective
from styletransfer.objective.ways import InStrips
from styletransfer.settings import Settings
from styletransfer.transfer.style_cache import on_devices
from tests.fake_cuda import fake_gpus, fake_network
from tests.networks import shallow_network

SHALLOW = Settings(
    content_layers=("relu2_2", "relu3_1"), style_layers={"relu1_1": 4.0, "relu2_1": 2.0, "relu3_1": 1.0}
)


def pictures(size: tuple[int, int], dtype: torch.dtype) -> list[Tensor]:
    """Image, content, style."""
    generator = torch.Generator().manual_seed(1)
    shapes = (size, size, (48, 40))
    return [torch.rand(1, 3, *shape, generator=generator, dtype=torch.float64).to(dtype) for shape in shapes]


def make_objective(
    count: int, tiling: Tiling | None = None, chosen: Settings = SHALLOW, dtype: torch.dtype = torch.float64
) -> Objective:
    """In strips over so many devices, which are all the CPU."""
    objective = Objective(shallow_network(chosen.layers()[-1]), chosen, tiling=tiling, dtype=dtype)
    objective.place(("cpu",) * count, objective.network.last, in_strips=count > 1)
    return objective


def evaluate(
    count: int, tiling: Tiling | None = None, size: tuple[int, int] = (83, 59), dtype=torch.float64, **changes: Any
) -> tuple[dict[str, float], Tensor]:
    objective = make_objective(count, tiling, SHALLOW.model_copy(update=changes), dtype=dtype)
    image, content, style = pictures(size, dtype)
    losses, gradient = objective.value_and_gradient(
        image, objective.targets(content, objective.style_moments(style))
    )
    return losses.read(), gradient


@pytest.mark.parametrize(
    ("count", "tiling"), [(2, None), (4, None), (2, Tiling(16, 1)), (3, Tiling(16, 2)), (2, Tiling(32, ALL_BLOCKS))]
)
def test_strips_change_nothing(count, tiling):
    """Rounding alone differs: sums are added in another order, and a gradient within its product."""
    whole, gradient = evaluate(1)
    found, in_strips = evaluate(count, tiling)
    assert found == pytest.approx(whole, rel=1e-10)
    torch.testing.assert_close(in_strips, gradient, rtol=0, atol=1e-11 * gradient.abs().max().item())


@pytest.mark.parametrize("pooling", ["average", "l2"])
def test_nor_do_they_with_other_poolings(pooling):
    _, gradient = evaluate(1, pooling=pooling)
    _, in_strips = evaluate(3, pooling=pooling)
    torch.testing.assert_close(in_strips, gradient, rtol=0, atol=1e-11 * gradient.abs().max().item())


def test_in_float32_they_agree_within_its_rounding():
    """That of sums over thousands of positions, as with tiles."""
    _, gradient = evaluate(1, dtype=torch.float32)
    _, in_strips = evaluate(2, dtype=torch.float32)
    assert torch.linalg.vector_norm(in_strips - gradient) <= 3e-5 * torch.linalg.vector_norm(gradient)


def test_the_same_strips_give_the_same_bits_each_time():
    _, first = evaluate(3, dtype=torch.float32)
    _, second = evaluate(3, dtype=torch.float32)
    assert torch.equal(first, second)


@settings(deadline=None, max_examples=5)
@given(height=st.integers(4, 60), width=st.integers(4, 40), count=st.integers(2, 5), tiled=st.booleans())
def test_pictures_of_any_size_can_be_cut(height, width, count, tiled):
    _, gradient = evaluate(1, size=(height, width))
    _, in_strips = evaluate(count, Tiling(8, 2) if tiled else None, size=(height, width))
    torch.testing.assert_close(in_strips, gradient, rtol=0, atol=1e-10 * gradient.abs().max().item())


@pytest.mark.parametrize("count", [2, 3])
def test_parts_with_styles_of_their_own_are_the_same(count):
    """Also one that lies in a single strip, which is not the first."""
    found = []
    for devices in (1, count):
        objective = make_objective(devices)
        image, content, style = pictures((83, 59), torch.float64)
        below = torch.zeros(83, 59, dtype=torch.float64)
        below[60:] = 1
        target = objective.style_targets(objective.style_moments(style))
        styles = tuple(MaskedStyle(target, objective.masks(mask)) for mask in (below, 1 - below))
        targets = objective.targets(content, {})
        found.append(
            objective.value_and_gradient(image, replace(targets, masked=styles))[1]
        )
    torch.testing.assert_close(found[1], found[0], rtol=0, atol=1e-11 * found[0].abs().max().item())


def test_each_device_keeps_the_content_of_its_own_strip():
    with fake_gpus(3):
        objective = Objective(fake_network("relu3_1"), SHALLOW, devices=("cuda:0",))
        objective.place(("cuda:0", "cuda:1", "cuda:2"), objective.network.last, in_strips=True)
        image = torch.empty(1, 3, 96, 60, device="cuda:0")
        targets = objective.targets(image, objective.style_moments(image))
        way = objective._way([image])
        assert isinstance(way, InStrips)
        for number, (strip, _) in enumerate(way._cut([image])):
            own = targets.content_in_strips["relu2_2"].part(strip.owned(8))
            assert str(own.device) == f"cuda:{number}"
        losses, gradient = objective.value_and_gradient(image, targets)
        assert gradient.device == image.device
        assert {str(term.device) for term in losses.terms} == {"cuda:0"}


def test_roots_of_wide_layers_are_dealt_out():
    """From the second device on: the first has those of the narrow layers."""
    with fake_gpus(3):
        objective = Objective(fake_network(), Settings(), devices=("cuda:0",))
        image = torch.empty(1, 3, 400, 60, device="cuda:0")
        for count, expected in ((1, [0, 0]), (2, [1, 0]), (3, [1, 2])):
            devices = [f"cuda:{index}" for index in range(count)]
            objective.place(devices, objective.network.last, in_strips=count > 1)
            moments = on_devices(objective.style_moments(image), objective.device_of)
            targets = replace(objective.targets(image, {}), style=objective.style_targets(moments))
            assert [target.root.device.index for target in targets.style.values()] == [0, 0, 0, *expected]
            assert objective.value_and_gradient(image, targets)[1].device == image.device


def test_neighbours_send_each_other_halos_alone():
    """Of 416 rows two devices have 208 each, read with 80 of the other's, whose gradient goes back."""
    with fake_gpus(2):
        objective = Objective(fake_network(), Settings(), devices=("cuda:0",))
        objective.place(("cuda:0", "cuda:1"), objective.network.last, in_strips=True)
        image = torch.empty(1, 3, 416, 60, device="cuda:0")
        targets = objective.targets(image, objective.style_moments(image))
        strips = objective.apart(image)
        assert [(str(strip.device), strip.shape[2]) for strip in strips] == [("cuda:0", 208), ("cuda:1", 208)]
        with Copies() as copies:
            _, gradients = objective.value_and_gradients(strips, targets)
        assert copies.rows == [80] * 4
        assert [gradient.device for gradient in gradients] == [strip.device for strip in strips]


class Copies(TorchDispatchMode):
    """Rows of each part of the picture that goes from one device to another."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[int] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        tensors = [each for each in (*args, result) if isinstance(each, Tensor)]
        if len({tensor.device for tensor in tensors}) > 1 and result.shape[:2] == (1, 3):
            self.rows.append(result.shape[2])
        return result
