"""The environment of Prefect's processes: quiet, one for all of a farm, and with this package to be found."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from flows.server.environment import SETTINGS, farm_environment, period_s, python_path
from tests.checkout import ROOT


def test_nothing_is_sent_anywhere():
    for settings in (SETTINGS, farm_environment()):
        assert (settings["DO_NOT_TRACK"], settings["PREFECT_SERVER_ANALYTICS_ENABLED"]) == ("1", "false")


def test_prefect_takes_all_that_a_farm_is_told(tmp_path):
    """It leaves out names that it does not know: then runs would beat, and workers ask, as it thinks best."""
    code = (
        "from prefect.settings import get_current_settings as s; s = s();"
        "print(s.flows.heartbeat_frequency, s.worker.query_seconds, s.logging.to_api.when_missing_flow,"
        "*sorted(s.logging.extra_loggers))"
    )
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **farm_environment()}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["30", "2.0", "ignore", "flows", "styletransfer"]


def test_the_package_is_found_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/of/the/user")
    assert python_path().split(os.pathsep) == [str(ROOT), "/of/the/user"]
    code = "import flows.server.environment as found; print(found.__file__)"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": python_path()},
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(done.stdout.strip()) == ROOT / "flows/server/environment.py"


def test_a_period_is_the_environments_where_that_has_one(monkeypatch):
    monkeypatch.delenv("NST_TEST_S", raising=False)
    assert period_s("NST_TEST_S", 30) == 30
    monkeypatch.setenv("NST_TEST_S", "5")
    assert period_s("NST_TEST_S", 30) == 5
    monkeypatch.setenv("NST_TEST_S", "soon")
    with pytest.raises(ValueError, match="soon"):
        period_s("NST_TEST_S", 30)
