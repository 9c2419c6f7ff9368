"""Real workers under a real supervisor: drained, killed, orphaned; nothing of them is left."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from prefect import get_client
from prefect.client.schemas.actions import DeploymentUpdate, WorkPoolCreate
from prefect.workers.process import ProcessWorker

from flows.farm.setup.deploy import parameters_of
from flows.farm.workers.host_slots import WorkerSpec
from flows.farm.workers.supervisor import Child, Supervisor
from flows.pairs.signals import Signals
from tests.checkout import ROOT
from tests.processes import processes_with
from tests.waiting import until

ENTRYPOINT = "tests.farm.sleeper.sleeper"

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Pool:
    """A pool of this test's own, with a deployment of the sleeper, and what its supervisor says."""

    name: str
    client: Any
    deployment: Any
    folder: Path
    supervisor: subprocess.Popen[str]

    def submit(self, name, **parameters):
        told = {"folder": str(self.folder), "name": name, **parameters}
        return self.client.create_flow_run_from_deployment(self.deployment, parameters=told).id

    def state(self, run):
        return self.client.read_flow_run(run).state.name

    def begun(self, name):
        """Process id of the run that leaves word of this name, as soon as it does."""
        file = self.folder / f"{name}.begun"
        until(file.exists, f"word of {name}")
        pid, slot = file.read_text().split()
        assert slot == "cpu0"
        return int(pid)

    def says(self, word):
        """Wait for a line with this word."""
        assert self.supervisor.stdout is not None
        for line in self.supervisor.stdout:
            if word in line:
                return line
        raise AssertionError(f"the supervisor ended without {word!r}")

    def workers(self):
        """Processes of workers."""
        return [process for process in self.left() if "flows.farm.workers.slot_worker" in process.cmdline()]

    def left(self):
        return processes_with(f"TEST_POOL={self.name}", besides=self.supervisor.pid)

    def known_workers(self):
        return self.client.request("POST", f"/work_pools/{self.name}/workers/filter", json={}).json()


@pytest.fixture
def pool(farm, tmp_path, request):
    """With its worker ready; whatever happens, nothing of it is left afterwards."""
    name = f"test-{request.node.name.removeprefix('test_')[:30]}-{os.getpid()}"
    with get_client(sync_client=True) as client:
        template = ProcessWorker.get_default_base_job_template()
        client.create_work_pool(WorkPoolCreate(name=name, type="process", base_job_template=template))
        deployment = client.create_deployment(
            client.create_flow_from_name("sleeper"),
            name,
            entrypoint=ENTRYPOINT,
            work_pool_name=name,
            parameter_openapi_schema=parameters_of(ENTRYPOINT).model_dump(),
        )
        with (
            (tmp_path / "worker.log").open("w") as log,
            subprocess.Popen(
                [sys.executable, "-m", "tests.farm.supervise", name],
                cwd=ROOT,
                env={**os.environ, "TEST_POOL": name},
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            ) as supervisor,
        ):
            pool = Pool(name, client, deployment, tmp_path, supervisor)
            try:
                pool.says("ready")
                yield pool
            finally:
                supervisor.kill()
                for process in pool.left():
                    with suppress(psutil.NoSuchProcess):
                        process.kill()


def test_who_goes_to_sleep_is_told_once_though_its_host_is_drained_meanwhile(monkeypatch):
    """A second signal would kill what it saves."""
    told = []
    monkeypatch.setattr(Child, "send", lambda _, number: told.append(number))
    child = Child(WorkerSpec("vm-cpu0", "pool"), {}, None)
    child.drain()
    child.drain()
    assert told == [signal.SIGTERM]


def test_the_first_signal_lets_runs_save_and_takes_no_more(pool):
    run = pool.submit("first")
    pool.begun("first")
    waiting = pool.submit("second")
    pool.supervisor.send_signal(signal.SIGINT)
    assert pool.supervisor.wait(180) == 0
    assert pool.left() == []
    assert (pool.folder / "first.saved").exists()
    assert pool.state(run) == "Held"
    assert pool.state(waiting) == "Scheduled"
    assert pool.known_workers() == []


def test_a_second_signal_stops_at_once(pool):
    run = pool.submit("stubborn", stubborn=True)
    pool.begun("stubborn")
    pool.supervisor.send_signal(signal.SIGTERM)
    pool.says("draining")
    time.sleep(2)
    pool.supervisor.send_signal(signal.SIGTERM)
    assert pool.supervisor.wait(90) == 0
    assert pool.left() == []
    assert pool.state(run) == "Crashed"


def test_a_worker_that_is_killed_is_started_again_and_its_run_is_drained_all_the_same(pool):
    run = pool.submit("orphan")
    orphan = pool.begun("orphan")
    (worker,) = pool.workers()
    worker.kill()
    pool.says("ended with status -9; starting it again")
    pool.says("ready")
    assert psutil.pid_exists(orphan)
    pool.supervisor.send_signal(signal.SIGTERM)
    assert pool.supervisor.wait(180) == 0
    assert pool.left() == []
    assert pool.state(run) == "Held"


def test_when_the_supervisor_is_killed_its_workers_drain(pool):
    run = pool.submit("left")
    pool.begun("left")
    pool.supervisor.kill()
    until(lambda: pool.left() == [], "the end of all workers")
    assert pool.state(run) == "Held"


def test_a_run_does_not_choose_its_command(pool):
    """Though the pool's template, which is Prefect's own here, lets it, and so does its deployment."""
    (pool.folder / "end").touch()
    evil = {"command": f"touch {pool.folder}/evil", "env": {"NST_SLOT": "evil"}, "working_dir": str(pool.folder)}
    pool.client.update_deployment(pool.deployment, DeploymentUpdate(job_variables=evil))
    told = {"folder": str(pool.folder), "name": "chosen"}
    run = pool.client.create_flow_run_from_deployment(pool.deployment, parameters=told, job_variables=evil).id
    pool.begun("chosen")
    until(lambda: pool.state(run) == "Completed", "the end of the run")
    assert not (pool.folder / "evil").exists()


def test_a_worker_that_sleeps_is_ended_and_started_again_when_it_wakes():
    told: list[str] = []
    asleep = True
    pids: list[int | None] = []
    specs = [WorkerSpec("none-cpu0", "no-such-pool", {"PREFECT_API_URL": "http://127.0.0.1:9/api"})]
    supervisor = Supervisor(specs, os.environ, told.append, asleep=lambda: asleep)
    (child,) = supervisor._children

    def watch():
        """Asleep, then awake, asleep, awake, each until that is seen."""
        nonlocal asleep
        if asleep == (child.pid is None):
            pids.append(child.pid)
            asleep = not asleep
        return len(pids) < 4

    supervisor.run(Signals(), watch)
    assert [pid is None for pid in pids] == [True, False, True, False]
    assert told[0] == "none-cpu0: sleeps: what it renders is saved and goes on elsewhere"
    assert pids[3] is not None
    assert not psutil.pid_exists(pids[3])
