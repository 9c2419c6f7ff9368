"""A driver's steps, on a farm on paper whose runs end as each test says; storage is real."""

import re
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from flows.farm.driver.attempts import MOST_TRIES
from flows.farm.driver.submitting import LEAST_SUBMITTED
from flows.farm.names import ATTEMPTS, Place
from flows.farm.orders import Orders
from flows.farm.pair_notes import read_note
from styletransfer.errors import StorageError
from styletransfer.records.records import now
from tests.farm.paper_farm import only, states
from tests.farm.simulated_farm import SimulatedFarm, SimulatedSlot


def test_a_night_without_trouble(farm):
    reconciler = farm.driver()
    reconciler.step()
    assert len(farm.live()) == LEAST_SUBMITTED
    assert set(states(reconciler).values()) == {"queued"}
    while farm.live():
        farm.complete(farm.live()[0])
        farm.clock += 5
        reconciler.step()
    assert reconciler.over
    assert set(states(reconciler).values()) == {"done"}
    assert sorted(farm.rendered) == ["a", "b", "c", "d"]


def test_two_drivers_share_the_work(farm):
    one, two = farm.driver("one"), farm.driver("two")
    for _ in range(10):
        one.step()
        two.step()
        pairs = [pair for run in farm.live() for pair in run.pairs]
        assert len(pairs) == len(set(pairs))
        for run in farm.live()[:1]:
            farm.complete(run)
        farm.clock += 5
    assert one.over
    assert two.over
    assert sorted(farm.rendered) == ["a", "b", "c", "d"]
    assert set(states(one).values()) == set(states(two).values()) == {"done"}


def test_when_time_is_up_what_waits_is_taken_back_and_what_renders_is_waited_for(farm):
    farm.slots = {1: 2, 2: 0}
    reconciler = farm.driver(until=now() + timedelta(hours=1))
    reconciler.step()
    rendering = farm.live()[0]
    farm.become(rendering, "running")
    reconciler.request = replace(reconciler.request, until=now() - timedelta(seconds=1))
    reconciler.step()
    assert only(farm.live()).id == rendering.id
    assert not reconciler.over
    farm.note(rendering, rendering.pairs[0], "held", reason="held at 07:00")
    farm.become(rendering, "held", "held at 07:00")
    reconciler.step()
    assert reconciler.over
    assert not reconciler.board.over
    assert set(states(reconciler).values()) == {"held"}
    assert not farm.live()


def test_a_manifest_that_is_paused_has_its_pairs_back_until_it_goes_on(farm):
    farm.slots = {1: 2, 2: 0}
    reconciler = farm.driver()
    reconciler.step()
    rendering, *_ = farm.live()
    pair = rendering.pairs[0]
    farm.become(rendering, "running")
    farm.note(rendering, pair, "rendering")
    reconciler.step()
    reconciler.orders = Orders(paused=True)
    reconciler.step()
    assert only(farm.live()).id == rendering.id
    note = read_note(farm.places, pair)
    assert note is not None
    assert (note.state, note.reason, note.run) == ("held", "paused", rendering.id)
    farm.become(rendering, "held", "paused; 1 held")
    for _ in range(2):
        reconciler.step()
    assert not farm.live()
    assert not reconciler.over
    assert reconciler.outcomes[pair].reason == "paused"
    reconciler.orders = Orders()
    reconciler.step()
    assert pair in [each for run in farm.live() for each in run.pairs]


def test_what_waits_is_submitted_anew_with_another_priority(farm):
    reconciler = farm.driver()
    reconciler.step()
    before = {run.id for run in farm.live()}
    reconciler.orders = Orders(priority="high")
    for _ in range(2):
        farm.clock += 5
        reconciler.step()
    assert before.isdisjoint(run.id for run in farm.live())
    assert len(farm.live()) == LEAST_SUBMITTED
    assert farm.priorities == ["normal"] * LEAST_SUBMITTED + ["high"] * LEAST_SUBMITTED
    submitted = len(farm.runs)
    reconciler.step()
    assert len(farm.runs) == submitted


def test_cancelling_ends_own_runs_only(farm):
    theirs = farm.submit("theirs", ["a"])
    reconciler = farm.driver()
    reconciler.step()
    mine = next(run for run in farm.live() if run.submission == "night")
    farm.become(mine, "running")
    reconciler.cancel()
    assert {run.id: run.phase for run in farm.live()} == {theirs.id: "waiting", mine.id: "cancelling"}
    assert set(states(reconciler).values()) == {"cancelled"}


def test_what_is_done_when_people_cancel_stays_done(farm):
    reconciler = farm.driver()
    reconciler.step()
    run = farm.live()[0]
    farm.become(run, "running")
    farm.finish(run, run.pairs[0])
    reconciler.cancel()
    assert states(reconciler).pop(run.pairs[0]) == "done"
    assert list(states(reconciler).values()).count("cancelled") == 3


def test_a_step_that_failed_is_taken_again(farm):
    """Whatever was done of it before: the submitted run whose answer was lost, say."""
    reconciler = farm.driver(only=["a"])
    reconciler.runs.away = True
    with pytest.raises(StorageError):
        reconciler.step()
    reconciler.runs.away = False
    farm.submit("night", ["a"])  # the server had taken it
    reconciler.step()
    farm.complete(only(farm.live()))
    reconciler.step()
    assert reconciler.over
    assert farm.rendered == ["a"]


def test_a_driver_of_many_runs_asks_no_oftener_than_one_of_few(farm):
    """A step reads a page of 200 live runs after the other: 12 pages a minute, however many there are."""
    reconciler = farm.driver()
    for count in (0, 3, 199, 200, 2000):
        reconciler._live = {str(number): None for number in range(count)}
        pages = count // 200 + 1
        assert pages * 60 / reconciler.pause_s == 12


# A broken slot, simulated: no server, no process, no storage


@pytest.mark.parametrize("count", [2, 8, 16, 32])
@pytest.mark.parametrize("broken", ["crash", "device", "mount"])
def test_one_broken_slot_among_many_costs_no_pair(count, broken):
    """Pairs of 300 s. One GPU of a host is broken; or one of two hosts, with half the slots, lacks the mount."""
    bad = count // 2 if broken == "mount" else 1
    slots = []
    for number in range(count):
        host = "bad" if broken == "mount" and number < bad else "h"
        slots.append(SimulatedSlot(Place(host, f"gpu{number}"), broken if number < bad else None))
    pairs = min(200, 25 * count)
    farm = SimulatedFarm(pairs, slots)
    alone_s = pairs * farm.pair_s / (count - bad)
    outcomes = farm.drive(10 * alone_s)
    assert Counter(outcome.state for outcome in outcomes.values()) == {"done": pairs}
    assert all(slot.out_until > 0 for slot in slots[:bad])
    assert not any(slot.out_until > farm.clock for slot in slots[bad:])
    assert farm.clock < 1.25 * alone_s + 900


def one_good_host_and_two_bad(broken, each):
    """The bad ones have so many slots each, are free at once, and fail alike."""
    places = [Place(host, f"gpu{number}") for host in ("bert", "carl") for number in range(each)]
    return [SimulatedSlot(Place("anna", "gpu0")), *(SimulatedSlot(place, broken) for place in places)]


@pytest.mark.parametrize(("each", "pairs"), [(1, 12), (8, 40)])
@pytest.mark.parametrize("pair_s", [60.0, 300.0, 3600.0])
@pytest.mark.parametrize("broken", ["device", "mount"])
def test_bad_hosts_do_not_confirm_each_other(broken, pair_s, each, pairs):
    """Even while the good one has not finished its first pair."""
    farm = SimulatedFarm(pairs, one_good_host_and_two_bad(broken, each), pair_s)
    outcomes = farm.drive(2 * pairs * pair_s)
    assert Counter(outcome.state for outcome in outcomes.values()) == {"done": pairs}
    assert farm.clock < 1.2 * pairs * pair_s + 600


@pytest.mark.parametrize("each", [1, 8])
def test_slots_that_crash_do_not_confirm_each_other(each):
    farm = SimulatedFarm(40, one_good_host_and_two_bad("crash", each))
    outcomes = farm.drive(2 * 40 * farm.pair_s)
    assert Counter(outcome.state for outcome in outcomes.values()) == {"done": 40}


@pytest.mark.parametrize("count", [1, 2, 3, 8, 32])
def test_a_picture_that_is_missing_everywhere_fails_its_pair_alone_and_soon(count):
    """Within three pairs' time of the moment when all slots are good, though a pair takes five minutes."""
    slots = [SimulatedSlot(Place(f"h{number}", "gpu0")) for number in range(count)]
    farm = SimulatedFarm(3 * count, slots, missing={"p0"})
    farm.drive(3 * farm.pair_s)
    while "p0" not in farm.driver.outcomes or farm.driver.outcomes["p0"].state != "failed":
        assert farm.clock < 4 * farm.pair_s
        farm.drive(farm.clock + farm.pair_s)
    outcomes = farm.drive(24 * 3600)
    assert Counter(outcome.state for outcome in outcomes.values()) == {"done": 3 * count - 1, "failed": 1}
    assert re.fullmatch(r"there is no such file \(on h\d+ gpu0(, h\d+ gpu0)*\)", outcomes["p0"].reason)


def test_where_no_slot_has_proven_itself_the_tries_are_bounded():
    """Three hosts, of which one never comes by: nobody can tell better, and the reason says so."""
    slots = [SimulatedSlot(Place(host, "gpu0"), "mount") for host in ("anna", "bert")]
    away = SimulatedSlot(Place("carl", "gpu0"))
    farm = SimulatedFarm(1, [*slots, away])
    away.next_at, away.run = float("inf"), "another manifest's"
    (outcome,) = farm.drive(3600).values()
    assert (outcome.state, outcome.attempts) == ("failed", MOST_TRIES)
    where = f"{MOST_TRIES} tries on anna gpu0, bert gpu0, where no pair was finished"
    assert outcome.reason == f"there is no such file ({where})"


def test_a_pair_that_fails_wherever_it_is_rendered_comes_to_its_end():
    slots = [SimulatedSlot(Place(f"h{number}", "gpu0"), "mount") for number in range(2)]
    outcomes = SimulatedFarm(1, slots).drive(3600)
    told = [(outcome.state, outcome.reason) for outcome in outcomes.values()]
    assert told == [("failed", "there is no such file (on h0 gpu0, h1 gpu0)")]


def test_where_there_is_but_one_slot_a_fault_of_it_has_the_usual_attempts():
    farm = SimulatedFarm(2, [SimulatedSlot(Place("h", "gpu0"), "mount")])
    outcomes = farm.drive(3600)
    told = {(outcome.state, outcome.reason, outcome.attempts) for outcome in outcomes.values()}
    assert told == {("failed", "there is no such file (on h gpu0)", ATTEMPTS)}


def damaged():
    """Two hosts on which all is well, but the pictures."""
    return [SimulatedSlot(Place(f"h{number}", "gpu0"), "damaged") for number in range(2)]


def test_a_hopeless_manifest_stops_and_says_so():
    """Of 100 pairs 20 or a few more are tried; the rest is left, and no run stays."""
    farm = SimulatedFarm(100, damaged())
    outcomes = farm.drive(1800)
    found = Counter(outcome.state for outcome in outcomes.values())
    assert set(found) == {"failed", "cancelled"}
    assert 20 <= found["failed"] <= 25
    assert not farm.live()
    why = f"stopped, as the first {found['failed']} pairs all failed; `max_failed` sets another limit"
    assert farm.driver.given_up == why
    assert {outcome.reason for outcome in outcomes.values() if outcome.state == "cancelled"} == {why}


def test_a_limit_of_the_manifest_or_of_the_submission_goes_over_the_default():
    farm = SimulatedFarm(30, damaged(), max_failed="10%")
    farm.drive(1800)
    assert str(farm.driver.given_up).endswith("of 30 pairs failed; max_failed is 10%")
    farm = SimulatedFarm(30, damaged(), max_failed="10%")
    farm.driver.request = replace(farm.driver.request, max_failed="100%")
    outcomes = farm.drive(1800)
    assert Counter(outcome.state for outcome in outcomes.values()) == {"failed": 30}
    assert farm.driver.given_up is None


# Previews


def test_a_pair_that_is_to_be_previewed_has_come_to_its_end_with_that(farm):
    reconciler = farm.driver(preview=24)
    reconciler.step()
    while farm.live():
        farm.preview(farm.live()[0], 24)
        farm.clock += 5
        reconciler.step()
    assert reconciler.over
    assert set(states(reconciler).values()) == {"held"}
    assert all(outcome.is_preview for outcome in reconciler.outcomes.values())
    assert reconciler.report(None).slot_hours > 0
    again = farm.driver("later", preview=24)
    again.step()
    assert again.over
    assert sorted(farm.rendered) == ["a", "b", "c", "d"]


def test_what_another_driver_renders_to_its_end_meanwhile_is_done(farm):
    reconciler = farm.driver(only=["a"], preview=24)
    final = farm.submit("other", ["a"])
    reconciler.step()
    assert only(farm.live()).id == final.id
    farm.complete(final)
    reconciler.step()
    assert states(reconciler) == {"a": "done"}
