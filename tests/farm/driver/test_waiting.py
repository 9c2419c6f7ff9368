"""What is told of pairs that wait."""

import logging

from flows.farm.driver.submitting import LEAST_SUBMITTED, SLOTS_S
from flows.farm.names import NO_WORKER_S
from tests.farm.paper_farm import PaperFarm


def test_runs_wait_for_workers_without_limit_but_the_lack_is_told(farm, caplog):
    farm.slots = {1: 0, 2: 0}
    reconciler = farm.driver()
    reconciler.step()
    farm.clock += NO_WORKER_S
    with caplog.at_level(logging.WARNING):
        reconciler.step()
        farm.clock += 5
        reconciler.step()
    assert caplog.text.count("no worker of pool nst-gpu1 is alive") == 1
    assert reconciler.outcomes["a"].reason == "no worker of pool nst-gpu1 is alive"
    assert len(farm.live("waiting")) == LEAST_SUBMITTED
    farm.slots = {1: 1, 2: 0}
    farm.clock += SLOTS_S
    reconciler.step()
    assert reconciler.outcomes["a"].reason == "waits for a slot"


def test_the_lack_of_slots_with_a_tag_is_told(studio):
    studio.picture("a.png")
    manifest = studio.manifest({"content": "a.png", "style": "a.png"}, requires=["a100"])
    farm = PaperFarm(manifest)
    reconciler = farm.driver()
    reconciler.step()
    farm.clock += NO_WORKER_S
    reconciler.step()
    lack = "no worker of pool nst-gpu1 with the tag a100 is alive"
    assert [outcome.reason for outcome in reconciler.outcomes.values()] == [lack]
    assert farm.live() == []
