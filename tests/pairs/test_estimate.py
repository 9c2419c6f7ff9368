"""Time left: known answers, by a clock that stands until it is set."""

from dataclasses import replace

import pytest

from flows.pairs.estimate import Estimate, clock_text, expected_text, pair_seconds_left, speed_text, truth_text
from styletransfer.planning.expected import Expected
from styletransfer.planning.plan import plan_manifest
from styletransfer.records.records import SummaryInput, SummaryPair
from tests.studio import Studio


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Three pairs of the samethe last one for two devices."""
    studio = Studio(str(tmp_path_factory.mktemp("studio")))
    studio.picture("a.png", 1, size=(64, 32))
    pair = {"content": "a.png", "style": "a.png"}
    large = {**pair, "id": "large", "settings": {"gpus": 2}}
    defaults = {"end_scale": 64, "min_scale": 45, "initial_iterations": 10, "iterations": 5}
    manifest = studio.manifest({**pair, "id": "a"}, {**pair, "id": "b"}, large, defaults=defaults)
    plan = plan_manifest(manifest)
    plan.check()
    return plan.pairs


def test_work_is_pixels_times_iterations(pairs):
    assert pairs[0].scales == (45, 64)
    assert pairs[0].work.total == 45 * 22 * 10 + 64 * 32 * 5


def test_nothing_is_said_before_anything_is_done(pairs):
    estimate = Estimate(pairs[:2], 1, Clock())
    assert estimate.seconds_left() is None
    estimate.started("a")
    assert estimate.seconds_left() is None
    assert estimate.fraction() == 0


def test_pairs_that_share_a_device_are_through_the_sooner(pairs):
    clock = Clock()
    estimate = Estimate([replace(pairs[0], pair=replace(pairs[0].pair, id=name)) for name in "abcd"], 1, clock)
    estimate.started("a", 0.5)
    estimate.started("b", 0.5)
    clock.now = 10.0
    estimate.progress("a", 1.0)
    estimate.progress("b", 1.0)
    assert estimate.fraction() == pytest.approx(0.5)
    assert estimate.seconds_left() == pytest.approx(10)  # the other two, side by side
    estimate.started("c", 1.0)
    assert estimate.seconds_left() == pytest.approx(20)  # one after the other


def test_one_after_the_other(pairs):
    clock = Clock()
    estimate = Estimate(pairs[:2], 1, clock)
    estimate.started("a")
    clock.now = 10.0
    estimate.progress("a", 0.5)
    assert estimate.fraction() == pytest.approx(0.25)
    assert estimate.seconds_left() == pytest.approx(10 + 20)
    clock.now = 20.0
    estimate.progress("a", 1.0)
    estimate.finished("a")
    assert estimate.fraction() == pytest.approx(0.5)
    assert estimate.seconds_left() == pytest.approx(20)
    estimate.started("b")
    clock.now = 40.0
    estimate.progress("b", 1.0)
    estimate.finished("b")
    assert (estimate.fraction(), estimate.seconds_left()) == (1, 0)


def test_what_a_resumed_pair_took_before_counts(pairs):
    """Half of `a` was done in 100 s; 2 s after it went on, a little more is."""
    clock = Clock()
    estimate = Estimate(pairs[:2], 1, clock)
    estimate.started("a")
    clock.now = 2.0
    estimate.progress("a", 0.51, seconds=102.0)
    assert estimate.seconds_left() == pytest.approx((0.49 + 1) * 102 / 0.51)
    assert pair_seconds_left(102.0, 0.51) == pytest.approx(0.49 * 102 / 0.51)


def test_side_by_side_it_ends_with_the_slower_one(pairs):
    clock = Clock()
    estimate = Estimate(pairs[:2], 2, clock)
    estimate.started("a")
    estimate.started("b")
    clock.now = 10.0
    estimate.progress("a", 0.75)
    estimate.progress("b", 0.25)
    assert estimate.seconds_left() == pytest.approx(0.75 * 20)


def test_a_pair_on_two_devices_is_no_faster_and_leaves_no_room_beside_it(pairs):
    clock = Clock()
    estimate = Estimate(pairs, 2, clock)
    estimate.started("large")
    clock.now = 10.0
    estimate.progress("large", 1.0)
    estimate.finished("large")
    assert estimate.fraction() == pytest.approx(0.5)
    assert estimate.seconds_left() == pytest.approx(10)


def test_a_failed_pair_is_no_work_any_more(pairs):
    clock = Clock()
    estimate = Estimate(pairs[:2], 1, clock)
    estimate.started("a")
    clock.now = 10.0
    estimate.progress("a", 0.5)
    estimate.finished("b")
    assert estimate.seconds_left() == pytest.approx(10)


def test_time_left_of_one_pair():
    assert pair_seconds_left(30, 0.25) == pytest.approx(90)
    assert pair_seconds_left(30, 0) is None


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (7.4, "0:07"), (59.6, "1:00"), (725, "12:05"), (11099, "3:04:59")]
)
def test_clock(seconds, text):
    assert clock_text(seconds) == text


@pytest.mark.parametrize(
    ("per_second", "text"), [(215.04, "215.0 it/s"), (1, "1.0 it/s"), (0.476, "0.48 it/s"), (0.0048, "0.0048 it/s")]
)
def test_all_speeds_are_of_one_unit(per_second, text):
    assert speed_text(per_second) == text


@pytest.mark.parametrize(
    ("expected", "queued", "text"),
    [
        (Expected({}, None, (), 0), 3, None),
        (
            Expected({"a": 60.0, "b": 5.0}, None, ("cpu",), 1),
            2,
            "about 1:05 in one slot, as 1 picture of this output took on cpu",
        ),
        (
            Expected({"a": 3600.0}, 4_200_000, ("cuda:0", "cuda:0"), 5),
            3,
            "about 1:00:00 in one slot for 1 of 3 pairs, as 5 pictures of this output took on cuda:0; "
            "files of some 4.2 MB",
        ),
        (
            Expected({"a": 60.0, "b": 5.0}, None, (), 0, dict.fromkeys("ab", "measured on cpu (EPYC)")),
            2,
            "about 1:05 in one slot, as measured on cpu (EPYC)",
        ),
        (
            Expected({"a": 60.0, "b": 5.0, "c": 5.0}, None, ("cpu",), 1, dict.fromkeys("bc", "measured on cpu")),
            3,
            "about 1:10 in one slot, as 1 picture of this output took on cpu, and 2 pairs as measured on cpu",
        ),
    ],
)
def test_what_is_expected_is_told_in_a_line(expected, queued, text):
    assert expected_text(expected, queued) == text


def ended(state, seconds, expected):
    entry = SummaryInput(url="a.png")
    return SummaryPair(
        id="a", state=state, content=entry, styles=(entry,), seconds=seconds, expected_seconds=expected
    )


@pytest.mark.parametrize(
    ("pairs", "text"),
    [
        ([], None),
        ([("done", 40.0, None), ("skipped", 40.0, 41.0), ("failed", None, 9.0)], None),
        ([("done", 40.0, 45.0), ("done", 6.0, 3.0)], "rendered in 0:46; 0:48 were expected"),
        ([("done", 40.0, 48.0), ("done", 6.0, None)], "rendered 1 of 2 pairs in 0:40; 0:48 were expected"),
    ],
)
def test_what_it_took_is_told_beside_what_was_expected(pairs, text):
    assert truth_text(ended(*pair) for pair in pairs) == text
