from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from flows.farm.driver.forecast import OVERHEAD, Forecast, Forecaster
from styletransfer.planning.plan import plan_manifest
from styletransfer.renders.summary import Outcome
from tests.studio import pretend_all

EVENING = datetime(2026, 3, 2, 21, 0, tzinfo=UTC)
RENDERING = Outcome("rendering")


class Clock:
    def __init__(self):
        self.seconds = 0.0

    def __call__(self):
        return self.seconds

    def now(self):
        return EVENING + timedelta(seconds=self.seconds)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def pairs(studio):
    """Ten pairs of the same size."""
    studio.simple()
    entries = [{"id": f"p{number}", "content": "in/a.png", "style": "in/b.png"} for number in range(10)]
    return plan_manifest(studio.manifest(*entries)).pairs


@pytest.fixture
def done(studio, pairs):
    """What it is for a pair to be done in a number of seconds."""
    (record,) = pretend_all(studio.simple())

    def make(seconds):
        return Outcome("done", record=record.model_copy(update={"seconds": seconds}))

    return make


def forecaster(pairs, clock, hours):
    return Forecaster(pairs, EVENING + timedelta(hours=hours), clock, clock.now)


def test_nothing_is_told_before_a_pair_is_done(pairs, clock):
    watched = forecaster(pairs, clock, 1)
    assert watched.states({}) is None
    assert watched.states({"p0": RENDERING}) is None
    assert watched.states({"p0": Outcome("failed", "no such file")}) is None


def test_one_slot_needs_the_sum_of_what_is_left(pairs, clock, done):
    watched = forecaster(pairs, clock, 1)
    watched.states({"p0": RENDERING})
    clock.seconds = 600
    forecast = watched.states({"p0": done(600), "p1": RENDERING})
    assert forecast.through == EVENING + timedelta(seconds=600 + 9 * 600 * OVERHEAD)
    assert not forecast.in_time
    assert (forecast.pairs, forecast.left) == (10, 5)  # four of 630 s fit into the 50 minutes that are left


def test_several_slots_share_it(pairs, clock, done):
    watched = forecaster(pairs, clock, 1)
    watched.states({"p0": RENDERING, "p1": RENDERING})
    clock.seconds = 600
    assert watched.states({"p0": done(600), "p1": RENDERING}) is None  # the other slot may be slower
    clock.seconds = 610
    forecast = watched.states({"p0": done(600), "p1": done(610)})
    assert forecast.through == clock.now() + timedelta(seconds=4 * 605 * OVERHEAD)
    assert forecast.in_time
    assert forecast.left == 0


def test_what_is_under_way_counts_for_less(pairs, clock, done):
    watched = forecaster(pairs[:2], clock, 1)
    watched.states({"p0": RENDERING})
    clock.seconds = 100
    watched.states({"p1": RENDERING})
    clock.seconds = 150
    assert watched.states({"p0": done(100), "p1": RENDERING}).through == clock.now() + timedelta(seconds=55)


def test_it_is_told_once(pairs, clock, done):
    watched = forecaster(pairs, clock, 1)
    assert watched.states({"p0": done(60)}) is not None
    assert watched.states({"p0": done(60), "p1": done(60)}) is None


def test_when_nothing_is_left_nothing_is_told(pairs, clock, done):
    watched = forecaster(pairs[:1], clock, 1)
    assert watched.states({"p0": done(60)}) is None


def test_the_longest_pair_is_waited_for(pairs, clock, done):
    large = replace(pairs[1], scales=(128, 512), size=(512, 384))
    watched = forecaster([pairs[0], large, pairs[2]], clock, 100)
    watched._pace.slots = 3
    states = {"p0": done(10), "p2": done(10), "p3": done(10)}
    watched._pace._work["p3"] = watched._pace._work["p2"]
    ratio = large.work.total / pairs[0].work.total
    assert watched.states(states).through == clock.now() + timedelta(seconds=10 * ratio * OVERHEAD)


def test_a_preview_that_is_there_is_done_as_far_as_it_was_asked_for(pairs, done, clock):
    previewed = replace(done(60), state="held")
    watched = forecaster(pairs, clock, 1)
    watched.states({"p0": RENDERING})
    clock.seconds = 60
    forecast = watched.states({"p0": previewed})
    assert forecast == Forecast(clock.now() + timedelta(seconds=9 * 60 * OVERHEAD), watched._until, 10, 0)
