"""The process that a run of the farm has to itself."""

import subprocess
import sys

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
