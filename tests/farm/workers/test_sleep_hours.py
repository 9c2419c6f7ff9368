"""Hours of sleep, over midnight, too."""

from datetime import time

import pytest

from flows.farm.times import TimeError
from flows.farm.workers.sleep_hours import parse_hours


@pytest.mark.parametrize(
    ("hours", "inside", "outside"),
    [
        ("09:00-18:00", ("09:00", "17:59"), ("08:59", "18:00")),
        ("22:30-06:00", ("22:30", "00:00", "05:59"), ("06:00", "22:29")),
    ],
)
def test_hours_begin_with_their_first_minute_and_end_before_their_last(hours, inside, outside):
    held = parse_hours(hours)
    assert [held.holds(time.fromisoformat(clock)) for clock in inside] == [True] * len(inside)
    assert [held.holds(time.fromisoformat(clock)) for clock in outside] == [False] * len(outside)


@pytest.mark.parametrize("text", ["", "09:00", "09:00-09:00", "9-18", "09:00-24:00"])
def test_what_are_no_hours_is_told(text):
    with pytest.raises(TimeError):
        parse_hours(text)
