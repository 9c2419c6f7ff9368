"""One worker for one slot: which runs it refuses."""

import os
import subprocess
import sys
from functools import partial

import pytest
from prefect import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.workers.process import ProcessWorker

from flows.farm.workers.slot_worker import check_entrypoint
from styletransfer.errors import StyleTransferError
from tests.checkout import ROOT
from tests.waiting import until

OLD = [
    "flows.farm.driver.drive_manifest",
    "flows.farm.rendering.render_pairs",
    "flows.farm.inbox.render_inbox",
    "flows.farm.clean.clean",
]
"""Entry points of deployments before the flows had rooms."""


@pytest.mark.parametrize("entrypoint", OLD)
def test_an_entry_point_of_another_version_is_none(entrypoint):
    with pytest.raises(StyleTransferError, match=rf"it has {entrypoint}, .* run `styletransfer deploy`"):
        check_entrypoint(entrypoint)


@pytest.mark.parametrize("entrypoint", ["tests.farm.sleeper.sleeper", "night.py:clean", None])
def test_flows_of_others_are_theirs(entrypoint):
    check_entrypoint(entrypoint)


def crashed(client, run):
    """Its state, once it has crashed."""
    state = client.read_flow_run(run).state
    return state if state.is_crashed() else None


@pytest.mark.slow
def test_a_run_of_an_old_deployment_says_what_to_do(farm):
    name = f"old-{os.getpid()}"
    with get_client(sync_client=True) as client:
        template = ProcessWorker.get_default_base_job_template()
        client.create_work_pool(WorkPoolCreate(name=name, type="process", base_job_template=template))
        flow = client.create_flow_from_name("render-manifest")
        deployment = client.create_deployment(flow, name, entrypoint=OLD[0], work_pool_name=name)
        run = client.create_flow_run_from_deployment(deployment, parameters={"manifest": "a.yaml"}).id
        command = [sys.executable, "-m", "flows.farm.workers.slot_worker", "--pool", name, "--name", name]
        with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE) as worker:
            state = until(partial(crashed, client, run), "the end of the run")
            assert worker.stdin is not None
            worker.stdin.close()
            assert worker.wait(60) == 0
    assert OLD[0] in state.message
    assert "run `styletransfer deploy`" in state.message
