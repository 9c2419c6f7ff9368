"""The Prefect server that a command brings along."""

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

from flows.server.embedded import Server, configure
from flows.server.environment import quiet_settings
from styletransfer.errors import StyleTransferError
from tests.processes import embedded_servers

USER = """
import os, sys
from flows.server.embedded import Server, configure
configure()
server = Server()
server.wait()
from prefect import get_client
with get_client(sync_client=True) as client:
    client.read_work_pools()
print(os.environ["PREFECT_API_URL"], flush=True)
sys.stdin.read()
"""


def test_what_the_environment_says_stays(monkeypatch):
    monkeypatch.setattr(os, "environ", {"DO_NOT_TRACK": "0"})
    configure()
    assert os.environ == {**quiet_settings(), "DO_NOT_TRACK": "0"}


def test_verbose_lets_prefect_speak():
    silenced = quiet_settings().keys() - quiet_settings(verbose=True).keys()
    assert silenced == {"PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"}


def test_a_server_that_is_configured_is_used(monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", "http://render-farm:4200/api")
    server = Server()
    server.wait()
    server.stop()
    assert os.environ["PREFECT_API_URL"] == "http://render-farm:4200/api"


@pytest.mark.slow
def test_a_server_named_by_prefects_profile_is_used(monkeypatch, tmp_path):
    profile = 'active = "farm"\n[profiles.farm]\nPREFECT_API_URL = "http://render-farm:4200/api"\n'
    (tmp_path / "profiles.toml").write_text(profile)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    monkeypatch.setenv("PREFECT_API_URL", "")
    server = Server()
    server.wait()
    server.stop()
    assert os.environ["PREFECT_API_URL"] == "http://render-farm:4200/api"


@pytest.mark.slow
def test_a_server_that_does_not_start_says_why(monkeypatch, tmp_path):
    monkeypatch.setenv("PREFECT_API_URL", "")
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    monkeypatch.setenv("PREFECT_API_DATABASE_CONNECTION_URL", "nonsense")
    server = Server()
    with pytest.raises(StyleTransferError, match=r"^Prefect's server did not start: \S+: Could not parse"):
        server.wait()


@pytest.mark.slow
def test_a_server_ends_with_its_user_even_if_that_is_killed(tmp_path):
    known = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    with subprocess.Popen(
        [sys.executable, "-c", USER],
        env={**known, "PREFECT_HOME": str(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as user:
        assert user.stdout is not None
        url = user.stdout.readline().strip()
        with urllib.request.urlopen(f"{url}/health") as answer:
            assert answer.status == 200
        for headers in ({}, {"Origin": "http://evil.example"}, {"Host": "evil.example"}):
            with pytest.raises(urllib.error.HTTPError, match="403: Forbidden" if headers else "401: Unauthorized"):
                urllib.request.urlopen(urllib.request.Request(f"{url}/admin/version", headers=headers))
        assert len(embedded_servers(tmp_path)) == 1
        user.kill()
    end = time.monotonic() + 30
    while embedded_servers(tmp_path):
        assert time.monotonic() < end
        time.sleep(0.1)
