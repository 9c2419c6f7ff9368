"""How far renders are: looked at now and then, and never at the cost of a render."""

from types import SimpleNamespace

import pytest
import torch

from flows.pairs.so_far import SoFar
from styletransfer.machine.devices import Slot
from styletransfer.planning.plan import plan_manifest
from styletransfer.renders.summary import Outcome


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def progress(image, fraction=0.25):
    """After 30 seconds, a quarter of the work."""
    return SimpleNamespace(
        scale=32, scale_index=1, scales=(23, 32), fraction=fraction, seconds=30.0, image=lambda _: image()
    )


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def plan(studio):
    return plan_manifest(studio.simple())


@pytest.fixture
def pair(plan):
    return plan.pairs[0]


@pytest.fixture
def so_far(plan, pair, clock):
    seen = SoFar(10.0, clock)
    seen.planned(plan, 1)
    seen.started(pair, Slot(("cpu",)))
    return seen


def gray():
    return torch.full((1, 3, 24, 32), 0.5)


def test_figures_and_picture_of_a_render(so_far, pair):
    assert so_far.look(pair, progress(gray))
    run = so_far.under_way(5.0)
    seen = run.pairs["a--b"]
    assert (seen.at, seen.fraction, seen.seconds_left) == ("32 px, scale 2 of 2", 0.25, 90.0)
    assert (seen.picture.width, seen.picture.height) == (32, 24)
    assert seen.picture.jpeg.startswith(b"\xff\xd8")
    assert run.fraction == pytest.approx(0.25)
    so_far.finished(pair, Outcome("done"))
    assert so_far.under_way(5.0).pairs == {}


def test_the_device_is_asked_now_and_then_only(so_far, pair, clock):
    def never():
        raise AssertionError

    assert so_far.look(pair, progress(gray))
    clock.now = 9.9
    assert not so_far.look(pair, progress(never))
    clock.now = 10.1
    assert so_far.look(pair, progress(gray))


def test_a_picture_that_takes_long_is_taken_seldom(so_far, pair, clock):
    def slow():
        clock.now += 1.0
        return gray()

    assert so_far.look(pair, progress(slow))
    clock.now = 100.0
    assert not so_far.look(pair, progress(gray))
    clock.now = 101.1
    assert so_far.look(pair, progress(gray))


@pytest.mark.parametrize("fault", ["memory", "nan"])
def test_what_gives_no_picture_costs_no_render(so_far, pair, clock, fault):
    def image():
        if fault == "memory":
            raise torch.OutOfMemoryError
        return gray() * float("nan")

    so_far.look(pair, progress(gray))
    before = so_far.under_way(5.0).pairs["a--b"].picture
    clock.now = 60.0
    assert so_far.look(pair, progress(image, 0.5))
    seen = so_far.under_way(5.0).pairs["a--b"]
    assert (seen.fraction, seen.picture) == (0.5, before)
