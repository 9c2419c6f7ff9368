"""Which drivers are begun again."""

from datetime import timedelta
from uuid import UUID

import pytest
from prefect.client.schemas.objects import FlowRun
from prefect.states import Completed, Crashed, Running, Scheduled

from flows.farm.reviving import AUTOMATION_S, lost
from styletransfer.records import now


def driver(state, submission="night"):
    return FlowRun(flow_id=UUID(int=0), state=state, parameters={"submission": submission})


def found(*runs, minutes=5):
    return list(lost(list(runs), now() + timedelta(minutes=minutes)))


def test_a_crashed_driver_without_another_in_its_place():
    dead, fine = driver(Crashed()), driver(Running(), "other")
    assert found(dead, fine) == [dead]


@pytest.mark.parametrize("state", [Scheduled(), Running(), Completed()])
def test_not_one_that_has_been_replaced(state):
    assert found(driver(Crashed()), driver(state)) == []


def test_the_last_of_several():
    first, second, third = (driver(Crashed()) for _ in range(3))
    assert found(first, third, second) == [third]


def test_the_automation_comes_first_and_old_ones_stay_dead():
    dead = driver(Crashed())
    assert found(dead, minutes=AUTOMATION_S / 60 / 2) == []
    assert found(dead, minutes=60 * 24 * 2) == []
