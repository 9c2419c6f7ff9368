"""A short share of `make fuzz`, and every case that was found by it."""

import pytest

from tests.fuzz import known_endings
from tests.fuzz.__main__ import fuzz, kept_cases
from tests.fuzz.bounded import DONE, REFUSED, Bounded
from tests.fuzz.kinds import KINDS


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_hostile_input_is_read_or_refused(name):
    endings, wrong = fuzz(KINDS[name], 60, 0, kept_cases(name))
    assert not wrong, "\n".join(f"{case!r}: {how}" for how, case in wrong.items())
    assert endings.total() >= 60


@pytest.mark.parametrize(
    ("attempt", "expected"),
    [
        (known_endings.succeed, DONE),
        (known_endings.refuse, REFUSED),
        (known_endings.take_memory, "MemoryError"),
        (known_endings.crash, "status -11"),
        (known_endings.take_time, "status -24"),
    ],
)
def test_each_ending_is_told(attempt, expected):
    with Bounded(attempt, time_s=2) as bounded:
        assert expected in bounded.ending(b"")
        assert expected in bounded.ending(b""), "the next case is tried after any ending"
