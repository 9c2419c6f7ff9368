"""A whole farm on one host by one command, and nothing of it afterwards."""

import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import suppress

import psutil
import pytest

from flows.commands.main import main
from flows.server.connection import running
from tests.ports import free_port
from tests.processes import processes_with

pytestmark = pytest.mark.slow


@pytest.fixture
def up(tmp_path, monkeypatch):
    """`styletransfer up --cpu 2` of a user who has no server, from its first line on."""
    for name in [name for name in os.environ if name.startswith("PREFECT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "user"))
    port = str(free_port())
    options = ["--cpu", "2", "--port", port, "--state", str(tmp_path / "farm")]
    with subprocess.Popen(
        [sys.executable, "-m", "flows.commands.main", "up", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "TEST_UP": port},
        start_new_session=True,
    ) as process:
        try:
            yield process, port, options
        finally:
            process.kill()
            for left in processes_with(f"TEST_UP={port}"):
                with suppress(psutil.NoSuchProcess):
                    left.kill()


def says(process, word):
    """Wait for a line with this word; all lines until then."""
    lines = []
    for line in process.stdout:
        lines.append(line)
        if word in line:
            return lines
    raise AssertionError(f"it ended without {word!r}: {''.join(lines)}")


def test_up_becomes_ready_and_ctrl_c_leaves_nothing(up, tmp_path, capsys):
    process, port, options = up
    told = "".join(says(process, "ready; in another terminal: styletransfer submit MANIFEST --state"))
    assert f"dashboard: http://127.0.0.1:{port}\n" in told
    assert f"it asks once: type what is in {tmp_path}/farm/password\n" in told  # not on a terminal
    assert (tmp_path / "farm/password").stat().st_mode & 0o777 == 0o600
    assert sorted(re.findall(r"-(\w+): ready, serves (\S+)$", told, re.MULTILINE)) == [
        ("cpu0", "nst-gpu1"),
        ("cpu1", "nst-gpu1"),
        ("driver", "nst-driver"),
    ]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/health") as answer:
        assert answer.status == 200
    assert running(tmp_path / "farm/farm.json") is not None
    assert main(["up", *options]) == 1
    where = f"{tmp_path}/farm; its server: http://127.0.0.1:{port}"
    assert capsys.readouterr().err == f"error: another `up` uses the state folder {where}\n"

    process.send_signal(signal.SIGINT)
    assert says(process, "stopped")
    assert process.wait(30) == 0
    assert processes_with(f"TEST_UP={port}") == []
    assert running(tmp_path / "farm/farm.json") is None
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/api/health")
