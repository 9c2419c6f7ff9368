"""What storage says of pairs: done, changed, or to be rendered again."""

from styletransfer.records.records import now
from tests.farm.paper_farm import only, states
from tests.studio import picture_file, pretend_all


def test_forced_pairs_are_done_once_they_are_rendered_again(farm):
    pretend_all(farm.manifest)
    reconciler = farm.driver(force_before=now())
    reconciler.step()
    assert set(states(reconciler).values()) == {"queued"}
    while farm.live():
        farm.complete(farm.live()[0])
        farm.clock += 5
        reconciler.step()
    assert reconciler.over
    assert sorted(farm.rendered) == ["a", "b", "c", "d"]


def test_an_input_that_changes_in_the_night_is_rendered_as_it_is(farm, studio, caplog):
    reconciler = farm.driver(only=["a"])
    reconciler.step()
    studio.put("a.png", picture_file(77))
    farm.complete(only(farm.live()))
    reconciler.step()
    assert reconciler.over
    assert "a: an input has changed since the plan was made" in caplog.text


def test_an_input_that_changes_while_it_is_previewed_is_previewed_as_it_is(farm, studio, caplog):
    reconciler = farm.driver(only=["a"], preview=24)
    reconciler.step()
    studio.put("a.png", picture_file(77))
    farm.preview(only(farm.live()), 24)
    reconciler.step()
    assert reconciler.over
    assert "a: an input has changed since the plan was made" in caplog.text
