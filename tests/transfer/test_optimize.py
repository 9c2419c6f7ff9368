"""Adam by its formulas and across scales, L-BFGS on a parabola, the average by its closed form."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from styletransfer.errors import RecordError
from styletransfer.network.rows import Strips
from styletransfer.objective.objective import Losses
from styletransfer.settings import Settings
from styletransfer.transfer.optimize import (
    Adam,
    Average,
    Lbfgs,
    Optimizer,
    laid,
    make_optimizer,
    resize,
)
from styletransfer.transfer.state import snapshot

quick = settings(deadline=None, max_examples=30)
seeds = st.integers(0, 2**31)
sides = st.integers(1, 12)


def picture(seed: int, height: int = 4, width: int = 5) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(1, 3, height, width, generator=generator, dtype=torch.float64)


class Parabola:
    """Loss half of sum(stiffness * (image - bottom)**2): known slope, known bottom."""

    def __init__(self, bottom: Tensor, stiffness: Tensor | float = 1.0) -> None:
        self.bottom, self.stiffness = bottom, stiffness
        self.evaluations = 0

    def __call__(self, strips: Strips) -> tuple[Losses, list[Tensor]]:
        (image,) = strips
        self.evaluations += 1
        gradient = self.stiffness * (image - self.bottom)
        return Losses(("height",), ((gradient * (image - self.bottom)).sum() / 2,)), [gradient]

    def height(self, image: Tensor) -> float:
        return self([image])[0].read()["total"]


def stepped(optimizer: Optimizer, evaluate: Parabola, steps: int, step_size: float = 0.02) -> Optimizer:
    for _ in range(steps):
        optimizer.step(evaluate, step_size)
    return optimizer


def same(one: Any, other: Any) -> bool:
    """Whether two states are equal, bit by bit."""
    if isinstance(one, Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


@pytest.mark.parametrize(("name", "kind"), [("adam", Adam), ("lbfgs", Lbfgs)])
def test_the_setting_names_the_optimizer(name, kind):
    assert isinstance(make_optimizer([picture(0)], Settings(optimizer=name)), kind)


@pytest.mark.parametrize("name", ["adam", "lbfgs"])
def test_a_step_moves_the_image_in_place_and_tells_the_losses_before_it(name):
    image, parabola = picture(0), Parabola(picture(1))
    before = parabola.height(image)
    losses = make_optimizer([image], Settings(optimizer=name)).step(parabola, 0.02)
    assert losses.read()["total"] == before
    assert parabola.height(image) < before


@pytest.mark.parametrize("name", ["adam", "lbfgs"])
def test_a_step_evaluates_once(name):
    parabola = Parabola(picture(1))
    stepped(make_optimizer([picture(0)], Settings(optimizer=name)), parabola, 5)
    assert parabola.evaluations == 5


@pytest.mark.parametrize("name", ["adam", "lbfgs"])
@pytest.mark.parametrize("steps", [1, 2, 7])
def test_an_optimizer_with_anothers_state_goes_on_bit_by_bit_as_that_one(name, steps):
    chosen, parabola = Settings(optimizer=name), Parabola(picture(1), picture(2))
    first = stepped(make_optimizer([picture(0)], chosen), parabola, steps)
    second = make_optimizer([first.image.clone()], chosen)
    second.load_state(snapshot(first.state()))  # a state is what it stands for only until the next step
    image = stepped(first, parabola, 3).image
    assert torch.equal(stepped(second, parabola, 3).image, image)


@pytest.mark.parametrize("name", ["adam", "lbfgs"])
@pytest.mark.parametrize("steps", [0, 3])
def test_an_optimizer_that_was_moved_goes_on_bit_by_bit_with_the_same_image(name, steps):
    chosen, parabola = Settings(optimizer=name), Parabola(picture(1), picture(2))
    moved, image = make_optimizer([picture(0)], chosen), picture(0)
    held = stepped(moved, parabola, steps).image
    moved = laid(moved, lambda whole: [whole.to("cpu")])
    expected = stepped(make_optimizer([image], chosen), parabola, steps + 2).image
    assert torch.equal(stepped(moved, parabola, 2).image, expected)
    assert moved.image is held


# In strips


@pytest.mark.parametrize("steps", [0, 1, 4])
def test_in_strips_adam_and_average_are_those_of_the_whole(steps):
    """Cut after so many steps, with what the next scale takes over. But for rounding: a CPU's is another behind the
    last whole vector.
    """

    def apart(picture: Tensor) -> list[Tensor]:
        return [rows.contiguous() for rows in torch.split(picture, [3, 4, 2], dim=2)]

    def pulled(image: Strips) -> tuple[Losses, list[Tensor]]:
        return Losses((), ()), [2 * strip - strip**2 for strip in image]

    found = []
    for lay in (lambda picture: [picture], apart):
        optimizer: Optimizer = Adam([picture(0, 9)])
        average = Average(optimizer.strips, 0.9)
        for _ in range(steps):
            optimizer.step(pulled, 0.02)
            average.update(optimizer.strips)
        optimizer = laid(optimizer, lay)
        average.lay(lay)
        for _ in range(2):
            optimizer.step(pulled, 0.02)
            average.update(optimizer.strips)
        following = optimizer.carried_over(lay(picture(1, 9, 8)))
        found.append([optimizer.image, optimizer.state(), average.image(), following.image, following.state()])
    torch.testing.assert_close(*found, rtol=1e-12, atol=1e-15)


# Adam


@quick
@given(seeds, st.floats(1e-4, 0.1), st.integers(1, 6))
def test_adam_follows_kingma_and_ba(seed, step_size, steps):
    """Algorithm 1 of the paper, with the betas of the original program, clamped."""
    image, parabola = picture(seed), Parabola(picture(seed + 1), picture(seed + 2))
    optimizer, theta = Adam([image.clone()]), image.clone()
    m, v = torch.zeros_like(theta), torch.zeros_like(theta)
    for t in range(1, steps + 1):
        _, (g,) = parabola([theta])
        m, v = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g**2
        m_hat, v_hat = m / (1 - 0.9**t), v / (1 - 0.99**t)
        theta = (theta - step_size * m_hat / (v_hat.sqrt() + 1e-8)).clamp(0, 1)
        optimizer.step(parabola, step_size)
    # Where m_hat nearly vanishes its rounding counts, but only against the step size.
    torch.testing.assert_close(optimizer.image, theta, rtol=0, atol=1e-10)


@quick
@given(seeds, st.floats(1e-4, 10))
def test_adam_never_leaves_the_range_of_a_picture(seed, step_size):
    bottom = 6 * picture(seed) - 3
    image = stepped(Adam([picture(seed + 1)]), Parabola(bottom), 4, step_size).image
    assert image.min() >= 0
    assert image.max() <= 1


@quick
@given(seeds, st.integers(1, 5))
def test_adam_carried_over_at_the_same_size_goes_on_as_if_nothing_had_been(seed, steps):
    parabola = Parabola(picture(seed), picture(seed + 1))
    first = stepped(Adam([picture(seed + 2)]), parabola, steps)
    second = first.carried_over([first.image.clone()])
    stepped(first, parabola, 2)
    # Resizing to the same size costs a rounding at most.
    torch.testing.assert_close(stepped(second, parabola, 2).image, first.image, rtol=0, atol=1e-12)


@quick
@given(seeds, sides, sides)
def test_adam_carries_its_step_count_and_resized_moments_over(seed, height, width):
    first = stepped(Adam([picture(seed)]), Parabola(picture(seed + 1)), 3)
    before, after = first.state(), first.carried_over([picture(seed, height, width)]).state()
    assert float(after["step"]) == 3
    size = (width, height)
    assert torch.equal(after["exp_avg"], resize(before["exp_avg"], size, "bicubic"))
    assert torch.equal(after["exp_avg_sq"], resize(before["exp_avg_sq"], size, "bilinear"))
    assert (after["exp_avg_sq"] >= 0).all()


@pytest.mark.parametrize(("height", "width"), [(3, 4), (7, 9), (4, 5)])
def test_moments_that_are_the_same_everywhere_stay_so_at_any_size(height, width):
    bottom, image = torch.zeros(1, 3, 4, 5).double(), torch.full((1, 3, 4, 5), 0.5).double()
    first = stepped(Adam([image]), Parabola(bottom), 2)
    before, after = first.state(), first.carried_over([picture(0, height, width)]).state()
    for name in ("exp_avg", "exp_avg_sq"):
        expected = before[name][0, 0, 0, 0].expand(1, 3, height, width)
        torch.testing.assert_close(after[name], expected, rtol=1e-14, atol=0)


def test_adam_leaves_the_optimizer_it_is_carried_over_from_alone():
    first = stepped(Adam([picture(0)]), Parabola(picture(1)), 3)
    state, image = {name: part.clone() for name, part in first.state().items()}, first.image.clone()
    stepped(first.carried_over([picture(0, 8, 9)]), Parabola(picture(1, 8, 9)), 2)
    assert same(first.state(), state)
    assert torch.equal(first.image, image)


def test_adam_that_never_stepped_has_nothing_to_carry_over():
    following = Adam([picture(0)]).carried_over([picture(0, 8, 9)])
    assert following.state() == {}


# L-BFGS


@pytest.mark.parametrize("seed", range(3))
def test_lbfgs_finds_the_bottom_of_a_parabola(seed):
    """With unequal curvatures, where plain descent crawls: 3 : 1 here."""
    parabola = Parabola(picture(seed), 0.5 + picture(seed + 1))
    image = stepped(Lbfgs([picture(seed + 2)]), parabola, 40).image
    torch.testing.assert_close(image, parabola.bottom, rtol=0, atol=1e-5)


def test_lbfgs_is_not_clamped():
    bottom = torch.full((1, 3, 4, 5), 1.5, dtype=torch.float64)
    image = stepped(Lbfgs([picture(0)]), Parabola(bottom), 20).image
    torch.testing.assert_close(image, bottom, rtol=0, atol=1e-6)


def test_lbfgs_begins_each_scale_afresh():
    first = stepped(Lbfgs([picture(0)]), Parabola(picture(1)), 5)
    following = first.carried_over([picture(0, 8, 9)])
    assert following.state() == {}
    assert following.image.shape == (1, 3, 8, 9)


def test_lbfgs_remembers_ten_steps():
    many_curvatures = 100 ** picture(2)  # so that twelve steps are not enough to come to rest
    optimizer = stepped(Lbfgs([picture(0)]), Parabola(picture(1), many_curvatures), 12)
    assert len(optimizer.state()["old_dirs"]) == 10


# States of others


@pytest.mark.parametrize(("name", "other"), [("adam", "lbfgs"), ("lbfgs", "adam")])
def test_the_state_of_the_other_optimizer_is_refused(name, other):
    state = stepped(make_optimizer([picture(0)], Settings(optimizer=other)), Parabola(picture(1)), 2).state()
    with pytest.raises(RecordError, match="another optimizer"):
        make_optimizer([picture(0)], Settings(optimizer=name)).load_state(state)


# The average


@quick
@given(st.lists(seeds, max_size=6), seeds, st.floats(0, 0.999))
def test_the_average_weighs_each_iterate_by_the_decay_to_the_power_of_its_age(later, first, decay):
    iterates = [picture(first), *map(picture, later)]
    average = Average([iterates[0]], decay)
    for iterate in iterates[1:]:
        average.update([iterate])
    weights = [decay**age for age in reversed(range(len(iterates)))]
    expected = sum(weight * iterate for weight, iterate in zip(weights, iterates, strict=True)) / sum(weights)
    assert isinstance(expected, Tensor)
    # Close to a decay of 1 the correction divides by 1 - decay: three digits of sixteen.
    torch.testing.assert_close(average.unclamped(), expected, rtol=0, atol=1e-12)


@quick
@given(seeds, st.integers(0, 50), st.floats(0, 0.999))
def test_the_average_of_one_picture_is_that_picture(seed, repeats, decay):
    average = Average([picture(seed)], decay)
    for _ in range(repeats):
        average.update([picture(seed)])
    torch.testing.assert_close(average.image(), picture(seed), rtol=0, atol=1e-12)


def test_without_decay_the_average_is_the_last_iterate():
    average = Average([picture(0)], 0)
    average.update([picture(1)])
    assert torch.equal(average.unclamped(), picture(1))


def test_the_average_is_clamped_only_as_a_picture():
    average = Average([3 * picture(0) - 1], 0.99)
    assert average.unclamped().min() < 0
    assert average.unclamped().max() > 1
    assert torch.equal(average.image(), average.unclamped().clamp(0, 1))


def test_the_average_has_no_part_in_later_changes():
    """Neither of the iterate it was given nor of the picture it gave."""
    iterate = picture(0)
    average = Average([iterate], 0.9)
    iterate.zero_()
    average.image().zero_()
    torch.testing.assert_close(average.image(), picture(0))


# Resizing


@quick
@given(seeds, sides, sides, st.sampled_from(["bicubic", "bilinear"]))
def test_resizing_takes_width_and_height(seed, height, width, mode):
    assert resize(picture(seed), (width, height), mode).shape == (1, 3, height, width)
