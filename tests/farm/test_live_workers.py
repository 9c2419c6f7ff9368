"""Workers that are there, however many, with their tags."""

from types import SimpleNamespace

import pytest
from prefect.client.schemas.objects import WorkerStatus

from flows.farm import live_workers as module
from flows.farm import names, submissions
from flows.farm.live_workers import LiveWorker, live_workers
from flows.farm.names import Needs


class Pool:
    """A client of a server that has so many workers in each pool, and gives at most a page of them."""

    def __init__(self, count, kind="process", limit=None):
        self.pools = [SimpleNamespace(name=name, type=kind, concurrency_limit=limit) for name in names.POOLS]
        self.workers = [SimpleNamespace(name=f"w{number}", status=WorkerStatus.ONLINE) for number in range(count)]

    def read_work_pools(self, *, work_pool_filter):
        assert set(work_pool_filter.name.any_) == set(names.POOLS)
        return self.pools

    def read_workers_for_work_pool(self, _pool, *, limit, offset):
        return self.workers[offset : offset + min(limit, submissions.PAGE)]


@pytest.fixture
def tags(monkeypatch):
    found = {"w3": frozenset({"a100"}), "gone": frozenset({"h100"})}
    monkeypatch.setattr(module, "read_tags", lambda _: found)


@pytest.mark.parametrize("count", [0, 199, 200, 201, 1000])
@pytest.mark.usefixtures("tags")
def test_however_many_workers_there_are_all_are_found(count):
    found = live_workers(Pool(count))  # type: ignore[arg-type]
    assert len(found) == len(set(found)) == count * len(names.POOLS)
    assert {worker.name for worker in found if worker.tags} == ({"w3"} if count else set())


@pytest.mark.parametrize(
    ("needs", "has"),
    [
        (Needs(1), True),
        (Needs(2), False),
        (Needs(1, frozenset({"a100"})), True),
        (Needs(1, frozenset({"a100", "80gb"})), True),
        (Needs(1, frozenset({"a100", "h100"})), False),
    ],
)
def test_a_slot_must_have_all_tags(needs, has):
    assert LiveWorker("h-gpu0", "nst-gpu1", frozenset({"a100", "80gb", "studio"})).has(needs) is has
    assert not LiveWorker("h-driver", names.DRIVER_POOL).has(needs)


@pytest.mark.parametrize(
    ("kind", "limit", "slots"),
    [
        ("process", None, [1, 1, 1]),
        ("process", 20, [1, 1, 1]),
        ("kubernetes", None, [1, 1, 1]),
        ("kubernetes", 20, [7, 7, 6]),
        ("docker", 2, [1, 1, 0]),
    ],
)
@pytest.mark.usefixtures("tags")
def test_where_runs_are_containers_the_pools_limit_is_the_number_of_slots(kind, limit, slots):
    found = live_workers(Pool(3, kind, limit))  # type: ignore[arg-type]
    for pool in names.POOLS:
        assert [worker.slots for worker in found if worker.pool == pool] == slots
    assert {worker.containers for worker in found} == {kind != "process"}
