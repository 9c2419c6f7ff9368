"""How long a driver waits for a plan while storage is away."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from flows.farm.driver.flow import PLANNED_AGAIN, plan_patiently
from flows.pairs.retrying import OUTAGE_LIMIT_S, outage_retries
from styletransfer.errors import StorageError

AWAY = StorageError("s3://studio: no answer", transient=True)


def plan(queued=("a",), troubles=(), faults=()):
    return SimpleNamespace(having=lambda state: queued, troubles=troubles, faults=faults)


def planned(*results, last=None):
    """What becomes of these results of planning, one after the other; how often, and how long was waited."""
    slept: list[float] = []
    made: list[object] = []
    left = list(results)

    def make():
        result = left.pop(0) if left else last
        made.append(result)
        if isinstance(result, Exception):
            raise result
        return result

    retries = replace(outage_retries(), sleep=slept.append, clock=lambda: sum(slept))
    return plan_patiently(make, retries), made, sum(slept)


def test_a_plan_is_made_once():
    whole = plan()
    assert planned(whole) == (whole, [whole], 0)


def test_storage_that_comes_back_is_waited_for():
    whole = plan()
    assert planned(*[AWAY] * 8, whole)[0] is whole


def test_but_not_for_ever_nor_where_that_is_no_use():
    with pytest.raises(StorageError):
        planned(last=AWAY)
    with pytest.raises(StorageError):
        planned(StorageError("s3://studio: access denied"), last=plan())


def test_pairs_that_could_not_be_looked_at_are_looked_at_again():
    partly, whole = plan(troubles=("b: no answer",)), plan()
    assert planned(partly, whole)[0] is whole


def test_others_do_not_wait_for_them_long():
    partly = plan(troubles=("b: no answer",))
    found, made, _ = planned(last=partly)
    assert found is partly
    assert len(made) == PLANNED_AGAIN


def test_where_there_are_no_others_there_is_time():
    nothing = plan(queued=(), troubles=("b: no answer",))
    found, _, waited = planned(last=nothing)
    assert found is nothing
    assert waited > OUTAGE_LIMIT_S


def test_a_wrong_manifest_is_told_at_once():
    wrong = plan(queued=(), troubles=("b: no answer",), faults=("a: there is no such file",))
    assert planned(wrong) == (wrong, [wrong], 0)
