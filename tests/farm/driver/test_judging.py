"""How runs that end, fall silent or are lost are judged, on a farm on paper."""

from flows.farm.driver.judging import HEARD_AGAIN_S
from flows.farm.names import ATTEMPTS, PENDING_LIMIT_S
from tests.farm.paper_farm import only, states


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


def test_held_pairs_are_resumed_and_not_charged(farm):
    drive = farm.driver(only=["a"])
    drive.step()
    run = only(farm.live())
    farm.note(run, "a", "held", reason="stopped by its host")
    farm.become(run, "held", "stopped by its host; 1 held")
    drive.step()
    assert farm.attempts[only(farm.live()).id, "a"] == 1


def test_a_run_that_was_deleted_is_missed(farm):
    drive = farm.driver(only=["a"])
    drive.step()
    farm.runs.clear()
    drive.step()
    farm.clock += 60
    drive.step()
    assert only(farm.live()).pairs == ("a",)
