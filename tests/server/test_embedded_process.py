"""The process of an embedded server: tells its address, lets nobody else in, and ends with its user."""

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

from flows.server.environment import python_path
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


def test_where_a_profile_names_a_server_it_tells_that_one_and_serves_nothing(tmp_path):
    profile = 'active = "farm"\n[profiles.farm]\nPREFECT_API_URL = "http://render-farm:4200/api"\n'
    (tmp_path / "profiles.toml").write_text(profile)
    known = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    done = subprocess.run(
        [sys.executable, "-m", "flows.server.embedded_process"],
        env={**known, "PREFECT_HOME": str(tmp_path), "PYTHONPATH": python_path()},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stdout) == (0, "http://render-farm:4200/api\n")


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
