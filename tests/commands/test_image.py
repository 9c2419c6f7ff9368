"""`image`: options, messages, signals, and what is written."""

import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from flows.commands.image import SHORT_FORMS
from flows.commands.main import make_parser
from styletransfer.errors import DeviceError, ImageError, NoSuchDeviceError, OutOfMemoryError
from styletransfer.pictures import resize
from styletransfer.pictures.resize import decode
from styletransfer.settings import Settings
from tests.commands.programs import LONG, QUICKLY, Started, command, environment
from tests.waiting import until


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


def test_every_wrong_option_is_told_at_once(call):
    wrong = "-s 3++ -i 1.5 -cw -1 --pooling min --style-layers relu1_1=x relu9_9=1 -sw 1 2 --save-every 0"
    done = call("image", "a.png", "b.png", "-o", "out.gif", "--preview", "now.bmp", *wrong.split())
    assert done.returncode == 2
    assert done.stdout == ""
    told = done.stderr.splitlines()
    assert all(line.startswith("error: --") for line in told)
    options = {line.split()[1] for line in told}
    assert options == {
        "--end-scale", "--iterations", "--content-weight", "--pooling", "--style-layers", "--style-weights",
        "--save-every", "--output", "--preview",
    }  # fmt: skip
    assert "error: --pooling is 'min'; must be 'max' or 'average' or 'l2'" in told


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["a.png", "none.png", "-o", "o.png"], 1, "none.png: there is no such file"),
        (["a.png", "b.png", "-o", "o.png", "--preview", "./o.png"], 2, "--preview is the same file as --output"),
        (["a.png", "b.png", "-o", "./b.png"], 2, "--output is the same file as an input"),
        (
            ["a.png", "b.png", "-o", "o.png", "--preview", "in/../a.png"],
            2,
            "--preview is the same file as an input",
        ),
        (["a.png", "b.png", "-o", "o.png", "--proof", "o.png"], 2, "--output is the same file as an input"),
        (
            ["a.png", "b.png", "-o", "o.webp", "-s", "17000", "--weights", "none.pth"],
            2,
            "--output can't be written",
        ),
        (["a.png", "b.png", "-o", "o.png", "-s", "30000", "--weights", "none.pth"], 2, "at most 512 megapixels"),
        (["a.png", "b.png", "-o", "o.png", "--devices", "gpu"], 2, "device 'gpu' is not known"),
        (["a.png", "b.png", "-o", "o.png", "--devices", "cpu", "cpu", "cpu"], 2, "on one device, or on two"),
        (["a.png", "b.png", "-o", "o.png", "--weights", "none.pth"], 1, "none.pth"),
        (["a.png", "b.png", "-o", "o.png", "-sw", "0"], 2, "--style-weights has 0; must be finite numbers > 0"),
    ],
)
def test_image_says_what_is_wrong_in_a_line(call, studio, arguments, status, message):
    done = call("image", *arguments)
    assert done.returncode == status
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not studio.has("o.png")


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


def test_a_picture_that_is_there_is_replaced_only_if_told_to(call, studio):
    studio.put("out.png", b"of last night")
    done = call("image", "a.png", "b.png", "-o", "out.png", *QUICKLY)
    message = f"--output is {studio.root}/out.png, which is there already; --overwrite replaces it"
    assert (done.returncode, done.stderr) == (2, f"error: {message}\n")
    assert studio.read("out.png") == b"of last night"
    done = call("image", "a.png", "b.png", "-o", "out.png", "--overwrite", *QUICKLY)
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "content: a.png; style: b.png")
    assert decode(studio.read("out.png"), "out.png").size == (32, 24)


def test_a_picture_that_cannot_be_written_is_not_lost(call, studio):
    studio.put("taken", b"a file, not a folder")
    done = call("image", "a.png", "b.png", "-o", "taken/out.png", *QUICKLY)
    assert done.returncode == 1
    kept = re.search(r"the picture is kept in (\S+)", done.stderr)
    assert kept is not None
    assert decode(Path(kept[1]).read_bytes(), "kept").size == (32, 24)


def test_an_input_is_not_replaced_through_a_link(call, studio):
    Path(studio.url("link.png")).symlink_to(studio.url("a.png"))
    before = studio.read("a.png")
    done = call("image", "link.png", "b.png", "-o", "a.png", *QUICKLY)
    assert (done.returncode, studio.read("a.png")) == (2, before)


@pytest.fixture
def no_jpeg(monkeypatch):
    encode = resize.encode

    def fail_at_jpeg(image, file_format, dpi=None):
        if file_format == "jpeg":
            raise ImageError("no JPEG today")
        return encode(image, file_format, dpi)

    monkeypatch.setattr(resize, "encode", fail_at_jpeg)


def test_a_picture_that_cannot_be_encoded_as_asked_is_kept_in_another_format(call, no_jpeg):
    done = call("image", "a.png", "b.png", "-o", "out.jpg", *QUICKLY)
    assert done.returncode == 1
    kept = re.search(r"no JPEG today; the picture is kept in (\S+/out\.tif)$", done.stderr.strip())
    assert kept is not None
    assert decode(Path(kept[1]).read_bytes(), "kept").size == (32, 24)


def test_a_preview_that_cannot_be_encoded_does_not_end_the_render(call, studio, no_jpeg):
    done = call("image", "a.png", "b.png", "-o", "out.png", "--preview", "p.jpg", "--save-every", "2", *QUICKLY)
    assert (done.returncode, done.stderr) == (0, "")
    assert "preview not written: no JPEG today" in done.stdout
    assert studio.has("out.png")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_image_is_written_as_far_as_it_got(studio, number):
    arguments = ["image", "a.png", "b.png", "-o", "out.png", "--preview", "now.jpg", "--save-every", "2"]
    with subprocess.Popen(
        command(*arguments, *QUICKLY, *LONG),
        cwd=studio.root,
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        until(lambda: studio.has("now.jpg"), "a picture of what is rendered")
        assert not studio.has("out.png")  # previews never go to the final name
        process.send_signal(number)
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "out.png: written as far as it had got (23x17 px" in output
    assert decode(studio.read("out.png"), "out.png").size == (23, 17)
    assert decode(studio.read("now.jpg"), "now.jpg").size == (23, 17)


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
