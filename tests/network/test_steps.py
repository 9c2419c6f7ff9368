"""Work of several devices is begun a step of each in turn."""

import pytest

from styletransfer.network.steps import finished, side_by_side


def counting(name, count, seen):
    for step in range(count):
        seen.append((name, step))
        yield
    return name


def test_each_takes_a_step_in_turn_until_all_are_finished():
    seen: list[tuple[str, int]] = []
    assert side_by_side([counting("a", 1, seen), counting("b", 3, seen), counting("c", 0, seen)]) == ["a", "b", "c"]
    assert seen == [("a", 0), ("b", 0), ("b", 1), ("b", 2)]


def test_one_alone_is_finished():
    seen: list[tuple[str, int]] = []
    assert finished(counting("a", 2, seen)) == "a"
    assert seen == [("a", 0), ("a", 1)]


def test_what_fails_in_a_step_is_raised():
    def failing():
        yield
        raise ValueError("in the second step")

    with pytest.raises(ValueError, match="in the second step"):
        side_by_side([counting("a", 9, []), failing()])
