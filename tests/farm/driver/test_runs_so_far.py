"""What a driver's sheet shows of renders elsewhere: of those that render now, seldom looked for."""

import pytest

from flows.farm.driver.runs_so_far import EVERY_S, RunsSoFar
from flows.farm.manifest_progress import ManifestProgress
from flows.farm.so_far import write_so_far
from styletransfer.contact_sheet.under_way import PairUnderWay, Preview
from styletransfer.records.output_places import OutputPlaces
from styletransfer.records.records import now
from tests.farm.dashboard import Clock
from tests.studio import picture_file

PICTURE = Preview(picture_file(size=(40, 30), kind="JPEG"), 40, 30)


@pytest.fixture
def places(tmp_path):
    found = OutputPlaces(str(tmp_path), "demo")
    for run, pair in (("one", "a"), ("two", "b"), ("former", "a")):
        write_so_far(found, run, {pair: PairUnderWay(f"by {run}", 0.5, picture=PICTURE)})
    return found


def test_pairs_are_seen_as_the_runs_tell_that_render_now(places):
    seen = RunsSoFar(places)
    assert seen.under_way(5.0).pairs == {}
    seen = RunsSoFar(places)
    seen.runs = lambda: ["two", "one", "silent"]
    found = seen.under_way(5.0)
    assert {name: pair.at for name, pair in found.pairs.items()} == {"a": "by one", "b": "by two"}
    assert (found.reload_s, found.fraction, found.through) == (5.0, None, None)


def test_they_are_looked_for_now_and_then_only(places):
    clock, asked = Clock(), []
    seen = RunsSoFar(places, clock)

    def runs():
        asked.append(clock.now)
        return ["one"]

    seen.runs = runs
    for clock.now in range(0, 60, 5):
        assert seen.under_way(5.0).pairs["a"].at == "by one"
    assert asked == [0, EVERY_S, 2 * EVERY_S, 3 * EVERY_S]


def test_the_head_says_how_far_the_manifest_is(places):
    through = now()
    seen = RunsSoFar(places)
    seen.progress = lambda: ManifestProgress(3, 0, 1, 1, through)
    found = seen.under_way(5.0)
    assert (found.fraction, found.through) == (0.75, through)
