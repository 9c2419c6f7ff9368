"""How many runs are submitted, and where."""

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


def test_large_pairs_go_to_the_pool_for_two_gpus(studio):
    manifest = studio.simple(defaults={"end_scale": 32, "min_scale": 32, "gpus": 2})
    farm = PaperFarm(manifest)
    farm.driver().step()
    assert only(farm.live()).gpus == 2
    assert plan_one(manifest).pair.settings.gpus == 2
    assert not read_notes(farm.places)
