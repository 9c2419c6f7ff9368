"""The process that a run of the farm has to itself."""

import subprocess
import sys

import pytest
from prefect import flow, task
from prefect._flow_run_suspension import mark_flow_run_suspension_requested
from prefect.context import FlowRunContext
from prefect.states import Suspended

from flows.farm.run_process import outlive_suspension
from tests.checkout import ROOT

PRINTS_TO_NOBODY = """
import logging, os, sys
from prefect.logging.configuration import setup_logging
from flows.farm.run_process import outlive_worker
setup_logging()
outlive_worker()
sys.stdin.read()
for _ in range(3):
    logging.getLogger("prefect").warning("a: done")
os._exit(7)
"""


def test_a_run_outlives_the_worker_that_reads_what_it_prints():
    command = [sys.executable, "-c", PRINTS_TO_NOBODY]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT
    ) as run:
        assert run.stdin
        assert run.stdout
        run.stdout.close()
        run.stdin.close()
        assert run.wait(120) == 7


@task
def say_done():
    """What a driver and a render run do at their end: a task."""
    return "done"


@pytest.mark.slow
@pytest.mark.usefixtures("farm")
def test_a_run_that_was_suspended_goes_on_to_its_end():
    """As Prefect tells its process, which has heard of the button in the dashboard."""

    @flow
    def suspended():
        outlive_suspension()
        context = FlowRunContext.get()
        assert context is not None
        assert context.flow_run is not None
        assert mark_flow_run_suspension_requested(context.flow_run.id, Suspended())
        return say_done()

    assert suspended() == "done"
