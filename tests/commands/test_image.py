"""`image`: options, messages, signals, and what is written."""

import re
import shlex
import subprocess
import sys

import pytest

from flows.commands.image import SHORT_FORMS
from flows.commands.main import make_parser
from styletransfer.errors import DeviceError, NoSuchDeviceError, OutOfMemoryError
from styletransfer.pictures.decode import decode
from styletransfer.settings import Settings
from tests.commands.programs import LONG, QUICKLY, Started, command, environment


@pytest.fixture
def studio(two_pictures):
    return two_pictures


def test_every_setting_that_concerns_one_picture_is_an_option_with_its_default():
    assert set(Settings.model_fields) - set(SHORT_FORMS) == {"gpus", "checkpoint_s", "trace"}
    text = " ".join(make_parser("image").format_help().split())
    for name in SHORT_FORMS:
        assert f"--{name.replace('_', '-')}" in text
    for told in ("(default: 512)", "(default: 0.015)", "{max,average,l2}", "(default: relu4_2)", "relu1_1=256"):
        assert told in text


def test_image_renders_one_picture(run, studio):
    done = run("image", "a.png", "b.png", "a.png", "-sw", "3", "1", "-o", "new/out.jpg", *QUICKLY)
    assert (done.returncode, done.stderr) == (0, "")
    assert decode(studio.read("new/out.jpg"), "out.jpg").size == (32, 24)
    assert done.stdout.splitlines()[2] == "out.jpg: started on cpu: 32x24 px, 2 scales, 5 iterations"
    assert done.stdout.splitlines()[0] == "content: a.png; styles: b.png (75 %), a.png (25 %)"
    assert re.fullmatch(rf"{studio.root}/new/out.jpg: written \(32x24 px, \S+ s\)", done.stdout.splitlines()[-1])


def test_image_takes_the_originals_short_options(call, studio):
    options = (
        "-o out.tif --weights random:7 -s 32+ -ms 30 -ii 2 -i 1 -cw 0.1 -tw 1 -ss 0.05 -ad 0.9 -r 3 --init gray"
        " --pooling average --optimizer lbfgs --style-scale-fac 0.9 --style-size 40 --devices cpu"
        " --content-layers relu1_1 --style-layers relu1_1=1 --precision float64"
    )
    done = call("image", "a.png", "b.png", *options.split())
    assert (done.returncode, done.stderr) == (0, "")
    assert decode(studio.read("out.tif"), "out.tif").bits == 16


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NoSuchDeviceError("device 'cuda:7' is not there"), 2),
        (DeviceError("device 'cuda:0' is in use by process 7"), 1),
        (OutOfMemoryError("does not fit"), 1),
    ],
)
def test_a_device_that_is_not_there_is_a_wrong_option_and_a_busy_or_full_one_a_failure(
    call, monkeypatch, error, status
):
    def fail(options):
        raise error

    monkeypatch.setattr("flows.commands.image.run", fail)
    done = call("image", "a.png", "b.png", "-o", "o.png")
    assert (done.returncode, done.stderr) == (status, f"error: {error}\n")


IN_A_TERMINAL = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"


def test_progress_is_live_in_a_terminal(studio):
    """In a pseudo terminal of 100 columns, with Ctrl-C typed into it."""
    with subprocess.Popen(
        [
            sys.executable,
            "-c",
            IN_A_TERMINAL,
            *command("image", "a.png", "b.png", "-o", "out.png", *QUICKLY, *LONG),
        ],
        cwd=studio.root,
        env=environment(TERM="xterm", COLUMNS="100", LINES="30"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
    ) as process:
        started = Started(process)
        started.read_until(r"\d+/100000 +loss [\d.]+ +[\d.]+ it/s +\S+ left +cpu")
        assert "23 px (1/2)" in started.output
        assert "started on" not in started.output  # the table says so
        assert process.stdin is not None
        process.stdin.write(b"\x03")
        started.read_until("written as far as it had got")
        assert process.wait(60) == 130


def test_a_render_goes_on_when_nobody_reads_its_output(studio):
    shallow = " ".join(QUICKLY)
    script = f"{shlex.join(command())} image a.png b.png -o out.png {shallow} -ii 30 | head -n 1"
    subprocess.run(["bash", "-c", script], cwd=studio.root, env=environment(), check=True, capture_output=True)
    assert decode(studio.read("out.png"), "out.png").size == (32, 24)
