"""The version that is told: the installed one, or that there is none."""

import subprocess
import sys
import tomllib

from styletransfer.version import version
from tests.checkout import ROOT

MODULE = ROOT / "styletransfer" / "version.py"


def test_the_version_is_the_installed_one():
    assert version() == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def test_where_nothing_is_installed_that_is_said():
    """-S: without installed packages."""
    code = f"import runpy; print(runpy.run_path({str(MODULE)!r})['version']())"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "(not installed)\n"
