"""One worker for one slot: which runs it refuses, and when it asks for any."""

import asyncio
import os
import subprocess
import sys
from contextlib import suppress
from functools import partial

import anyio
import pytest
from prefect import flow, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelling, Completed, Running
from prefect.workers.process import ProcessWorker

from flows.farm import submissions
from flows.farm.live_workers import live_workers
from flows.farm.names import QUEUES, RENDER_DEPLOYMENTS, RENDER_POOLS, requirement_tags
from flows.farm.setup.deploy import deploy
from flows.farm.slot_service import SlotService, read_service, write_service
from flows.farm.workers.slot_worker import SlotWorker, query_pause_s
from flows.server.environment import IDLE_QUERY_S
from styletransfer.records.records import now
from tests.checkout import ROOT
from tests.farm.commands import unique
from tests.waiting import until

OLD = "flows.farm.driver.drive_manifest"
"""An entry point of deployments before the flows had rooms."""


@pytest.fixture
def asked(monkeypatch):
    """A worker's questions for runs, by its clock, which a test moves; nobody has any."""
    questions, clock = [], [1000.0]

    async def ask(_):
        questions.append(clock[0])
        return []

    monkeypatch.setattr(ProcessWorker, "get_and_submit_flow_runs", ask)
    monkeypatch.setattr(SlotWorker, "clock", staticmethod(lambda: clock[0]))
    return questions, clock


async def tick(worker, clock, seconds):
    """So many seconds pass, in which it may ask every two."""
    for _ in range(seconds // 2):
        await worker.get_and_submit_flow_runs()
        clock[0] += 2


def test_a_busy_slot_asks_for_nothing_and_one_whose_run_has_ended_at_once(asked):
    questions, clock = asked

    async def work():
        worker = SlotWorker("pool", name="slot", limit=1)
        worker._limiter = anyio.CapacityLimiter(1)
        worker._limiter.acquire_on_behalf_of_nowait("run")
        await tick(worker, clock, 600)
        assert questions == []
        worker._limiter.release_on_behalf_of("run")
        await tick(worker, clock, 20)

    asyncio.run(work())
    assert questions == [1600.0 + 2 * number for number in range(10)]


def test_an_idle_slot_asks_less_than_ten_times_a_minute(asked):
    questions, clock = asked

    async def work():
        await tick(SlotWorker("pool", name="slot", limit=1), clock, 600)

    asyncio.run(work())
    assert questions[0] == 1000.0
    assert len(questions) == 600 / IDLE_QUERY_S
    assert 60 / IDLE_QUERY_S < 10


@pytest.mark.parametrize("ours", [False, True])
def test_who_was_too_late_asks_no_oftener_than_one_with_nothing_to_do(asked, monkeypatch, ours):
    questions, clock = asked
    worker = SlotWorker("pool", name="slot", limit=1)

    async def propose(*_):
        """In the meantime it is full, and time passes."""
        worker.limiter.acquire_on_behalf_of_nowait("run")
        await worker.get_and_submit_flow_runs()
        worker.limiter.release_on_behalf_of("run")
        return ours

    async def work():
        worker._limiter = anyio.CapacityLimiter(1)
        await tick(worker, clock, 600)
        questions.clear()
        await worker._propose_pending_state(None)  # type: ignore[arg-type]
        await tick(worker, clock, 16)

    monkeypatch.setattr(ProcessWorker, "_propose_pending_state", propose)
    asyncio.run(work())
    assert len(questions) == (8 if ours else 16 / IDLE_QUERY_S)


@pytest.mark.slow
def test_who_was_too_late_takes_any_of_the_runs_that_come_next_by_priority(farm):
    """Of many slots that were idle each would otherwise try for the first run, then for the second."""
    name = unique("pool")
    with get_client(sync_client=True) as client:
        template = ProcessWorker.get_default_base_job_template()
        client.create_work_pool(WorkPoolCreate(name=name, type="process", base_job_template=template))
        client.create_work_queue("low", work_pool_name=name, priority=2)
        made = client.create_deployment(client.create_flow(some_flow), name, work_pool_name=name)
        low = [client.create_flow_run_from_deployment(made, work_queue_name="low").id for _ in range(4)]
        runs = [client.create_flow_run_from_deployment(made).id for _ in range(6)]

    async def found(worker):
        return [each.flow_run.id for each in await worker._get_scheduled_flow_runs()]

    async def work():
        worker = SlotWorker(name, name="slot", limit=1)
        worker._limiter = anyio.CapacityLimiter(1)
        async with get_client() as worker._client:
            assert await found(worker) == runs[:1]
            first = await worker.client.read_flow_run(runs[0])
            assert await worker._propose_pending_state(first)
            assert await found(worker) == runs[1:2]
            assert not await worker._propose_pending_state(first)
            assert sorted(await found(worker)) == sorted(runs[1:5])
            assert not await worker._propose_pending_state(first)
            orders = [await found(worker) for _ in range(8)]
            assert all(sorted(each[:5]) == sorted(runs[1:]) for each in orders)
            assert all(sorted(each[5:]) == sorted(low) for each in orders)
            assert len({tuple(each) for each in orders}) > 1
            assert await worker._propose_pending_state(await worker.client.read_flow_run(runs[1]))
            assert await found(worker) == runs[2:3]

    asyncio.run(work())


@pytest.mark.slow
@pytest.mark.parametrize("in_the_way", [2, submissions.PAGE + 2])
def test_a_slot_takes_what_its_tags_suit_whatever_is_in_the_way(client, in_the_way):
    name = unique("pool")
    template = ProcessWorker.get_default_base_job_template()
    client.create_work_pool(WorkPoolCreate(name=name, type="process", base_job_template=template))
    for rank, queue in enumerate(QUEUES, 1):
        client.create_work_queue(queue, work_pool_name=name, priority=rank)
    made = client.create_deployment(client.create_flow(some_flow), name, work_pool_name=name)

    def submit(queue, *requires):
        tags = requirement_tags(requires)
        return client.create_flow_run_from_deployment(made, work_queue_name=queue, tags=tags).id

    for _ in range(in_the_way):
        submit("normal", "h100")
    low, normal, tagged = submit("low"), submit("normal"), submit("normal", "80gb", "a100")

    async def found(*tags):
        worker = SlotWorker(name, name="slot", limit=1)
        worker._limiter, worker.tags = anyio.CapacityLimiter(1), frozenset(tags)
        async with get_client() as worker._client:
            return [[each.flow_run.id for each in await worker._get_scheduled_flow_runs()] for _ in range(2)]

    async def work():
        for tags, first in {(): normal, ("a100",): normal, ("a100", "80gb"): normal, ("h100",): None}.items():
            for ids in await found(*tags):
                assert ids
                assert ids[0] == first if first else ids[0] not in (low, normal, tagged)
                assert tagged not in ids or {"a100", "80gb"} <= set(tags)

    asyncio.run(work())
    client.delete_work_pool(name)


def test_a_pool_that_is_not_there_yet_has_no_runs(farm):
    async def work():
        worker = SlotWorker(unique("pool"), name="slot", limit=1)
        worker._limiter = anyio.CapacityLimiter(1)
        async with get_client() as worker._client:
            assert await worker._get_scheduled_flow_runs() == []

    asyncio.run(work())


def test_the_longer_there_was_nothing_to_do_the_longer_a_worker_waits():
    assert [query_pause_s(idle_s) for idle_s in (0, 20, 60, 1e9)] == [0, 2, 6, IDLE_QUERY_S]


def crashed(client, run):
    """Its state, once it has crashed."""
    state = client.read_flow_run(run).state
    return state if state.is_crashed() else None


@flow
def some_flow() -> None:
    """Stands for what a run is of."""


@pytest.mark.parametrize(("state", "after"), [(Cancelling(), "CANCELLED"), (Running(), "RUNNING")])
def test_what_was_cancelled_while_it_began_is_over_with_its_process(farm, monkeypatch, state, after):
    async def ends(*_: object) -> None:
        """The process of the run, which says no word to the server."""

    async def work(worker, run):
        async with get_client() as worker._client:
            await worker._submit_run_and_capture_errors(run)

    monkeypatch.setattr(ProcessWorker, "_submit_run_and_capture_errors", ends)
    with get_client(sync_client=True) as client:
        run = client.create_flow_run(some_flow)
        client.set_flow_run_state(run.id, state, force=True)
        asyncio.run(work(SlotWorker("nst-gpu1"), run))
        current = client.read_flow_run(run.id).state
        assert current is not None
        assert current.type.value == after
        client.set_flow_run_state(run.id, Completed(), force=True)


@pytest.mark.slow
def test_a_run_of_an_old_deployment_says_what_to_do(farm):
    name = f"old-{os.getpid()}"
    with get_client(sync_client=True) as client:
        template = ProcessWorker.get_default_base_job_template()
        client.create_work_pool(WorkPoolCreate(name=name, type="process", base_job_template=template))
        flow = client.create_flow_from_name("render-manifest")
        deployment = client.create_deployment(flow, name, entrypoint=OLD, work_pool_name=name)
        run = client.create_flow_run_from_deployment(deployment, parameters={"manifest": "a.yaml"}).id
        command = [sys.executable, "-m", "flows.farm.workers.slot_worker", "--pool", name, "--name", name]
        with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE) as worker:
            state = until(partial(crashed, client, run), "the end of the run")
            assert worker.stdin is not None
            worker.stdin.close()
            assert worker.wait(60) == 0
    assert OLD in state.message
    assert "run `styletransfer deploy`" in state.message


@pytest.mark.slow
def test_the_first_slot_of_several_gpus_brings_their_pool_and_tells_its_tags(client):
    pool, name = RENDER_POOLS[2], f"several{os.getpid()}-gpu0+1"
    deploy(client)
    with suppress(ObjectNotFound):
        client.delete_work_pool(pool)
    command = [sys.executable, "-m", "flows.farm.workers.slot_worker", "--pool", pool, "--name", name, "--tag=a100"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE) as worker:

        def there():
            return [each for each in live_workers(client) if each.name == name and each.tags]

        (seen,) = until(there, "the worker", 120)
        worker.communicate()
        assert worker.wait(60) == 0
    assert (seen.pool, seen.tags) == (pool, {"a100"})
    assert client.read_deployment_by_name(RENDER_DEPLOYMENTS[2]).work_pool_name == pool


@pytest.mark.slow
@pytest.mark.usefixtures("farm")
def test_a_worker_that_is_to_restart_ends():
    name = f"restart{os.getpid()}-cpu0"
    command = [sys.executable, "-m", "flows.farm.workers.slot_worker", "--pool", RENDER_POOLS[1], "--name", name]
    with get_client(sync_client=True) as client:
        deploy(client)
        write_service(client, SlotService(worker=name, state="restarting", reason="by hand", since=now()))
        with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE) as worker:
            assert worker.wait(120) == 0
        assert read_service(client, name) is None
        assert name not in {each.name for each in live_workers(client)}
