from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.farm.times import (
    TimeError,
    duration_text,
    host_zone,
    next_clock,
    parse_at,
    parse_clock,
    parse_zone,
    shown,
    zone_of,
)

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 3, 2, 20, 15, tzinfo=UTC)  # a Monday, 21:15 in Berlin
SPRING = datetime(2026, 3, 28, 12, 0, tzinfo=UTC)  # the day before clocks skip 02:00 to 03:00
AUTUMN = datetime(2026, 10, 24, 12, 0, tzinfo=UTC)  # the day before they show 02:00 to 03:00 twice


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("22:30", "2026-03-02T21:30Z"),
        ("21:00", "2026-03-03T20:00Z"),  # past today: the next one
        ("1:05", "2026-03-03T00:05Z"),
        ("today 22:30", "2026-03-02T21:30Z"),
        ("tomorrow 01:00", "2026-03-03T00:00Z"),
        ("  Tomorrow   01:00 ", "2026-03-03T00:00Z"),
        ("2026-03-05 07:00", "2026-03-05T06:00Z"),
        ("2026-03-05T07:00", "2026-03-05T06:00Z"),
        ("2026-03-05T07:00:30", "2026-03-05T06:00:30Z"),
        ("2026-03-05T07:00+00:00", "2026-03-05T07:00Z"),
        ("2026-03-05T07:00Z", "2026-03-05T07:00Z"),
        ("2026-07-05 07:00", "2026-07-05T05:00Z"),  # summer
    ],
)
def test_a_moment_is_understood(text, expected):
    assert parse_at(text, BERLIN, NOW) == datetime.fromisoformat(expected)


@pytest.mark.parametrize(
    "text", ["", "soon", "tomorrow", "25:00", "07:60", "7", "1 am", "tomorrow at 01:00", "01.03."]
)
def test_what_is_no_moment_is_told_what_is(text):
    with pytest.raises(TimeError, match="allowed: '22:30', 'today 22:30', 'tomorrow 01:00', or ISO 8601"):
        parse_at(text, BERLIN, NOW)


def test_a_date_alone_is_not_taken_for_its_midnight():
    with pytest.raises(TimeError, match=r"'2026-03-05' has no time of day; write '2026-03-05 01:00'"):
        parse_at("2026-03-05", BERLIN, NOW)


@pytest.mark.parametrize("text", ["today 21:00", "2026-03-02 21:00", "2026-03-02T20:14Z"])
def test_the_past_is_refused(text):
    with pytest.raises(TimeError, match=r"is past: it is Mon 2026-03-02 21:\d\d CET, and now is .* 21:15 CET"):
        parse_at(text, BERLIN, NOW)


def test_a_time_that_clocks_skip_is_refused_and_the_next_of_it_is_a_day_later():
    with pytest.raises(TimeError, match="2026-03-29 02:30 does not exist in Europe/Berlin"):
        parse_at("tomorrow 02:30", BERLIN, SPRING)
    assert next_clock(parse_clock("02:30"), BERLIN, SPRING) == datetime(2026, 3, 30, 0, 30, tzinfo=UTC)


def test_a_time_that_clocks_show_twice_is_the_first():
    assert parse_at("tomorrow 02:30", BERLIN, AUTUMN) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


@given(st.datetimes(datetime(2025, 1, 1), datetime(2027, 1, 1)), st.times())  # noqa: DTZ001
def test_the_next_time_of_day_is_within_a_day_or_two_and_shows_that_time(moment, clock):
    now, clock = moment.replace(tzinfo=UTC), clock.replace(second=0, microsecond=0)
    found = next_clock(clock, BERLIN, now)
    assert timedelta(0) <= found - now <= timedelta(days=2, hours=1)
    assert found.astimezone(BERLIN).time() == clock


def test_right_now_is_next():
    assert next_clock(parse_clock("21:15"), BERLIN, NOW) == NOW


@pytest.mark.parametrize("name", ["Berlin", "Europe", "", "../etc/passwd", "CEST"])
def test_an_unknown_time_zone_is_told(name):
    with pytest.raises(TimeError, match="there is no time zone"):
        parse_zone(name)


def test_the_hosts_time_zone_has_a_name_that_is_one():
    assert zone_of(None).key == parse_zone(host_zone()).key == host_zone()


def test_a_moment_is_shown_in_its_zone():
    assert shown(NOW, BERLIN) == "Mon 2026-03-02 21:15 CET"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59.4, "59 s"), (61, "1 min"), (3600, "1 h 00 min"), (11_100, "3 h 05 min"), (187_200, "2 d 4 h")],
)
def test_a_duration_is_told_to_two_figures(seconds, text):
    assert duration_text(seconds) == text
