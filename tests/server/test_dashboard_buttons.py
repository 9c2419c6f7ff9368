"""Buttons of the dashboard on a manifest's run, clicked: they set the states that drivers and workers heed.

What a driver makes of them is in `tests/farm/driver/test_driver_run.py` and `tests/farm/test_run_process.py`.
"""

import subprocess
import sys
import uuid

import pytest

from flows.farm import names
from tests.waiting import until


@pytest.fixture
def run(local_server, owner):
    """A driver's run, as submitted; asks how it stands."""
    command = [sys.executable, "-m", "flows.commands.main", "deploy"]
    subprocess.run(command, env=local_server.environment, check=True, capture_output=True, timeout=300)
    deployment = owner("GET", f"/deployments/name/{names.DRIVER_DEPLOYMENT}")["id"]
    parameters = {"manifest": "/none.yaml", "submission": uuid.uuid4().hex}
    made = owner("POST", f"/deployments/{deployment}/create_flow_run", {"parameters": parameters})["id"]
    yield made
    owner("DELETE", f"/flow_runs/{made}")


@pytest.mark.browser
def test_suspend_and_retry_are_there_and_do_what_drivers_heed(tab, run, owner, local_server):
    def become(kind, name):
        owner("POST", f"/flow_runs/{run}/set_state", {"state": {"type": kind, "name": name}, "force": True})

    def stands():
        return owner("GET", f"/flow_runs/{run}")

    def click(button, asks, confirmed_by):
        tab.goto(f"{local_server.address}/runs/flow-run/{run}")
        tab.get_by_role("button", name=button).first.click()
        tab.wait_for_selector(f"text={asks}")
        tab.get_by_role("button", name=confirmed_by).last.click()

    tab.goto(f"{local_server.address}/login")
    tab.evaluate("password => localStorage.setItem('prefect-password', btoa(password))", local_server.password)
    become("RUNNING", "Running")
    click("Suspend", "Do you want to suspend", "Submit")
    until(lambda: stands()["state"]["name"] == "Suspended", "the suspension")
    become("FAILED", "Failed")
    click("Retry", "This will retry", "Retry")
    until(lambda: stands()["state"]["name"] == "AwaitingRetry", "the retry")
    assert stands()["state"]["type"] == "SCHEDULED"
    assert stands()["work_queue_name"] in names.QUEUES, "a worker takes it from there"
