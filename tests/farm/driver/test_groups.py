"""Which pairs are rendered in one run."""

from collections import Counter
from dataclasses import dataclass, replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.farm.driver.groups import (
    FIRST_PAIRS,
    GUESSED_SPEED,
    LONG_S,
    MOST_PAIRS,
    PAIR_S,
    SHORT_S,
    Speed,
    kind_of,
    make_groups,
    needs_of,
)
from flows.farm.names import Needs
from styletransfer.manifest.pairs import Pair, PairStyle
from styletransfer.planning.plan import PlannedPair
from styletransfer.records.output_places import OutputPlaces
from styletransfer.settings import Settings
from styletransfer.transfer.schedule import Work

PLACES = OutputPlaces("/out", "demo")


def planned(name="p", seconds=10.0, style="a.png", gpus=1, priority="normal", requires=()):
    """A pair that takes so many seconds at the speed that is guessed."""
    side = 100
    iterations = max(1, round((seconds - PAIR_S) * GUESSED_SPEED / side**2))
    settings = Settings(
        end_scale=side, min_scale=side, initial_iterations=iterations, iterations=iterations, gpus=gpus
    )
    pair = Pair(name, "c.png", (PairStyle(style),), settings, "png", None, priority, "pairs[0]")
    pair = replace(pair, requires=frozenset(requires))
    return PlannedPair(pair, PLACES, size=(side, side), scales=(side,), fingerprint=name)


def many(count, **options):
    return [planned(f"p{index}", **options) for index in range(count)]


def groups(pairs, wanted=100, slots=2, seen=True, **options):
    speed = Speed()
    for gpus in (1, 2) if seen else ():
        one = planned(gpus=gpus)
        speed.seen(one, Done(one.work.total / GUESSED_SPEED))  # type: ignore[arg-type]
    needs = set(map(needs_of, pairs))
    return make_groups(pairs, dict.fromkeys(needs, wanted), dict.fromkeys(needs, slots), speed, **options)


@dataclass
class Done:
    """A record, as far as it counts here."""

    slot_seconds: float


def test_small_pairs_share_a_run_of_which_the_start_is_a_twentieth():
    made = groups(many(1000, seconds=10))
    assert all(LONG_S * 0.8 <= group.seconds <= LONG_S * 1.1 for group in made[:-1])


def test_large_pairs_go_alone():
    assert [len(group.pairs) for group in groups(many(5, seconds=1000))] == [1] * 5


def test_slots_share_what_there_is():
    """8 pairs of a minute on 2 slots: none waits while the other has more than a quarter of it all to do."""
    made = groups(many(8, seconds=60), slots=2)
    assert [len(group.pairs) for group in made] == [2, 2, 2, 2]


def test_the_last_runs_are_not_split_further_than_is_worth_it():
    assert len(groups(many(6, seconds=1), slots=2)) == 1


def test_first_runs_are_small_while_nobody_knows_the_speed():
    """What seems to take a second may take a minute: no slot is to be left without."""
    assert [len(group.pairs) for group in groups(many(8, seconds=1), slots=2, seen=False)] == [2] * 4
    assert len(groups(many(2000, seconds=1), slots=2, seen=False)[0].pairs) == FIRST_PAIRS


def test_no_run_has_more_pairs_than_it_may():
    made = groups(many(2000, seconds=PAIR_S), slots=1)
    assert max(len(group.pairs) for group in made) <= MOST_PAIRS


def test_same_style_side_by_side():
    pairs = [planned(f"p{index}", 60, style=f"{index % 3}.png") for index in range(12)]
    for group in groups(pairs, slots=1):
        order = [kind_of(each) for each in group.pairs]
        assert len(set(order)) == 1 + sum(one != other for one, other in pairwise(order))


def test_suspects_go_alone_and_first():
    made = groups(many(20, seconds=5), alone={"p7", "p9"})
    assert [group.ids for group in made[:2]] == [("p7",), ("p9",)]
    assert all(not {"p7", "p9"} & set(group.ids) for group in made[2:])


def test_urgent_pairs_first_and_never_in_one_run_with_others():
    pairs = [planned("low", priority="low"), planned("high", priority="high"), planned("normal")]
    assert [(group.priority, group.ids) for group in groups(pairs)] == [
        ("high", ("high",)),
        ("normal", ("normal",)),
        ("low", ("low",)),
    ]
    (made,) = groups(pairs, priority="high")
    assert made.priority == "high"
    assert groups(pairs, wanted=1)[0].ids == ("high",)


def test_speed_is_that_of_the_pairs_seen():
    slow = planned(seconds=10)
    speed = Speed()
    speed.seen(slow, Done(100.0))  # type: ignore[arg-type]
    assert speed.seconds(slow) == pytest.approx(100 + PAIR_S)
    assert speed.seconds(planned(gpus=2)) < 20, "pairs on two GPUs have a speed of their own"


PAIRS = st.lists(
    st.builds(
        planned,
        seconds=st.sampled_from([0.6, 5, 60, 400]),
        style=st.sampled_from("abc"),
        gpus=st.sampled_from([1, 2]),
        requires=st.sampled_from([(), ("a100",), ("a100", "big")]),
        priority=st.sampled_from(["low", "normal", "high"]),
    ),
    max_size=40,
).map(lambda pairs: [replace(each, pair=replace(each.pair, id=f"p{n}")) for n, each in enumerate(pairs)])


@given(PAIRS, st.integers(0, 8), st.integers(0, 4), st.sets(st.integers(0, 39)))
def test_every_pair_is_in_one_group_at_most_and_in_one_of_its_kind(pairs, wanted, slots, alone):
    suspects = {f"p{index}" for index in alone}
    made = groups(pairs, wanted, slots, alone=suspects)
    assert max(Counter(pair for group in made for pair in group.ids).values(), default=1) == 1
    assert max(Counter(group.needs for group in made).values(), default=0) <= wanted
    for group in made:
        assert {needs_of(each) for each in group.pairs} == {group.needs}
        assert {each.pair.priority for each in group.pairs} == {group.priority}
        assert len(group.pairs) == 1 or (group.seconds <= LONG_S * 1.1 and not suspects & set(group.ids))
    everything = groups(pairs, 1000, slots, alone=suspects)
    assert {pair for group in everything for pair in group.ids} == {each.id for each in pairs}
    assert SHORT_S < LONG_S


class CountingSpeed(Speed):
    """Counts the pairs that it is asked about."""

    asked = 0

    def seconds(self, planned):
        self.asked += 1
        return super().seconds(planned)


def test_no_pair_is_looked_at_where_no_run_is_wanted():
    speed = CountingSpeed()
    assert make_groups(many(1000), {Needs(1): 0, Needs(2): 0}, {Needs(1): 8}, speed) == []
    assert speed.asked == 0


def test_a_pairs_work_is_reckoned_once(monkeypatch):
    pair = planned()
    expected = make_groups([pair], {Needs(1): 1}, {Needs(1): 8}, Speed())
    monkeypatch.delattr(Work, "of")
    assert make_groups([pair], {Needs(1): 1}, {Needs(1): 8}, Speed()) == expected
