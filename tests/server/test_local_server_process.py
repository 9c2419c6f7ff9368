"""The process of a server on this host: it outlives nobody who started it, and says where it stands."""

import signal
import subprocess
import sys

import pytest

from tests.waiting import until

WAITS = """
import threading, time
from flows.server.local_server_process import end_with_input
threading.Thread(target=end_with_input, daemon=True).start()
print("waits", flush=True)
time.sleep(120)
"""


def test_it_ends_as_by_sigterm_once_its_input_closes():
    with subprocess.Popen(
        [sys.executable, "-c", WAITS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "waits\n"
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.3)
        process.stdin.close()
        assert process.wait(30) == -signal.SIGTERM


def test_it_tells_where_each_of_its_threads_is(local_server):
    before = local_server.log.read_text().count("most recent call first")
    local_server.dump()
    until(lambda: local_server.log.read_text().count("most recent call first") > before, "its threads", 30)
    assert local_server.alive


def test_a_port_must_be_named():
    done = subprocess.run(
        [sys.executable, "-m", "flows.server.local_server_process"], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 2
    assert "--port" in done.stderr
