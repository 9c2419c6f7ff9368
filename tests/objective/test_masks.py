"""Parts of a picture with styles of their own: weighted moments, and the losses made of them."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from styletransfer.network.tiles import EVERYWHERE, Tiling
from styletransfer.objective import sqrtm
from styletransfer.objective.masks import LEAST_POSITIONS, LayerMask, MaskedStyle, layer_masks
from styletransfer.objective.moments import STRIP, CentredSums, MomentSums
from styletransfer.objective.objective import Objective, Targets
from styletransfer.objective.style import LayerMoments
from styletransfer.settings import Settings
from tests.networks import shallow_network
from tests.reference.losses import moments

LAYERS = ("relu1_1", "relu2_1")
SHALLOW: dict[str, Any] = {
    "content_layers": ("relu2_1",),
    "content_weight": 0.5,
    "style_layers": {"relu1_1": 3, "relu2_1": 1},
    "tv_weight": 0.25,
}
KINDS = (MomentSums, CentredSums)


def picture(seed: int, height: int = 16, width: int = 24) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(1, 3, height, width, generator=generator, dtype=torch.float64)


def mask(seed: int, height: int = 16, width: int = 24) -> Tensor:
    """With soft edges, and black in its left third."""
    soft = picture(seed, height, width)[0, 0]
    soft[:, : width // 3] = 0
    return soft


def objective_of(**values: Any) -> Objective:
    return Objective(shallow_network(), Settings.model_validate(SHALLOW | values), dtype=torch.float64)


def targets_of(objective: Objective, *masks: Tensor) -> Targets:
    """Of one style for each mask; without any, of the first everywhere."""
    content = objective.targets(picture(1), {}).content
    styles = [objective.style_targets(objective.style_moments(picture(10 + n, 12, 20))) for n in range(9)]
    if not masks:
        return Targets(content, styles[0])
    found = [objective.masks(each) for each in masks]
    kept = [{layer: style[layer] for layer in part} for style, part in zip(styles, found, strict=False)]
    return Targets(content, {}, tuple(map(MaskedStyle, kept, found)))


def assert_same(found: Any, expected: Any, rounding: float = 1e-9) -> None:
    """Losses and gradient alike but for rounding, which truncated roots of small eigenvalues magnify."""
    (losses, gradient), (expected_losses, expected_gradient) = found, expected
    assert losses.read() == pytest.approx(expected_losses.read(), rel=rounding)
    largest = float(expected_gradient.abs().max())
    torch.testing.assert_close(gradient, expected_gradient, rtol=0, atol=rounding * largest)


@pytest.mark.parametrize("kind", KINDS)
@given(st.integers(1, 9), st.integers(1, 12), st.integers(1, 12))
@settings(deadline=None, max_examples=20)
def test_weights_of_one_change_nothing(kind, channels, height, width):
    feats = torch.randn(1, channels, height, width, dtype=torch.float64)
    found = kind.weighted(feats, torch.ones(height, width, dtype=torch.float64), height * width).moments()
    torch.testing.assert_close(found.mean, moments(feats).mean)
    torch.testing.assert_close(found.srm, moments(feats).srm)


@pytest.mark.parametrize("kind", KINDS)
def test_a_weight_of_two_is_a_position_twice(kind):
    feats = torch.randn(1, 5, 2, 3, dtype=torch.float64)
    twice = torch.cat([feats, feats[..., :1]], dim=-1)
    weights = torch.tensor([[2, 1, 1], [2, 1, 1]], dtype=torch.float64)
    found, expected = kind.weighted(feats, weights, 8), kind.of(twice)
    torch.testing.assert_close(found.moments().mean, expected.moments().mean)
    torch.testing.assert_close(found.moments().srm, expected.moments().srm)


def test_more_positions_than_are_weighted_at_a_time_are_all_counted():
    feats = torch.randn(1, 2, STRIP // 8 + 1, 8, dtype=torch.float64)
    weights = torch.rand(STRIP // 8 + 1, 8, dtype=torch.float64)
    total = float(weights.sum())
    found = MomentSums.weighted(feats, weights, total).moments()
    torch.testing.assert_close(found.mean, (feats * weights).sum(dim=(0, 2, 3)) / total)
    torch.testing.assert_close(found.srm, torch.einsum("bihw,bjhw,hw->ij", feats, feats, weights) / total)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_weighted_sums_are_float32_at_least(kind, dtype):
    feats = torch.randn(1, 4, 3, 5).to(dtype)
    found = kind.weighted(feats, torch.rand(3, 5), 7.0).moments()
    assert found.mean.dtype == found.srm.dtype == torch.float32


def test_a_mask_is_averaged_down_to_each_layers_grid():
    """33 px are 16 positions behind one pooling, of which the last pixel is none."""
    white = torch.zeros(32, 33)
    white[:16] = 1
    white[:, 32] = 7
    found = layer_masks(white, ("relu1_1", "relu2_1", "relu4_1"))
    assert [tuple(each.weights.shape) for each in found.values()] == [(32, 33), (16, 16), (4, 4)]
    assert torch.equal(found["relu4_1"].weights, torch.tensor([[1.0] * 4] * 2 + [[0.0] * 4] * 2))
    assert (found["relu4_1"].total, found["relu4_1"].share) == (8, 0.5)


@pytest.mark.parametrize(("white", "layers"), [(0, []), (8, ["relu1_1"]), (64, ["relu1_1", "relu3_1"])])
def test_a_mask_too_small_for_a_layer_is_not_there(white, layers):
    """`white` px of 16 x 16: at relu3_1 a position has 16 of them."""
    mask = torch.zeros(256)
    mask[:white] = 1
    assert list(layer_masks(mask.view(16, 16), ("relu1_1", "relu3_1"))) == layers
    assert LEAST_POSITIONS == 64 / 16


def test_half_a_picture_has_the_moments_of_what_is_cut_out():
    """At the first layer, away from the cut, which features see across."""
    objective = objective_of(style_layers={"relu1_1": 1})
    image = picture(2)
    image[..., 10:14] = image[..., 10:11]  # the same on both sides of the cut, and replicated at the border
    half = torch.zeros(16, 24, dtype=torch.float64)
    half[:, :12] = 1
    found = objective.style_moments(image, half)["relu1_1"]
    cut = objective.style_moments(image[..., :12])["relu1_1"]
    torch.testing.assert_close(found.mean, cut.mean)
    torch.testing.assert_close(found.srm, cut.srm)


@pytest.mark.parametrize("device", ["eigenvalues", "chain"])
def test_one_part_that_covers_all_is_the_whole(device, monkeypatch):
    if device == "chain":
        for place in ("style", "objective", "low_rank"):
            monkeypatch.setattr(f"styletransfer.objective.{place}.is_by_chain", lambda _: True)
    objective, white = objective_of(), torch.ones(16, 24, dtype=torch.float64)
    found = objective.value_and_gradient(picture(3), targets_of(objective, white))
    assert_same(found, objective.value_and_gradient(picture(3), targets_of(objective)))


def test_a_black_part_adds_nothing():
    objective, white = objective_of(), torch.ones(16, 24, dtype=torch.float64)
    alone = objective.value_and_gradient(picture(3), targets_of(objective, white))
    both = objective.value_and_gradient(picture(3), targets_of(objective, white, torch.zeros_like(white)))
    assert_same(both, alone, 0)


def test_parts_of_one_style_share_its_loss():
    """Where all of a picture is the same, so are its parts: their shares sum to one."""
    objective, soft = objective_of(tv_weight=0), mask(4)
    image = torch.full((1, 3, 16, 24), 0.3, dtype=torch.float64)
    found = objective.masks(soft), objective.masks(1 - soft)
    plain = targets_of(objective)
    parts = Targets(plain.content, {}, tuple(MaskedStyle(plain.style, part) for part in found))
    losses = objective.value_and_gradient(image, parts)[0].read()
    # not behind the second layer, which sees the zeros around the picture
    expected = objective.value_and_gradient(image, plain)[0].read()
    assert losses["style_relu1_1"] == pytest.approx(expected["style_relu1_1"], rel=1e-6)


def test_without_any_part_at_a_layer_its_term_is_zero():
    objective = objective_of()
    dot = torch.zeros(16, 24, dtype=torch.float64)
    dot[:2, :3] = 1  # six positions, behind a pooling one and a half
    losses = objective.value_and_gradient(picture(3), targets_of(objective, dot))[0].read()
    assert losses["style_relu1_1"] > 0
    assert losses["style_relu2_1"] == 0
    nowhere = objective.value_and_gradient(picture(3), targets_of(objective, torch.zeros_like(dot)))[0].read()
    assert nowhere["style_relu1_1"] == nowhere["style_relu2_1"] == 0


@pytest.mark.parametrize("by_chain", [False, True])
@pytest.mark.parametrize("tiling", [Tiling(8, 1), Tiling(8, 2), Tiling(8, 5)], ids=str)
def test_parts_in_tiles_are_the_same(by_chain, tiling, monkeypatch):
    """Also where a tile has nothing of a part: the left third is black."""
    if by_chain:
        for place in ("style", "objective", "low_rank"):
            monkeypatch.setattr(f"styletransfer.objective.{place}.is_by_chain", lambda _: True)
    objective = objective_of()
    targets = targets_of(objective, mask(4), 1 - mask(4))
    whole = objective.value_and_gradient(picture(3), targets)
    objective.tiling = tiling
    assert_same(objective.value_and_gradient(picture(3), targets), whole)


@pytest.mark.parametrize("seed", range(3))
def test_the_gradient_of_parts_is_the_slope(seed, monkeypatch):
    """With roots so exact that nothing is truncated; and no step moves features that no part has."""
    monkeypatch.setattr(sqrtm.trace_by_eigenvalues, "__defaults__", (60,))
    monkeypatch.setattr(sqrtm.spectral_root, "__defaults__", (60,))
    objective = objective_of(content_weight=0, tv_weight=0)
    targets = targets_of(objective, mask(4), 0.5 * mask(5))
    image, step = picture(3 + seed), 1e-6 * (picture(40 + seed) - 0.5)

    def total(at: Tensor) -> float:
        return objective.value_and_gradient(at, targets)[0].read()["total"]

    slope = (total(image + step) - total(image - step)) / 2
    gradient = objective.value_and_gradient(image, targets)[1]
    assert slope == pytest.approx(float((gradient * step).sum()), rel=1e-4)
    assert gradient[..., :4].abs().max() == 0  # far enough from the mask's edge at 8


def test_a_mask_of_a_style_counts_its_part_alone():
    """What the mask leaves out may be anything."""
    objective, part = objective_of(), mask(6)
    one, other = picture(7), picture(7)
    other[..., :4] = picture(8)[..., :4]
    found = [objective.style_moments(image, part)["relu1_1"] for image in (one, other)]
    assert torch.equal(found[0].srm, found[1].srm)
    assert objective.style_moments(one, torch.zeros_like(part)) == {}


def test_a_tile_without_weights_is_passed_over():
    weights = torch.zeros(4, 4, dtype=torch.float64)
    weights[:, 2:] = 1
    layer = LayerMask(weights, weights)
    gathered, whole = LayerMoments(layer), LayerMoments(layer)
    feats = torch.randn(1, 3, 4, 4, dtype=torch.float64)
    for columns in (slice(0, 2), slice(2, 4)):
        gathered.add(feats[..., columns], (slice(0, 4), columns))
    whole.add(feats, EVERYWHERE)
    torch.testing.assert_close(gathered.sums().moments().srm, whole.sums().moments().srm)
    assert gathered.sums().count == 8
