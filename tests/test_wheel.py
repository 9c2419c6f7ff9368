"""The wheel, as those have it who install it with pip: no checkout, no Makefile."""

import json
import os
import subprocess
import sys
import venv
import zipfile

import pytest

from tests.checkout import ROOT
from tests.studio import SHALLOW, Studio

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory):
    """A virtual environment with the wheel, over the dependencies that the tests have."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder)
    python = folder / "bin" / "python"
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", str(wheel)]
    subprocess.run(command, check=True, capture_output=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    below = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "dependencies.pth").write_text("\n".join(below))
    return folder


def call(environment, folder, *command):
    """Run a command of the environment in a folder that has nothing of the checkout."""
    here = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PREFECT_API_URL")}
    here["PREFECT_HOME"] = str(folder / "prefect")
    program = environment / "bin" / command[0]
    done = subprocess.run([program, *command[1:]], cwd=folder, env=here, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_has_every_file_of_the_packages_and_no_other(wheel):
    there = {path for package in ("flows", "styletransfer") for path in (ROOT / package).rglob("*")}
    with zipfile.ZipFile(wheel) as archive:
        files = {name for name in archive.namelist() if ".dist-info/" not in name}
    wanted = {path for path in there if path.is_file() and "__pycache__" not in path.parts}
    assert files == {path.relative_to(ROOT).as_posix() for path in wanted}


def test_it_is_found_without_the_checkout(environment, tmp_path):
    code = "import flows, styletransfer; print(*flows.__path__, *styletransfer.__path__)"
    found = call(environment, tmp_path, "python", "-c", code).split()
    assert len(found) == 2
    assert all(path.startswith(str(environment)) for path in found)


def test_it_renders_a_manifest(environment, tmp_path):
    studio = Studio(str(tmp_path / "studio"))
    studio.picture("in/a.png", 1)
    studio.picture("in/b.png", 2)
    pairs = [{"content": "in/a.png", "style": "in/b.png"}]
    manifest = {"version": 1, "output": "out", "weights": "random", "defaults": SHALLOW, "pairs": pairs}
    where = studio.put("demo.yaml", json.dumps(manifest).encode())
    (tmp_path / "elsewhere").mkdir()
    said = call(environment, tmp_path / "elsewhere", "styletransfer", "render", where, "--devices", "cpu")
    assert "demo: 1 done" in said
    assert studio.read("out/demo/a--b.png").startswith(b"\x89PNG")
    sheet = studio.read("out/demo/index.html").decode()
    assert "<style>" in sheet
    assert "<script" in sheet


TEMPLATES = """
from flows.farm.setup.job_templates import job_template
for kind in ("docker", "kubernetes"):
    print(*job_template(kind, "nst-gpu1"))
"""


def test_it_has_what_a_server_is_set_up_with(environment, tmp_path):
    assert call(environment, tmp_path, "python", "-c", TEMPLATES) == 2 * "job_configuration variables\n"
