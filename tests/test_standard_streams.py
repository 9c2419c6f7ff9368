"""What is written for people stops nothing, wherever it goes. Real processes under a shell's redirections."""

import shlex
import subprocess
import sys

import pytest

from styletransfer.pictures.decode import decode
from tests.commands.programs import QUICKLY, command, environment
from tests.studio import Studio


@pytest.fixture
def pictures(tmp_path):
    studio = Studio(str(tmp_path))
    studio.picture("a.png", 1)
    studio.picture("b.png", 2)
    return studio


def in_shell(folder, line, **more):
    known = environment(XDG_STATE_HOME=str(folder), **more)
    return subprocess.run(["sh", "-c", line], cwd=folder, env=known, capture_output=True, timeout=300)


@pytest.mark.parametrize(
    ("redirections", "encoding"),
    [("", "ascii"), (">/dev/full 2>/dev/full", "utf-8"), ("<&- >&- 2>&-", "utf-8"), ("2>&1 | true", "latin-1")],
)
def test_a_picture_is_rendered_wherever_the_output_goes(pictures, redirections, encoding):
    line = f"{shlex.join(command('image', 'a.png', 'b.png', '-o', '波.png', *QUICKLY))} {redirections}"
    done = in_shell(pictures.root, line, PYTHONIOENCODING=encoding)
    assert done.returncode == 0
    assert decode(pictures.read("波.png"), "out").size == (32, 24)
    assert not done.stderr
    if not redirections:
        assert rb"\u6ce2.png: written (32x24 px" in done.stdout


@pytest.mark.parametrize("redirections", [">/dev/full 2>&1", ">&- 2>&-"])
def test_the_exit_status_does_not_depend_on_who_reads(tmp_path, redirections):
    for arguments, status in ((["check", "none.yaml"], 2), (["--version"], 0), (["paint"], 2)):
        assert in_shell(tmp_path, f"{shlex.join(command(*arguments))} {redirections}").returncode == status


OPENS_AND_PRINTS = """
import os
from flows.standard_streams import make_lenient
make_lenient()
with open("notes", "w") as file:
    print("for people")
    os.write(2, b"of a library")
"""


def test_a_file_never_takes_the_place_of_a_closed_stream(tmp_path):
    line = f"{shlex.join([sys.executable, '-c', OPENS_AND_PRINTS])} <&- >&- 2>&-"
    assert in_shell(tmp_path, line).returncode == 0
    assert (tmp_path / "notes").read_bytes() == b""
