"""What ended runs mean for their pairs, on single cases and against an adversary that crashes what it likes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.farm.driver.attempts import (
    MISSES,
    NOT_BEGUN,
    PAUSES_S,
    STRIKES,
    Ending,
    PairBoard,
    PairTrace,
)
from flows.farm.names import ATTEMPTS

RENDERING = PairTrace("rendering")


def board(*pairs, run="run"):
    made = PairBoard(pairs)
    made.take(run, pairs)
    return made


def test_only_the_pair_being_rendered_is_charged_and_goes_alone():
    night = board("a", "b", "c")
    night.settle("a", "done")
    night.end("run", Ending("crashed", "killed"), {"b": RENDERING}, 0.0)
    assert night.waiting(0.0) == ["b", "c"]
    assert [night.standings[pair].attempts for pair in "abc"] == [0, 1, 0]
    assert [pair for pair in night.waiting(0.0) if night.standings[pair].alone] == ["b"]
    assert night.standings["b"].attempt == 2


def test_a_pair_that_a_crashed_run_never_began_has_not_crashed():
    night = board("a", "b")
    night.end("run", Ending("crashed", "Process exited with status code: -9"), {"a": RENDERING}, 0.0)
    assert night.standings["b"].reason == NOT_BEGUN


def test_the_end_of_a_run_looks_at_its_own_pairs_alone(monkeypatch):
    """However many the manifest has: those of a run are found without looking at the others."""
    night = PairBoard(f"p{number:04}" for number in range(10_000))
    night.take("run", ["p0007", "p0005", "p0006"])
    monkeypatch.setattr(night, "standings", NotAsAWhole(night.standings))
    night.end("run", Ending("crashed", "killed"), {"p0005": PairTrace("failed")}, 0.0)
    assert [night.standings[pair].settled for pair in ("p0005", "p0006", "p0007")] == ["failed", None, None]


class NotAsAWhole(dict):
    """One that gives single entries only."""

    def __iter__(self):
        raise AssertionError("all were looked at")

    items = values = keys = __iter__


def test_a_pair_fails_with_the_reason_of_its_last_attempt():
    night = board("a")
    for attempt in range(1, ATTEMPTS + 1):
        night.take("run", ["a"])
        left = {"a": PairTrace("rendering", attempt=attempt)}
        night.end("run", Ending("crashed", f"killed {attempt}"), left, 0.0)
    assert night.over
    assert night.standings["a"].settled == "failed"
    assert night.standings["a"].reason == "3 attempts, each ended with its run: killed 3"


def test_a_crash_that_is_judged_by_two_drivers_counts_once():
    """The one that takes over reads the same note: attempt 1 was charged, whoever looks."""
    night = board("a")
    night.end("run", Ending("crashed", "killed"), {"a": RENDERING}, 0.0)
    later = board("a")
    later.end("run", Ending("crashed", "killed"), {"a": RENDERING}, 0.0)
    assert later.standings["a"].attempts == night.standings["a"].attempts == 1


@pytest.mark.parametrize("trace", ["held", "rendering", "nothing"])
def test_drained_runs_use_no_attempt(trace):
    night = board("a")
    for _ in range(5):
        night.take("run", ["a"])
        night.end("run", Ending("held", "stopped by its host"), {"a": PairTrace(trace)}, 0.0)
    assert night.waiting(0.0) == ["a"]
    assert (night.standings["a"].attempts, night.standings["a"].strikes) == (0, 0)
    if trace == "nothing":
        assert night.standings["a"].reason == NOT_BEGUN


def test_a_failed_pair_fails_at_once():
    night = board("a", "b")
    night.end("run", Ending("failed", "1 failed"), {"a": PairTrace("failed", "damaged")}, 0.0)
    assert (night.standings["a"].settled, night.standings["a"].reason) == ("failed", "damaged")
    assert night.waiting(0.0) == ["b"]


def test_a_run_that_begins_nothing_is_a_strike_and_waits():
    night = board("a")
    clock = 0.0
    for pause in PAUSES_S:
        night.take("run", ["a"])
        night.end("run", Ending("crashed", "out of disk"), {}, clock)
        assert night.waiting(clock) == []
        clock += pause
        assert night.waiting(clock) == ["a"]
    assert night.standings["a"].alone
    night.take("run", ["a"])
    night.end("run", Ending("failed", "out of disk"), {}, clock)
    assert night.standings["a"].settled == "failed"
    assert "3 runs for it ended before it was begun, the last: failed: out of disk" in night.standings["a"].reason


def test_a_run_that_was_never_under_way_is_less_of_a_strike():
    """A server that is overloaded for minutes fails no pair."""
    night, clock = board("a"), 0.0
    for _ in range(MISSES - 1):
        night.take("run", ["a"])
        night.end("run", Ending("crashed", "no answer", begun=False), {}, clock)
        clock += max(PAUSES_S)
        assert night.waiting(clock) == ["a"]
    assert not night.standings["a"].alone
    night.take("run", ["a"])
    night.end("run", Ending("crashed", "no answer", begun=False), {}, clock)
    assert night.standings["a"].settled == "failed"


def test_what_another_driver_does_with_its_runs_is_no_strike_and_no_cancelling():
    night = PairBoard(["a"])
    for how in ("cancelled", "failed", "completed"):
        night.take("theirs", ["a"])
        night.end("theirs", Ending(how, "", own=False), {}, 0.0)
        assert night.waiting(0.0) == ["a"]


def test_a_cancelled_run_cancels_its_pairs():
    night = board("a", "b")
    night.settle("a", "done")
    night.end("run", Ending("cancelled", "by Ann"), {}, 0.0)
    assert night.over
    assert (night.standings["b"].settled, night.standings["b"].reason) == ("cancelled", "by Ann")


def test_a_pair_in_a_live_run_waits_for_that():
    night = board("a")
    night.take("theirs", ["a", "x"])
    night.end("run", Ending("held", "left to others"), {}, 0.0)
    assert night.waiting(0.0) == []
    night.end("theirs", Ending("crashed", "killed", own=False), {"a": RENDERING}, 0.0)
    assert night.waiting(0.0) == ["a"]


class Farm:
    """Runs that end as the adversary says; it stops being one after its moves are used up."""

    def __init__(self, pairs, draw):
        self.board, self.draw = PairBoard(pairs), draw
        self.clock, self.count = 0.0, 0
        self.done, self.charged = set(), dict.fromkeys(pairs, 0)

    def submit(self, most):
        waiting = self.board.waiting(self.clock)
        while waiting and len(self.board.runs) < 3:
            alone = self.board.standings[waiting[0]].alone
            group = waiting[: 1 if alone else most]
            group = [pair for pair in group if pair == waiting[0] or not self.board.standings[pair].alone]
            waiting = [pair for pair in waiting if pair not in group]
            for pair in group:  # never twice at once
                assert not any(pair in pairs for pairs in self.board.runs.values())
                assert self.board.is_open(pair)
            self.count += 1
            self.board.take(f"run {self.count}", group)

    def render(self, run, how, begun):
        """`begun` of its pairs are done; the next is being rendered, except where the run got nowhere."""
        pairs = self.board.open_in(run)
        for pair in pairs[:begun]:
            self.done.add(pair)
            self.board.settle(pair, "done")
        found = {}
        if how == "crashed at":
            found = dict.fromkeys(pairs[begun : begun + 1], RENDERING)
            for pair in found:
                self.charged[pair] += 1
        self.board.end(run, Ending("crashed" if how == "crashed at" else how, how), found, self.clock)


MOVES = st.tuples(
    st.integers(0, 2), st.sampled_from(["crashed at", "crashed", "held", "completed", "failed"]), st.integers(0, 4)
)


@given(count=st.integers(1, 12), most=st.integers(1, 5), moves=st.lists(MOVES, max_size=60))
def test_no_pair_is_lost_none_is_twice_under_way_and_all_end(count, most, moves):
    pairs = [f"p{index}" for index in range(count)]
    farm = Farm(pairs, moves)
    for which, how, begun in moves:
        farm.submit(most)
        if farm.board.runs:
            farm.render(sorted(farm.board.runs)[which % len(farm.board.runs)], how, begun)
        farm.clock += 10
    for _ in range(1000):  # from here on nothing goes wrong
        if farm.board.over:
            break
        farm.clock += 100
        farm.submit(most)
        for run in list(farm.board.runs):
            farm.render(run, "completed", len(pairs))
    assert farm.board.over
    for pair in pairs:
        standing = farm.board.standings[pair]
        assert standing.settled in ("done", "failed")
        assert (standing.settled == "done") == (pair in farm.done)
        assert standing.attempts == farm.charged[pair] <= ATTEMPTS
        assert standing.strikes <= STRIKES
        if standing.settled == "failed":
            assert standing.attempts == ATTEMPTS or standing.strikes == STRIKES


@given(
    count=st.integers(1, 12),
    most=st.integers(1, 5),
    how=st.sampled_from(["crashed at", "crashed", "failed", "completed"]),
)
def test_a_farm_on_which_nothing_works_comes_to_an_end(count, most, how):
    farm = Farm([f"p{index}" for index in range(count)], None)
    for _ in range(count * (ATTEMPTS + STRIKES) + 2):
        farm.clock += 100
        farm.submit(most)
        for run in list(farm.board.runs):
            farm.render(run, how, 0)
    assert farm.board.over
    assert {standing.settled for standing in farm.board.standings.values()} == {"failed"}
