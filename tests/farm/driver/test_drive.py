"""A driver's steps, on a farm on paper whose runs end as each test says; storage is real."""

import logging
from dataclasses import replace
from datetime import timedelta

import pytest

from flows.farm.driver.judging import HEARD_AGAIN_S
from flows.farm.driver.submitting import LEAST_SUBMITTED
from flows.farm.names import ATTEMPTS, NO_WORKER_S, PENDING_LIMIT_S
from flows.farm.notes import read_notes
from styletransfer.errors import StorageError
from styletransfer.renders.records import now
from tests.farm.paper_farm import PaperFarm
from tests.studio import picture_file, plan_one, pretend_all


@pytest.fixture
def farm(studio):
    """Four pairs, a to d, and one slot."""
    studio.picture("s.png", 9)
    for seed, name in enumerate("abcd"):
        studio.picture(f"{name}.png", seed)
    pairs = [{"id": name, "content": f"{name}.png", "style": "s.png"} for name in "abcd"]
    return PaperFarm(studio.manifest(*pairs))


def states(drive):
    return {pair: outcome.state for pair, outcome in drive.outcomes.items()}


def only(runs):
    (run,) = runs
    return run


def test_a_night_without_trouble(farm):
    drive = farm.driver()
    drive.step()
    assert len(farm.live()) == LEAST_SUBMITTED
    assert set(states(drive).values()) == {"queued"}
    while farm.live():
        farm.complete(farm.live()[0])
        farm.clock += 5
        drive.step()
    assert drive.over
    assert set(states(drive).values()) == {"done"}
    assert sorted(farm.rendered) == ["a", "b", "c", "d"]


def test_it_submits_twice_as_many_runs_as_there_are_slots(farm):
    farm.slots = {1: 2, 2: 0}
    drive = farm.driver()
    drive.step()
    assert len(farm.live()) == 4
    drive.step()
    assert len(farm.live()) == 4


def test_pairs_are_told_as_they_are_rendered(farm):
    drive = farm.driver()
    drive.step()
    run = farm.live()[0]
    farm.become(run, "running")
    first, second = run.pairs
    farm.note(run, first, "rendering", slot="gpu0")
    farm.clock += 5
    drive.step()
    assert (drive.outcomes[first].state, drive.outcomes[first].reason) == ("rendering", "h gpu0")
    farm.finish(run, first)
    farm.note(run, second, "failed", reason="damaged")
    farm.clock += 100
    drive.step()
    assert (drive.outcomes[first].state, drive.outcomes[second].state) == ("done", "failed")
    assert drive.outcomes[second].reason == "damaged"
    assert not drive.over


def test_a_killed_render_is_retried_alone_with_its_attempts(farm):
    drive = farm.driver(only=["a", "b"])
    for attempt in range(1, ATTEMPTS + 1):
        drive.step()
        run = next(run for run in farm.live() if "a" in run.pairs)
        assert farm.attempts[run.id, "a"] == attempt
        assert run.pairs == ("a",) or attempt == 1
        farm.crash(run, "a")
        drive.step()
    for run in farm.live():
        farm.complete(run)
    drive.step()
    assert drive.over
    assert states(drive) == {"a": "failed", "b": "done"}
    assert drive.outcomes["a"].attempts == ATTEMPTS
    assert "-9" in (drive.outcomes["a"].reason or "")


def test_a_lost_host_is_believed_after_a_while(farm):
    drive = farm.driver(only=["a"])
    drive.step()
    farm.lose(only(farm.live()), "a")
    drive.step()
    assert not farm.live(), "the server may just have been away"
    farm.clock += HEARD_AGAIN_S
    drive.step()
    assert farm.attempts[only(farm.live()).id, "a"] == 2


def test_a_run_that_is_heard_of_again_goes_on(farm, caplog):
    drive = farm.driver(only=["a"])
    drive.step()
    run = only(farm.live())
    farm.lose(run, "a")
    farm.beating.add(run.id)
    drive.step()
    assert only(farm.live()).id == run.id
    assert "is heard of again" in caplog.text
    farm.complete(run)
    farm.clock += 5
    drive.step()
    assert drive.over
    assert farm.rendered == ["a"]


def test_a_run_that_never_begins_is_given_up(farm):
    drive = farm.driver(only=["a"])
    drive.step()
    farm.become(only(farm.live()), "pending")
    drive.step()
    farm.clock += PENDING_LIMIT_S + 1
    drive.step()
    assert not farm.live()
    drive.step()
    farm.clock += 60
    drive.step()
    run = only(farm.live())
    assert farm.attempts[run.id, "a"] == 1, "nothing was rendered, so nothing is charged"
    assert "did not begin within 180 s" in (drive.outcomes["a"].reason or "")


def test_runs_wait_for_workers_without_limit_but_the_lack_is_told(farm, caplog):
    farm.slots = {1: 0, 2: 0}
    drive = farm.driver()
    drive.step()
    farm.clock += NO_WORKER_S
    with caplog.at_level(logging.WARNING):
        drive.step()
        farm.clock += 5
        drive.step()
    assert caplog.text.count("no worker of pool nst-gpu1 is alive") == 1
    assert drive.outcomes["a"].reason == "no worker of pool nst-gpu1 is alive"
    assert len(farm.live("waiting")) == LEAST_SUBMITTED
    farm.slots = {1: 1, 2: 0}
    farm.clock += 15
    drive.step()
    assert drive.outcomes["a"].reason == "waits for a slot"


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


def test_a_driver_goes_on_where_another_died(farm):
    """With its runs, its attempts, and what it had failed."""
    former = farm.driver()
    former.step()
    first, second = farm.live()
    farm.crash(first, first.pairs[0])
    farm.become(second, "running")
    farm.note(second, second.pairs[0], "failed", reason="damaged")

    drive = farm.driver()
    drive.step()
    assert drive.outcomes[second.pairs[0]].state == "failed"
    retry = next(run for run in farm.live() if first.pairs[0] in run.pairs)
    assert farm.attempts[retry.id, first.pairs[0]] == 2
    assert second.id in {run.id for run in farm.live()}
    # The retry still waits when that one dies, too: the crash is not charged again
    again = farm.driver()
    again.step()
    assert [run.id for run in farm.live() if first.pairs[0] in run.pairs] == [retry.id]
    assert again.board.standings[first.pairs[0]].attempts == 1
    for run in farm.live():
        farm.finish(run, *(pair for pair in run.pairs if again.board.is_open(pair)))
        farm.become(run, "completed")
    again.step()
    while farm.live():
        farm.complete(farm.live()[0])
        again.step()
    assert again.over
    assert sorted(farm.rendered) == sorted(set("abcd") - {second.pairs[0]})


def test_what_was_done_for_this_submission_counts_as_done(farm):
    former = farm.driver()
    former.step()
    farm.complete(farm.live()[0])
    drive = farm.driver()
    drive.step()
    assert sum(state == "done" for state in states(drive).values()) == 2


def test_failures_of_former_nights_are_tried_again(farm):
    drive = farm.driver("yesterday", only=["a"])
    drive.step()
    run = only(farm.live())
    farm.note(run, "a", "failed", reason="damaged")
    farm.become(run, "failed")
    drive.step()
    assert drive.over
    tonight = farm.driver("tonight", only=["a"])
    tonight.step()
    assert only(farm.live()).pairs == ("a",)


def test_forced_pairs_are_done_once_they_are_rendered_again(farm):
    pretend_all(farm.manifest)
    drive = farm.driver(force_before=now())
    drive.step()
    assert set(states(drive).values()) == {"queued"}
    while farm.live():
        farm.complete(farm.live()[0])
        farm.clock += 5
        drive.step()
    assert drive.over
    assert sorted(farm.rendered) == ["a", "b", "c", "d"]


def test_held_pairs_are_resumed_and_not_charged(farm):
    drive = farm.driver(only=["a"])
    drive.step()
    run = only(farm.live())
    farm.note(run, "a", "held", reason="stopped by its host")
    farm.become(run, "held", "stopped by its host; 1 held")
    drive.step()
    assert farm.attempts[only(farm.live()).id, "a"] == 1


def test_when_time_is_up_what_waits_is_taken_back_and_what_renders_is_waited_for(farm):
    farm.slots = {1: 2, 2: 0}
    drive = farm.driver(until=now() + timedelta(hours=1))
    drive.step()
    rendering = farm.live()[0]
    farm.become(rendering, "running")
    drive.request = replace(drive.request, until=now() - timedelta(seconds=1))
    drive.step()
    assert only(farm.live()).id == rendering.id
    assert not drive.over
    farm.note(rendering, rendering.pairs[0], "held", reason="held at 07:00")
    farm.become(rendering, "held", "held at 07:00")
    drive.step()
    assert drive.over
    assert not drive.board.over
    assert set(states(drive).values()) == {"held"}
    assert not farm.live()


def test_cancelling_ends_own_runs_only(farm):
    theirs = farm.submit("theirs", ["a"])
    drive = farm.driver()
    drive.step()
    mine = next(run for run in farm.live() if run.submission == "night")
    farm.become(mine, "running")
    drive.cancel()
    assert {run.id: run.phase for run in farm.live()} == {theirs.id: "waiting", mine.id: "cancelling"}
    assert set(states(drive).values()) == {"cancelled"}


def test_what_is_done_when_people_cancel_stays_done(farm):
    drive = farm.driver()
    drive.step()
    run = farm.live()[0]
    farm.become(run, "running")
    farm.finish(run, run.pairs[0])
    drive.cancel()
    assert states(drive).pop(run.pairs[0]) == "done"
    assert list(states(drive).values()).count("cancelled") == 3


def test_a_step_that_failed_is_taken_again(farm):
    """Whatever was done of it before: the submitted run whose answer was lost, say."""
    drive = farm.driver(only=["a"])
    drive.runs.away = True
    with pytest.raises(StorageError):
        drive.step()
    drive.runs.away = False
    farm.submit("night", ["a"])  # the server had taken it
    drive.step()
    farm.complete(only(farm.live()))
    drive.step()
    assert drive.over
    assert farm.rendered == ["a"]


def test_a_run_that_was_deleted_is_missed(farm):
    drive = farm.driver(only=["a"])
    drive.step()
    farm.runs.clear()
    drive.step()
    farm.clock += 60
    drive.step()
    assert only(farm.live()).pairs == ("a",)


def test_an_input_that_changes_in_the_night_is_rendered_as_it_is(farm, studio, caplog):
    drive = farm.driver(only=["a"])
    drive.step()
    studio.put("a.png", picture_file(77))
    farm.complete(only(farm.live()))
    drive.step()
    assert drive.over
    assert "a: an input has changed since the plan was made" in caplog.text


def test_large_pairs_go_to_the_pool_for_two_gpus(studio):
    manifest = studio.simple(defaults={"end_scale": 32, "min_scale": 32, "gpus": 2})
    farm = PaperFarm(manifest)
    farm.driver().step()
    assert only(farm.live()).gpus == 2
    assert plan_one(manifest).pair.settings.gpus == 2
    assert not read_notes(farm.places)
