"""The Prefect server that a command brings along."""

import os

import pytest

from flows.server.embedded import Server, configure
from flows.server.environment import SETTINGS, SILENT
from styletransfer.errors import StyleTransferError


@pytest.mark.parametrize(("verbose", "there"), [(False, SETTINGS | SILENT), (True, SETTINGS)])
def test_what_the_environment_says_stays_and_verbose_lets_prefect_speak(monkeypatch, verbose, there):
    monkeypatch.setattr(os, "environ", {"DO_NOT_TRACK": "0"})
    configure(verbose=verbose)
    assert os.environ == {**there, "DO_NOT_TRACK": "0"}


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
