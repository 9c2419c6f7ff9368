"""The objective weighs its terms as the settings say, and its gradient is the slope of their sum."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from styletransfer.errors import ImageError
from styletransfer.objective.moments import blend
from styletransfer.objective.objective import Losses, Objective, Targets
from styletransfer.settings import Settings
from tests.networks import shallow_network
from tests.reference.losses import total_variation
from tests.reference.objective import ReferenceObjective

Kind = type[Objective] | type[ReferenceObjective]
KINDS: tuple[Kind, ...] = (Objective, ReferenceObjective)
SHALLOW: dict[str, Any] = {
    "content_layers": ("relu2_1",),
    "content_weight": 0.5,
    "style_layers": {"relu1_1": 3, "relu2_1": 1},
    "tv_weight": 0.25,
}


def picture(seed: int, height: int = 10, width: int = 12) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(1, 3, height, width, generator=generator, dtype=torch.float64)


def objective_of(
    kind: Kind = Objective, dtype: torch.dtype = torch.float64, **values: Any
) -> Objective | ReferenceObjective:
    return kind(shallow_network(), Settings.model_validate(SHALLOW | values), dtype=dtype)


def targets_of(objective: Objective | ReferenceObjective, dtype: torch.dtype = torch.float64) -> Targets:
    return objective.targets(picture(1).to(dtype), objective.style_moments(picture(2, 9, 15).to(dtype)))


def evaluate(kind: Kind = Objective, **values: Any) -> tuple[dict[str, float], Tensor]:
    """Loss terms and gradient at a picture."""
    objective = objective_of(kind, **values)
    losses, gradient = objective.value_and_gradient(picture(3), targets_of(objective))
    return losses.read(), gradient


@pytest.mark.parametrize("kind", KINDS)
def test_terms_are_named_by_kind_and_layer_and_sum_to_the_total(kind):
    found, _ = evaluate(kind, content_layers=("relu1_2", "relu2_1"))
    terms = ["content_relu1_2", "content_relu2_1", "style_relu1_1", "style_relu2_1", "tv"]
    assert list(found) == [*terms, "total"]
    assert found["total"] == pytest.approx(sum(found[term] for term in terms), rel=1e-15)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"content_layers": ("relu1_2", "relu2_1", "relu3_1")},
        {"style_layers": {"relu1_2": 1, "relu3_1": 0}},
        {"style_layers": {"relu1_1": 1}, "content_layers": ("relu3_1",)},
        {"content_weight": 0, "tv_weight": 0},
    ],
)
def test_the_reference_computes_the_same(values):
    found, gradient = evaluate(Objective, **values)
    expected, by_autograd = evaluate(ReferenceObjective, **values)
    assert found == pytest.approx(expected, rel=1e-11, abs=1e-15)
    torch.testing.assert_close(gradient, by_autograd, rtol=0, atol=1e-10 * float(by_autograd.abs().max()))


def slope_and_gradient(kind: Kind, terms: tuple[str, ...], **values: Any) -> tuple[float, float]:
    """Change of the sum of `terms` along a random direction, and what the gradient of the total says of it."""
    objective = objective_of(kind, **values)
    targets, image, step = targets_of(objective), picture(3), 1e-5 * (picture(4) - 0.5)

    def total(at: Tensor) -> float:
        losses = objective.value_and_gradient(at, targets)[0].read()
        return sum(losses[term] for term in terms)

    slope = (total(image + step) - total(image - step)) / 2
    _, gradient = objective.value_and_gradient(image, targets)
    return slope, float((gradient * step).sum())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("setting", "term"), [("content_weight", "content_relu2_1"), ("tv_weight", "tv")])
def test_the_gradient_of_content_and_total_variation_is_their_slope(kind, setting, term):
    """Without the term the gradient is that of the others: the difference is the term's."""
    slope, whole = slope_and_gradient(kind, (term,))
    _, others = slope_and_gradient(kind, (term,), **{setting: 0})
    assert slope == pytest.approx(whole - others, rel=1e-7)  # the error of central differences


@pytest.mark.parametrize("kind", KINDS)
def test_the_gradient_of_style_is_close_to_its_slope(kind):
    """Not equal, and meant so: the solver of the gradient is truncated too, in its own way."""
    terms = ("style_relu1_1", "style_relu2_1")
    slope, gradient = slope_and_gradient(kind, terms, content_weight=0, tv_weight=0)
    assert slope == pytest.approx(gradient, rel=0.2)


@settings(deadline=None, max_examples=10)
@given(factor=st.floats(0, 1000))
@pytest.mark.parametrize(("setting", "term"), [("content_weight", "content_relu2_1"), ("tv_weight", "tv")])
def test_a_term_is_proportional_to_its_weight(setting, term, factor):
    plain, _ = evaluate()
    weighted, _ = evaluate(**{setting: factor * SHALLOW[setting]})
    assert weighted[term] == pytest.approx(factor * plain[term], rel=1e-12)
    assert {**weighted, term: 0, "total": 0} == {**plain, term: 0, "total": 0}


@settings(deadline=None, max_examples=10)
@given(factor=st.floats(1e-3, 1e3))
def test_only_the_proportions_of_style_layer_weights_count(factor):
    scaled = {name: factor * weight for name, weight in SHALLOW["style_layers"].items()}
    assert evaluate(style_layers=scaled)[0] == pytest.approx(evaluate()[0], rel=1e-12)


def test_content_layers_share_the_content_weight_equally():
    alone = {layer: evaluate(content_layers=(layer,))[0] for layer in ("relu1_2", "relu2_1")}
    shared, _ = evaluate(content_layers=("relu1_2", "relu2_1"))
    for layer, losses in alone.items():
        name = f"content_{layer}"
        assert shared[name] == pytest.approx(losses[name] / 2, rel=1e-14)


@pytest.mark.parametrize("kind", KINDS)
def test_the_content_itself_has_no_content_loss_and_its_style_none_against_itself(kind):
    objective, image = objective_of(kind), picture(3, 40, 50)
    targets = objective.targets(image, objective.style_moments(image))
    losses, _ = objective.value_and_gradient(image, targets)
    found = losses.read()
    assert found["content_relu2_1"] == 0
    assert found["tv"] == pytest.approx(0.25 * total_variation(image).item(), rel=1e-14)
    # A truncated root is too small, so style is not quite 0 on itself.
    assert 0 <= found["style_relu1_1"] < 0.01 * evaluate(kind)[0]["style_relu1_1"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_style_beside_one_with_next_to_no_weight_counts_alone(kind):
    objective = objective_of(kind)
    one, other = objective.style_moments(picture(2)), objective.style_moments(picture(5))
    blended = {layer: blend([one[layer], other[layer]], [1, 1e-18]) for layer in one}
    for target, alone in zip(
        objective.targets(picture(1), blended).style.values(),
        objective.targets(picture(1), one).style.values(),
        strict=True,
    ):
        torch.testing.assert_close(target.covariance, alone.covariance, rtol=0, atol=1e-14)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_gradient_has_the_images_shape_and_type(kind, dtype):
    objective = objective_of(kind, dtype)
    image = picture(3).to(dtype)
    losses, gradient = objective.value_and_gradient(image, targets_of(objective, dtype))
    assert (gradient.shape, gradient.dtype, gradient.device) == (image.shape, dtype, image.device)
    assert not gradient.requires_grad
    assert not losses.total().requires_grad


@pytest.mark.parametrize("kind", KINDS)
def test_evaluating_twice_gives_the_same_bits_and_leaves_image_and_targets_alone(kind):
    objective = objective_of(kind)
    targets, image = targets_of(objective), picture(3)
    before = [image.clone(), *(target.clone() for target in targets.content.values())]
    first, gradient = objective.value_and_gradient(image, targets)
    second, again = objective.value_and_gradient(image, targets)
    assert first.read() == second.read()
    assert torch.equal(gradient, again)
    assert all(torch.equal(a, b) for a, b in zip(before, [image, *targets.content.values()], strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_too_small_for_the_network_is_refused(kind):
    objective = objective_of(kind)
    with pytest.raises(ImageError, match=r"^picture is 12x1 px; must be at least 2x2 px$"):
        objective.value_and_gradient(picture(3, 1, 12), targets_of(objective))


@pytest.mark.parametrize("kind", KINDS)
def test_two_devices_compute_what_one_does(kind):
    found = []
    for devices in (("cpu",), ("cpu", "cpu")):
        objective = kind(
            shallow_network(), Settings.model_validate(SHALLOW), devices=devices, dtype=torch.float64
        )
        losses, gradient = objective.value_and_gradient(picture(3), targets_of(objective))
        found.append((losses.read(), gradient))
    assert found[0][0] == found[1][0]
    assert torch.equal(found[0][1], found[1][1])


def test_losses_read_as_numbers_by_name_and_add_up():
    losses = Losses(("a", "b"), (torch.tensor(0.25), torch.tensor(0.5, dtype=torch.float64)))
    assert losses.read() == {"a": 0.25, "b": 0.5, "total": 0.75}
    assert losses.total().item() == 0.75
