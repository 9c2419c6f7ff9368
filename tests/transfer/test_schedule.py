"""The original's schedule is constant; the fast one comes to rest within fewer iterations."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from styletransfer.objective.objective import Losses
from styletransfer.settings import Settings
from styletransfer.transfer.optimize import Evaluate, make_optimizer
from styletransfer.transfer.schedule import Schedule, Work

FAST = Schedule(Settings(schedule="fast"))


def test_the_original_schedule_is_what_the_settings_say():
    schedule = Schedule(Settings(initial_iterations=7, iterations=3, step_size=0.5, avg_decay=0.75))
    assert [schedule.iterations(index) for index in range(3)] == [7, 3, 3]
    assert {schedule.step_size(0, iteration) for iteration in range(1, 8)} == {0.5}
    assert schedule.avg_decay == 0.75


def test_the_fast_schedule_takes_a_quarter_of_the_iterations_unless_told_how_many():
    assert [FAST.iterations(index) for index in range(3)] == [250, 125, 125]
    asked = Schedule(Settings(schedule="fast", initial_iterations=60, iterations=25))
    assert [asked.iterations(index) for index in range(3)] == [60, 25, 25]


def test_fast_steps_shrink_to_nothing_within_each_scale():
    steps = [FAST.step_size(1, iteration) for iteration in range(1, 126)]
    assert steps[0] == steps[36] == pytest.approx(4 * 0.02)
    assert steps == sorted(steps, reverse=True)
    assert len(set(steps[37:])) == 125 - 37
    assert 0 < steps[-1] < 1e-3 * steps[0]


def gradients(*values: float) -> Evaluate:
    """An objective whose gradients are these, one after another."""
    left = iter(values)
    return lambda image: (Losses((), ()), [torch.full_like(image[0], next(left))])


def test_adam_soon_forgets_how_large_gradients_were_in_the_fast_schedule_alone():
    """By what a step of the size of the gradient's sign does after one gradient a hundred times larger."""
    lengths = {}
    for schedule in ("original", "fast"):
        optimizer = make_optimizer([torch.full((1, 3, 4, 4), 0.5)], Settings(schedule=schedule))
        evaluate = gradients(100.0, *[1.0] * 100)
        for _ in range(100):
            optimizer.step(evaluate, 1e-4)
        before = optimizer.image.clone()
        optimizer.step(evaluate, 1e-4)
        lengths[schedule] = (before - optimizer.image).mean().item() / 1e-4
    assert lengths["fast"] > 0.9
    assert lengths["original"] < 0.3


def test_the_fast_average_looks_back_a_tenth_as_long():
    assert FAST.avg_decay == pytest.approx(0.9)
    assert Schedule(Settings(schedule="fast", avg_decay=0.5)).avg_decay == 0


@given(
    st.sampled_from(["original", "fast"]),
    st.integers(1, 50),
    st.integers(1, 50),
    st.lists(st.integers(16, 3000), min_size=1, max_size=9, unique=True),
)
def test_work_adds_up(schedule, initial, later, scales):
    settings = Settings(schedule=schedule, initial_iterations=initial, iterations=later)
    work = Work.of(settings, (640, 480), sorted(scales))
    assert work.total == sum(n * px for n, px in zip(work.iterations, work.pixels, strict=True))
    assert work.fraction(len(scales) - 1, work.iterations[-1]) == 1
