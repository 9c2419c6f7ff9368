"""A number of pairs, or a share."""

import pytest

from styletransfer.manifest.max_failed import failed_limit, parse_max_failed


@pytest.mark.parametrize(("value", "parsed"), [(1, 1), ("20", 20), ("10%", "10%"), (" 100% ", "100%")])
def test_what_is_allowed(value, parsed):
    assert parse_max_failed(value) == parsed


@pytest.mark.parametrize("value", [0, -1, True, 1.5, "0", "0%", "101%", "10 %", "ten", "", None, [5]])
def test_what_is_not(value):
    with pytest.raises(ValueError, match=r"must be a whole number >= 1, or a share such as '10%'"):
        parse_max_failed(value)


@pytest.mark.parametrize(("max_failed", "limit"), [(7, 7), ("10%", 3), ("100%", 25), ("1%", 1)])
def test_a_share_is_rounded_up(max_failed, limit):
    assert failed_limit(max_failed, 25) == limit
