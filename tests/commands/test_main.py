"""The command line, as real processes in real terminals: output, exit statuses, signals."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from flows.commands.image_options import SHORT_FORMS
from flows.commands.main import COMMANDS, main, make_parser
from styletransfer.errors import DeviceError, ImageError, NoSuchDeviceError, OutOfMemoryError
from styletransfer.pictures import resize
from styletransfer.pictures.resize import decode
from styletransfer.settings import Settings
from tests.checkout import ROOT
from tests.processes import embedded_servers
from tests.studio import SHALLOW, Studio, picture_file
from tests.waiting import until

QUICKLY = shlex.split(
    "--weights random -s 32 -ms 20 -ii 3 -i 2 --content-layers relu2_1 --style-layers relu1_1=1 relu2_1=1"
)
"""Options of a render that takes no time."""

LONG = ["-ii", "100000"]


@pytest.fixture
def studio(tmp_path, monkeypatch):
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


def command(*arguments):
    """A command as a process of its own."""
    return [sys.executable, "-W", "error::ResourceWarning", "-m", "flows.commands.main", *arguments]


def environment(**more):
    known = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    return {**known, "PYTHONPATH": str(ROOT), **more}


@pytest.fixture
def run(studio):
    """Runs a command to its end, as a process in the studio's folder."""

    def run(*arguments, **more):
        return subprocess.run(
            command(*arguments),
            cwd=studio.root,
            env=environment(**more),
            capture_output=True,
            text=True,
            timeout=600,
        )

    return run


@dataclass(frozen=True)
class Called:
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def call(studio, monkeypatch, capsys):
    """Calls a command's `main` right here, in the studio's folder: faster, with torch loaded already."""
    monkeypatch.chdir(studio.root)

    def call(*arguments):
        status = main(arguments)
        output, errors = capsys.readouterr()
        return Called(status, output, errors)

    return call


def write_manifest(studio, *pairs, **keys):
    head = {"version": 1, "output": "out", "weights": "random", "defaults": SHALLOW}
    return studio.put("demo.yaml", json.dumps({**head, "pairs": list(pairs), **keys}).encode())


# Help


def options_of(name):
    """The parser of one command."""
    parser = make_parser(name)
    (commands,) = (action for action in parser._actions if isinstance(action.choices, dict))
    assert isinstance(commands.choices, dict)
    return commands.choices[name]


@pytest.mark.parametrize("name", COMMANDS)
def test_help_documents_every_option(name):
    parser = options_of(name)
    text = parser.format_help()
    for action in parser._actions:
        assert action.help
        for option in action.option_strings:
            assert option in text
    assert "exit status: 0 " in text
    assert "examples:" in text
    assert all(len(line) <= 80 for line in (parser.epilog or "").splitlines())


def test_help_lists_every_command():
    text = make_parser().format_help()
    for name, about in COMMANDS.items():
        assert re.search(rf"^ +{name} +{about.help}$", text, re.MULTILINE)


def test_every_setting_that_concerns_one_picture_is_an_option_with_its_default():
    assert set(Settings.model_fields) - set(SHORT_FORMS) == {"gpus", "checkpoint_s", "trace"}
    text = " ".join(options_of("image").format_help().split())
    for name in SHORT_FORMS:
        assert f"--{name.replace('_', '-')}" in text
    for told in ("(default: 512)", "(default: 0.015)", "{max,average,l2}", "(default: relu4_2)", "relu1_1=256"):
        assert told in text


@pytest.mark.parametrize("name", COMMANDS)
def test_examples_in_help_parse(name):
    examples = re.findall(rf"^  styletransfer ({name} .*)$", options_of(name).epilog, re.MULTILINE)
    assert examples
    for example in examples:
        make_parser(name).parse_args(shlex.split(example))


@pytest.mark.parametrize("arguments", [[], ["render"], ["image"], ["check"]], ids=" ".join)
def test_help_loads_nothing_heavy(arguments):
    code = (
        "import sys; from flows.commands.main import main\n"
        "try: main({!r})\nexcept SystemExit: pass\nprint(*sys.modules)"
    )
    process = [sys.executable, "-c", code.format([*arguments, "--help"])]
    done = subprocess.run(process, capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.startswith("usage: styletransfer")
    assert not {"torch", "prefect", "numpy", "fsspec"} & set(done.stdout.split())


def test_version_and_wrong_commands(run):
    assert re.fullmatch(r"styletransfer \S.*\n", run("--version").stdout)
    assert run().returncode == 2
    done = run("paint")
    assert done.returncode == 2
    assert "render, image, check" in done.stderr.replace("'", "")


# image


def test_image_renders_one_picture(run, studio):
    done = run("image", "a.png", "b.png", "a.png", "-sw", "3", "1", "-o", "new/out.jpg", *QUICKLY)
    assert (done.returncode, done.stderr) == (0, "")
    assert decode(studio.read("new/out.jpg"), "out.jpg").size == (32, 24)
    assert done.stdout.splitlines()[1] == "out.jpg: started on cpu: 32x24 px, 2 scales, 5 iterations"
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


def test_verbose_shows_where_an_error_arose(call):
    assert "Traceback" in call("image", "a.png", "none.png", "-o", "o.png", "-v").stderr


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


@dataclass
class Started:
    """A process and what it has written so far."""

    process: subprocess.Popen
    output: str = ""

    def read_until(self, pattern):
        """Reads on until the output matches."""
        assert self.process.stdout is not None
        while not re.search(pattern, self.output):
            read = os.read(self.process.stdout.fileno(), 65536)
            assert read, self.output
            self.output += re.sub(r"\x1b\[[\d;?]*\w", "", read.decode(errors="replace"))  # without colours


def test_a_render_goes_on_when_nobody_reads_its_output(studio):
    shallow = " ".join(QUICKLY)
    script = f"{shlex.join(command())} image a.png b.png -o out.png {shallow} -ii 30 | head -n 1"
    subprocess.run(["bash", "-c", script], cwd=studio.root, env=environment(), check=True, capture_output=True)
    assert decode(studio.read("out.png"), "out.png").size == (32, 24)


# check


def test_check_shows_the_plan_and_writes_nothing(call, studio):
    write_manifest(
        studio,
        {"id": "one", "content": "a.png", "style": "b.png"},
        {"id": "two", "content": "b.png", "style": "a.png", "settings": {"end_scale": 48}},
    )
    before = sorted(Path(studio.root).rglob("*"))
    done = call("check", "demo.yaml")
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["pair", "size", "scales", "iterations", "what", "why"],
        ["one", "32x24", "23", "32", "5", "render", "not", "rendered", "yet"],
        ["two", "48x36", "24", "34", "48", "7", "render", "not", "rendered", "yet"],
        ["to", f"{studio.root}/out/demo:", "2", "to", "render"],
    ]
    assert sorted(Path(studio.root).rglob("*")) == before


def test_check_and_render_refuse_a_wrong_manifest_with_every_fault(call, studio):
    write_manifest(
        studio,
        {"id": "one", "content": "a.png", "style": "none.png"},
        {"id": "two", "content": "gone.png", "style": "b.png"},
    )
    for name in ("check", "render"):
        done = call(name, "demo.yaml")
        assert done.returncode == 2
        told = done.stderr.splitlines()
        assert len(told) == 2
        assert told[0].startswith("error: demo.yaml: pairs[0].style")
        assert told[1].startswith("error: demo.yaml: pairs[1].content")
        assert not studio.has("out")
    write_manifest(studio, {"id": "one", "content": "a.png", "stile": "b.png"})
    done = call("render", "demo.yaml")
    assert done.returncode == 2
    assert "did you mean 'style'?" in done.stderr
    assert call("render", "none.yaml").returncode == 2
    done = call("check", "demo.yaml", "--devices", "cuda:7")
    assert done.returncode == 2
    assert "'cuda:7' is not" in done.stderr


# render


@pytest.mark.slow
def test_render_by_itself(run, studio, prefect_home):
    """No server is configured: it brings its own, and leaves nothing running."""
    studio.put("broken.png", picture_file(4)[:-2000])
    write_manifest(
        studio,
        {"id": "one", "content": "a.png", "style": "b.png"},
        {"id": "two", "content": "broken.png", "style": "b.png"},
    )
    mine = {"PREFECT_HOME": str(prefect_home)}
    done = run("render", "demo.yaml", **mine)
    assert done.stderr == ""
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert "one: started on cpu: 32x24 px, 2 scales, 5 iterations" in lines
    assert any(re.fullmatch(r"one: done in \S+ s, 32x24 px", line) for line in lines)
    reason = f"{studio.root}/broken.png: damaged, can't be decoded: image file is truncated"
    assert lines[-3:] == [
        "demo: 1 done, 1 failed",
        f"failed: two: {reason}",
        f"contact sheet: {studio.root}/out/demo/index.html",
    ]
    assert embedded_servers(prefect_home) == []

    # Nothing to do: no Prefect is started for that.
    done = run("render", "demo.yaml", "--only", "one", **mine)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == "demo: 1 skipped"
    assert "Prefect" not in done.stdout


@pytest.fixture
def rendering(run, studio, prefect_home):
    """`render` of three pairs: one was done before, one of two long ones is being rendered."""
    long = {"initial_iterations": 100_000}
    pair = {"content": "a.png", "style": "b.png"}
    write_manifest(
        studio, {**pair, "id": "quick"}, *({**pair, "id": name, "settings": long} for name in ("slow", "later"))
    )
    assert run("render", "demo.yaml", "--only", "quick", PREFECT_HOME=str(prefect_home)).returncode == 0
    with subprocess.Popen(
        command("render", "demo.yaml"),
        cwd=studio.root,
        env=environment(PREFECT_HOME=str(prefect_home)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as process:
        started = Started(process)
        try:
            started.read_until("(slow|later): started")
            yield started
        finally:
            process.kill()


@pytest.mark.slow
def test_ctrl_c_keeps_what_is_done(rendering, studio, prefect_home):
    """As a terminal does it: SIGINT to all processes of the group, once."""
    os.killpg(rendering.process.pid, signal.SIGINT)
    rest, _ = rendering.process.communicate(timeout=120)
    output = rendering.output + rest.decode()
    assert rendering.process.returncode == 130, output
    assert "demo: 1 queued, 1 skipped, 1 cancelled" in output
    assert "Traceback" not in output
    summary = json.loads(studio.read("out/demo/summary.json"))
    assert sorted(pair["state"] for pair in summary["pairs"]) == ["cancelled", "queued", "skipped"]
    assert studio.has("out/demo/quick.png")
    files = [path.name for path in Path(studio.root, "out/demo").rglob("*")]
    assert {name for name in files if not name.startswith(".")} >= {"quick.png", "quick.json", "index.html"}
    assert not any(name.startswith(("slow.", "later.")) or ".partial" in name for name in files)
    assert embedded_servers(prefect_home) == []


@pytest.mark.slow
def test_sigterm_ends_it_orderly(rendering, studio, prefect_home):
    rendering.process.terminate()
    rendering.process.communicate(timeout=120)
    assert rendering.process.returncode != 0
    assert embedded_servers(prefect_home) == []
    summary = json.loads(studio.read("out/demo/summary.json"))
    assert sorted(pair["state"] for pair in summary["pairs"]) == ["cancelled", "queued", "skipped"]
