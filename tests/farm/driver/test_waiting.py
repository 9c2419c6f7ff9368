"""What is told of pairs that wait."""

import logging

from flows.farm.driver.submitting import LEAST_SUBMITTED, SLOTS_S
from flows.farm.names import NO_WORKER_S


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
