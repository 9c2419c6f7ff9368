"""Which server the commands speak to."""

import os
import re
import subprocess
import sys

import pytest

from flows.server.connection import (
    Farm,
    default_state,
    find_server,
    is_on_this_host,
    record,
    running,
    withdraw,
)
from flows.server.password import keep_password
from styletransfer.errors import StyleTransferError, UsageError

URL = "http://127.0.0.1:4300/api"


@pytest.fixture(autouse=True)
def somebody(tmp_path, monkeypatch):
    """A user with no server, whose environment may be changed."""
    monkeypatch.setattr(os, "environ", {"HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path / "state")})


def ended():
    """An `up` that was killed, whose id another process has now."""
    return Farm(api_url=URL, pid=os.getpid(), started=1.0)


def test_the_environment_names_a_server():
    os.environ["PREFECT_API_URL"] = "https://farm.example/api"
    assert find_server(None) == "https://farm.example/api"
    assert not is_on_this_host()


@pytest.mark.parametrize("url", ["http://farm:abc/api", "http://farm:99999/api", "http://[::1/api"])
def test_an_address_that_is_none_is_told(url):
    os.environ["PREFECT_API_URL"] = url
    with pytest.raises(UsageError, match=f"PREFECT_API_URL is {re.escape(url)}: .*; it must be like http://HOST:4200"):
        find_server(None)


def test_a_state_folder_names_a_server_whatever_the_environment_says(tmp_path):
    os.environ["PREFECT_API_URL"] = "https://farm.example/api"
    record(Farm.mine(URL), tmp_path)
    assert find_server(str(tmp_path)) == os.environ["PREFECT_API_URL"] == URL
    assert is_on_this_host()


def test_the_password_of_an_up_comes_with_its_address(tmp_path):
    password = keep_password(tmp_path / "password")
    os.environ["PREFECT_API_AUTH_STRING"] = "another:server"
    record(Farm.mine(URL, tmp_path / "password"), tmp_path)
    find_server(str(tmp_path))
    assert os.environ["PREFECT_API_AUTH_STRING"] == password
    os.environ["PREFECT_API_AUTH_STRING"] = ""
    find_server(None)  # the address alone, in PREFECT_API_URL
    assert os.environ["PREFECT_API_AUTH_STRING"] == password


def test_where_the_user_has_chosen_the_password_it_stays(tmp_path):
    os.environ["PREFECT_API_AUTH_STRING"] = "me:mine"
    record(Farm.mine(URL), tmp_path)
    find_server(str(tmp_path))
    assert os.environ["PREFECT_API_AUTH_STRING"] == "me:mine"


def test_a_password_that_others_could_read_is_not_used(tmp_path):
    keep_password(tmp_path / "password")
    (tmp_path / "password").chmod(0o644)
    record(Farm.mine(URL, tmp_path / "password"), tmp_path)
    with pytest.raises(StyleTransferError, match="by others; start `styletransfer up` again"):
        find_server(str(tmp_path))


def test_the_users_own_server_is_found():
    record(Farm.mine(URL), default_state())
    assert find_server(None) == URL


def test_the_state_folder_can_be_named_once_for_all(tmp_path, monkeypatch):
    record(Farm.mine(URL), tmp_path / "ours")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STYLETRANSFER_STATE", "ours")
    assert default_state() == tmp_path / "ours"
    assert find_server(None) == URL


def test_an_address_alone_tells_that_the_server_is_this_hosts(tmp_path):
    record(Farm.mine(URL), tmp_path)
    os.environ["PREFECT_API_URL"] = URL
    assert find_server(None) == URL
    assert is_on_this_host()


def test_a_server_that_is_gone_is_said(tmp_path):
    record(ended(), tmp_path)
    assert running(tmp_path / "farm.json") is None
    with pytest.raises(StyleTransferError, match=r"^no `styletransfer up` runs with the state folder "):
        find_server(str(tmp_path))


def test_what_was_recorded_is_withdrawn(tmp_path):
    record(Farm.mine(URL), tmp_path)
    withdraw(Farm.mine(URL), tmp_path)
    os.environ["PREFECT_API_URL"] = URL
    assert not is_on_this_host()


FIND = """
from flows.server.connection import find_server
from styletransfer.errors import StyleTransferError
try:
    print(find_server(None))
except StyleTransferError as error:
    print(error)
"""


def found(tmp_path):
    environment = {"PATH": "/usr/bin", "HOME": str(tmp_path), "PREFECT_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", FIND], env=environment, capture_output=True, text=True)
    return done.stdout + done.stderr


def test_no_server_at_all_is_said(tmp_path):
    ways = "start one with `styletransfer up`, name it by PREFECT_API_URL, or an `up` by --state"
    assert found(tmp_path) == f"no Prefect server is known; {ways}\n"


def test_prefects_profile_names_a_server(tmp_path):
    profile = 'active = "farm"\n[profiles.farm]\nPREFECT_API_URL = "https://farm.example/api"\n'
    (tmp_path / "profiles.toml").write_text(profile)
    assert found(tmp_path) == "https://farm.example/api\n"
