"""How many runs are submitted, and where."""

from collections import Counter

from flows.farm.driver.submitting import SLOTS_S
from flows.farm.pair_notes import read_notes
from tests.farm.paper_farm import PaperFarm, only
from tests.studio import plan_one


def test_it_submits_twice_as_many_runs_as_there_are_slots(farm):
    farm.slots = {1: 2, 2: 0}
    reconciler = farm.driver()
    reconciler.step()
    assert len(farm.live()) == 4
    reconciler.step()
    assert len(farm.live()) == 4


def test_a_worker_for_containers_gets_as_many_as_it_may_start(farm):
    farm.slots, farm.share = {1: 1, 2: 0}, 2
    farm.driver().step()
    assert len(farm.live()) == 4


def test_large_pairs_go_to_the_pool_for_two_gpus(studio):
    manifest = studio.simple(defaults={"end_scale": 32, "min_scale": 32, "gpus": 2})
    farm = PaperFarm(manifest)
    driver = farm.driver()
    driver.step()
    assert farm.live() == [], "their pool may not be there"
    farm.slots, farm.clock = {1: 1, 2: 1}, farm.clock + SLOTS_S
    driver.step()
    assert only(farm.live()).needs.gpus == 2
    assert plan_one(manifest).pair.settings.gpus == 2
    assert not read_notes(farm.places)


def test_pairs_go_to_slots_that_have_their_tags_and_nobody_waits_for_those_that_none_has(studio):
    manifest = studio.manifest(
        *[
            {"id": f"{name}{number}", "content": f"{name}.png", "style": f"{name}.png", "requires": tags}
            for name, tags in {"a": ["a100"], "b": [], "c": ["h100"]}.items()
            for number in range(8)
        ]
    )
    for name in "abc":
        studio.picture(f"{name}.png")
    farm = PaperFarm(manifest, slots=2)
    farm.tags = frozenset({"a100", "80gb"})
    farm.driver().step()
    found = Counter((str(run.needs), run.pairs[0][0]) for run in farm.live())
    assert found == {("nst-gpu1 with the tag a100", "a"): 4, ("nst-gpu1", "b"): 4}
    assert all(len({pair[0] for pair in run.pairs}) == 1 for run in farm.live())
