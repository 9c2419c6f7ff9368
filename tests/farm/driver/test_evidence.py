"""What storage says of pairs: done, changed, or to be rendered again."""

from styletransfer.renders.records import now
from tests.farm.paper_farm import only, states
from tests.studio import picture_file, pretend_all


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


def test_an_input_that_changes_in_the_night_is_rendered_as_it_is(farm, studio, caplog):
    drive = farm.driver(only=["a"])
    drive.step()
    studio.put("a.png", picture_file(77))
    farm.complete(only(farm.live()))
    drive.step()
    assert drive.over
    assert "a: an input has changed since the plan was made" in caplog.text
