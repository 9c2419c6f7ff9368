"""How long a night is: known answers on slots of paper."""

from datetime import UTC, datetime, timedelta

import pytest

from flows.farm import names
from flows.farm.live_workers import LiveWorker
from flows.farm.names import Needs
from flows.farm.night_length import Ahead, in_service, length_s, length_text

ONE, TAGGED, TWO = Needs(1), Needs(1, frozenset({"a100"})), Needs(2)


def slot(number, *tags, gpus=1, slots=1):
    return LiveWorker(f"h-gpu{number}", names.RENDER_POOLS[gpus], frozenset(tags), slots)


@pytest.mark.parametrize(
    ("seconds", "slots", "length"),
    [
        ({ONE: [10.0, 20.0, 30.0]}, [slot(0)], 60.0),
        ({ONE: [10.0, 20.0, 30.0]}, [slot(0), slot(1)], 30.0),
        ({ONE: [10.0, 50.0]}, [slot(0), slot(1), slot(2)], 50.0),  # never before the longest is
        ({ONE: [20.0] * 4}, [slot(0, slots=4)], 20.0),
        ({ONE: [10.0], TAGGED: [30.0, 30.0]}, [slot(0), slot(1, "a100")], 60.0),  # one slot has the tag
        ({ONE: [80.0, 20.0], TAGGED: [20.0]}, [slot(0), slot(1, "a100")], 80.0),
        ({ONE: [50.0, 50.0], TAGGED: [20.0]}, [slot(0), slot(1, "a100")], 60.0),  # all slots together
        ({ONE: [10.0], TWO: [10.0]}, [slot(0)], None),
        ({ONE: [10.0]}, [], None),
        ({}, [slot(0)], None),
    ],
)
def test_seconds_are_shared_out_among_the_slots_that_can_take_them(seconds, slots, length):
    assert length_s(seconds, slots) == (length if length is None else pytest.approx(length))


def test_slots_out_of_service_and_drivers_render_nothing():
    driver = LiveWorker("h-driver", names.DRIVER_POOL)
    assert in_service([driver, slot(0), slot(1)], {"h-gpu1"}) == [slot(0)]


def test_it_is_told_in_a_line():
    seconds = {ONE: [600.0, 600.0]}
    assert length_text(seconds, [slot(0)], []) == "on 1 slot about 20:00"
    assert length_text(seconds, [slot(0), slot(1)], [Ahead("pier"), Ahead("harbour", 1)]) == (
        "on 2 slots about 10:00, beside or behind pier, harbour (1 pair left)"
    )
    assert length_text(seconds, [], []) is None


def test_when_those_before_are_through_is_told_once_all_have_said_so():
    seconds, soon = {ONE: [600.0]}, datetime(2026, 3, 3, 2, 10, tzinfo=UTC)
    ahead = [Ahead("a", 2, soon), Ahead("b", 3, soon + timedelta(hours=1))]
    last = f"{(soon + timedelta(hours=1)).astimezone():%a %H:%M}"
    text = length_text(seconds, [slot(0)], ahead)
    beside = "beside or behind a (2 pairs left), b (3 pairs left)"
    assert text == f"on 1 slot about 10:00, {beside}, the last of them through by {last}"
    text = length_text(seconds, [slot(0)], [*ahead, Ahead("c")])
    assert text is not None
    assert "through" not in text
