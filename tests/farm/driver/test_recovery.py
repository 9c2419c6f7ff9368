"""A driver that goes on where another died."""

from tests.farm.paper_farm import only, states


def test_a_driver_goes_on_where_another_died(farm):
    """With its runs, its attempts, and what it had failed."""
    former = farm.driver()
    former.step()
    first, second = farm.live()
    farm.crash(first, first.pairs[0])
    farm.become(second, "running")
    farm.note(second, second.pairs[0], "failed", reason="damaged")

    reconciler = farm.driver()
    reconciler.step()
    assert reconciler.outcomes[second.pairs[0]].state == "failed"
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
    reconciler = farm.driver()
    reconciler.step()
    assert sum(state == "done" for state in states(reconciler).values()) == 2


def test_failures_of_former_nights_are_tried_again(farm):
    reconciler = farm.driver("yesterday", only=["a"])
    reconciler.step()
    run = only(farm.live())
    farm.note(run, "a", "failed", reason="damaged")
    farm.become(run, "failed")
    reconciler.step()
    assert reconciler.over
    tonight = farm.driver("tonight", only=["a"])
    tonight.step()
    assert only(farm.live()).pairs == ("a",)
