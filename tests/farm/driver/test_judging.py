"""How runs that end, fall silent or are lost are judged, on a farm on paper."""

from flows.farm.driver.judging import HEARD_AGAIN_S
from flows.farm.names import ATTEMPTS, CONTAINER_LIMIT_S, PENDING_LIMIT_S
from flows.farm.so_far import read_so_far, write_so_far
from styletransfer.contact_sheet.under_way import PairUnderWay, Preview
from tests.farm.paper_farm import only, states
from tests.studio import picture_file


def test_pairs_are_told_as_they_are_rendered(farm):
    reconciler = farm.driver()
    reconciler.step()
    run = farm.live()[0]
    farm.become(run, "running")
    first, second = run.pairs
    farm.note(run, first, "rendering", slot="gpu0")
    farm.clock += 5
    reconciler.step()
    assert (reconciler.outcomes[first].state, reconciler.outcomes[first].reason) == ("rendering", "h gpu0")
    farm.finish(run, first)
    farm.note(run, second, "failed", reason="damaged")
    farm.clock += 100
    reconciler.step()
    assert (reconciler.outcomes[first].state, reconciler.outcomes[second].state) == ("done", "failed")
    assert reconciler.outcomes[second].reason == "damaged (on h)"
    assert not reconciler.over


def test_a_killed_render_is_retried_alone_with_its_attempts(farm):
    reconciler = farm.driver(only=["a", "b"])
    for attempt in range(1, ATTEMPTS + 1):
        reconciler.step()
        run = next(run for run in farm.live() if "a" in run.pairs)
        assert farm.attempts[run.id, "a"] == attempt
        assert run.pairs == ("a",) or attempt == 1
        farm.crash(run, "a")
        reconciler.step()
    for run in farm.live():
        farm.complete(run)
    reconciler.step()
    assert reconciler.over
    assert states(reconciler) == {"a": "failed", "b": "done"}
    assert reconciler.outcomes["a"].attempts == ATTEMPTS
    assert "-9" in (reconciler.outcomes["a"].reason or "")


def test_nothing_is_seen_of_a_run_that_is_over(farm):
    reconciler = farm.driver(only=["a"])
    reconciler.step()
    run = only(farm.live())
    jpeg = Preview(picture_file(size=(40, 30), kind="JPEG"), 40, 30)
    for name in (run.id, "other"):
        write_so_far(farm.places, name, {"a": PairUnderWay(picture=jpeg)})
    farm.become(run, "running")
    reconciler.step()
    assert reconciler.running() == [run.id]
    assert read_so_far(farm.places, run.id)
    farm.crash(run, "a")
    reconciler.step()
    assert reconciler.running() == []
    assert not read_so_far(farm.places, run.id)
    assert read_so_far(farm.places, "other")


def test_a_lost_host_is_believed_after_a_while(farm):
    reconciler = farm.driver(only=["a"])
    reconciler.step()
    farm.lose(only(farm.live()), "a")
    reconciler.step()
    assert not farm.live(), "the server may just have been away"
    farm.clock += HEARD_AGAIN_S
    reconciler.step()
    assert farm.attempts[only(farm.live()).id, "a"] == 2


def test_a_run_that_is_heard_of_again_goes_on(farm, caplog):
    reconciler = farm.driver(only=["a"])
    reconciler.step()
    run = only(farm.live())
    farm.lose(run, "a")
    farm.beating.add(run.id)
    reconciler.step()
    assert only(farm.live()).id == run.id
    assert "is heard of again" in caplog.text
    farm.complete(run)
    farm.clock += 5
    reconciler.step()
    assert reconciler.over
    assert farm.rendered == ["a"]


def test_a_run_that_never_begins_is_given_up(farm):
    reconciler = farm.driver(only=["a"])
    reconciler.step()
    farm.become(only(farm.live()), "pending")
    reconciler.step()
    farm.clock += PENDING_LIMIT_S + 1
    reconciler.step()
    assert not farm.live()
    reconciler.step()
    farm.clock += 60
    reconciler.step()
    run = only(farm.live())
    assert farm.attempts[run.id, "a"] == 1, "nothing was rendered, so nothing is charged"
    assert "did not begin within 180 s" in (reconciler.outcomes["a"].reason or "")


def test_a_container_has_time_to_pull_its_image(farm):
    farm.containers = True
    reconciler = farm.driver(only=["a"])
    reconciler.step()
    farm.become(only(farm.live()), "pending")
    for seconds, runs in ((0, 1), (PENDING_LIMIT_S + 1, 1), (CONTAINER_LIMIT_S, 0)):
        farm.clock += seconds
        reconciler.step()
        assert len(farm.live()) == runs


def test_held_pairs_are_resumed_and_not_charged(farm):
    reconciler = farm.driver(only=["a"])
    reconciler.step()
    run = only(farm.live())
    farm.note(run, "a", "held", reason="stopped by its host")
    farm.become(run, "held", "stopped by its host; 1 held")
    reconciler.step()
    assert farm.attempts[only(farm.live()).id, "a"] == 1


def test_a_run_that_was_deleted_is_missed(farm):
    reconciler = farm.driver(only=["a"])
    reconciler.step()
    farm.runs.clear()
    reconciler.step()
    farm.clock += 60
    reconciler.step()
    assert only(farm.live()).pairs == ("a",)
