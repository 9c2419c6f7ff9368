"""`worker`: which workers a host gets, and that a signal lets them go."""

import os
import re
import signal
import subprocess

import pytest

from flows.commands.main import make_parser
from flows.commands.worker import _specs
from flows.farm import names
from tests.commands.programs import Started, command, environment


def workers(*arguments):
    """Pool and number of runs at a time of each worker that these options ask for."""
    return [(spec.pool, spec.limit) for spec in _specs(make_parser("worker").parse_args(arguments))]


@pytest.mark.parametrize(
    ("arguments", "slots", "drivers"),
    [(["--cpu", "2"], 2, 0), (["--cpu", "1", "--driver"], 1, 1), (["--driver"], 0, 1)],
)
def test_a_host_gets_a_worker_for_each_slot_and_one_for_drivers(arguments, slots, drivers):
    found = workers(*arguments)
    assert found[:slots] == [(names.RENDER_POOLS[1], 1)] * slots
    assert [pool for pool, _ in found[slots:]] == [names.DRIVER_POOL] * drivers


def test_tags_are_those_of_the_slots_and_not_of_drivers():
    specs = _specs(make_parser("worker").parse_args(["--cpu", "1", "--tag", "a100", "--tag=80gb", "--driver"]))
    assert [spec.tags for spec in specs] == [("a100", "80gb"), ()]


def test_a_tag_that_is_none_is_told(run):
    done = run("worker", "--tag", "two words")
    assert done.returncode == 2
    assert "'two words' must be letters, digits" in done.stderr


def test_without_a_server_there_are_no_workers(run):
    done = run("worker", "--cpu", "1", PREFECT_HOME=os.devnull)
    assert done.returncode == 1
    assert done.stderr.startswith("error: no Prefect server is known; start one with `styletransfer up`")


@pytest.mark.parametrize(
    ("given", "told"),
    [({}, "the server wants to know who asks; "), ({"PREFECT_API_AUTH_STRING": "a:b"}, "the server refuses the ")],
)
def test_a_server_that_refuses_the_password_has_no_workers(run, prefect_server, given, told):
    done = run("worker", "--cpu", "1", PREFECT_API_URL=prefect_server, PREFECT_HOME=os.devnull, **given)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {told}")
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_a_signal_drains(deployed, farm, local_server, two_pictures):
    told = {"PREFECT_API_URL": farm, "PREFECT_API_AUTH_STRING": local_server.password}
    with subprocess.Popen(
        command("worker", "--driver"),
        env=environment(**told, PREFECT_HOME=two_pictures.url("prefect")),
        stdout=subprocess.PIPE,
        bufsize=0,
    ) as process:
        started = Started(process)
        started.read_until(rf"1 worker for {re.escape(farm)}\n")
        started.read_until("ready")
        process.send_signal(signal.SIGTERM)
        started.read_until("stopped\n")
        assert process.wait(60) == 0
