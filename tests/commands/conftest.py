"""What commands are tried on."""

import subprocess

import pytest
from prefect.states import Completed

from flows.commands.main import main
from tests.commands.night import Night
from tests.commands.programs import Called, command, environment
from tests.farm.commands import deploy_all, unique
from tests.studio import Studio


@pytest.fixture
def two_pictures(tmp_path, monkeypatch):
    """Two pictures, in the working folder of the commands."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    studio = Studio(str(tmp_path))
    studio.picture("a.png", 1)
    studio.picture("b.png", 2)
    return studio


@pytest.fixture(scope="session")
def prefect_home(tmp_path_factory):
    """Prefect's database for the commands of this session: made once, as on a user's machine."""
    return tmp_path_factory.mktemp("prefect")


@pytest.fixture
def run(two_pictures):
    """Runs a command to its end, as a process in the pictures' folder."""

    def run(*arguments, **more):
        return subprocess.run(
            command(*arguments),
            cwd=two_pictures.root,
            env=environment(**more),
            capture_output=True,
            text=True,
            timeout=600,
        )

    return run


@pytest.fixture
def call(two_pictures, monkeypatch, capsys):
    """Calls a command's `main` right here, in the pictures' folder: faster, with torch loaded already."""
    monkeypatch.chdir(two_pictures.root)

    def call(*arguments):
        status = main(arguments)
        output, errors = capsys.readouterr()
        return Called(status, output, errors)

    return call


@pytest.fixture
def deployed(farm):
    """The tests' server is set up."""
    deploy_all(farm)


@pytest.fixture
def night(studio, deployed):
    """A run of three pairs that waits on the tests' server."""
    made = Night(studio, unique("night"))
    yield made
    made.set_state(Completed())
