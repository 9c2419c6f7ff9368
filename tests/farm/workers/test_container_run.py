"""A run in a container of its own: told to end, it saves; cancelled, it ends."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import psutil
import pytest
from prefect import get_client
from prefect.states import Cancelling

from flows.farm.setup.deploy import parameters_of
from tests.checkout import ROOT

ENTRYPOINT = "tests.farm.sleeper.sleeper"

pytestmark = pytest.mark.slow


@pytest.fixture
def run(farm, tmp_path):
    """A run of the sleeper, as a worker leaves it to a container, and its client."""
    with get_client(sync_client=True) as client:
        deployment = client.create_deployment(
            client.create_flow_from_name("sleeper"),
            f"contained-{os.getpid()}",
            entrypoint=ENTRYPOINT,
            parameter_openapi_schema=parameters_of(ENTRYPOINT).model_dump(),
        )
        told = {"folder": str(tmp_path), "name": "run"}
        yield client, client.create_flow_run_from_deployment(deployment, parameters=told).id


@contextmanager
def contained(run_id, tmp_path):
    """Its process, once the flow has begun; nothing of it is left."""
    environment = {**os.environ, "PREFECT__FLOW_RUN_ID": str(run_id), "NST_SLOT": "cpu0", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "flows.farm.workers.container_run"]
    (tmp_path / "empty").mkdir()  # Prefect copies the folder that it is started in, for every run
    with subprocess.Popen(command, env=environment, cwd=tmp_path / "empty") as process:
        below = []
        try:
            end = time.monotonic() + 120
            while not (tmp_path / "run.begun").exists():
                assert process.poll() is None
                assert time.monotonic() < end
                time.sleep(0.2)
            below = psutil.Process(process.pid).children(recursive=True)
            yield process
            assert not any(child.is_running() for child in below)
        finally:
            for left in below:
                if left.is_running():
                    left.kill()
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_run_told_to_end_saves_and_says_how_it_ended(run, tmp_path, number):
    client, run_id = run
    with contained(run_id, tmp_path) as process:
        process.send_signal(number)
        assert process.wait(60) == 0
    assert (tmp_path / "run.saved").exists()
    assert client.read_flow_run(run_id).state.name == "Held"


def test_a_cancelled_run_saves_and_ends(run, tmp_path):
    client, run_id = run
    with contained(run_id, tmp_path) as process:
        client.set_flow_run_state(run_id, Cancelling(), force=True)
        process.wait(60)
    assert (tmp_path / "run.saved").exists()
    assert client.read_flow_run(run_id).state.type.value == "CANCELLED"
