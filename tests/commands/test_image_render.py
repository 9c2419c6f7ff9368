"""One picture rendered here: read, previewed, stopped, and never lost once it is rendered."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from flows.commands.image_render import chosen_devices
from flows.commands.terminal import Lines
from styletransfer.errors import ImageError
from styletransfer.pictures.decode import decode
from styletransfer.pictures.encode import encode
from styletransfer.records.records import read_record
from tests.commands.programs import LONG, QUICKLY, Called, command, environment
from tests.pictures.picture_files import opened, pillow_file
from tests.waiting import until


def test_one_device_or_several_render_a_picture():
    assert chosen_devices(["cpu"]) == ("cpu",)
    assert chosen_devices(["cpu,cpu"]) == chosen_devices(["cpu", "cpu"]) == ("cpu", "cpu")
    assert len(chosen_devices([])) == 1
    assert chosen_devices(["cpu,cpu", "cpu"]) == ("cpu", "cpu", "cpu")


def test_all_pictures_that_can_not_be_had_are_told(call, two_pictures):
    two_pictures.put("text.png", b"Dear Sir or Madam")
    two_pictures.picture("tiny.png", size=(3, 2))
    done = call("image", "a.png", "none.png", "text.png", "-o", "o.png", *QUICKLY)
    missing, text = done.stderr.splitlines()
    assert (done.returncode, done.stdout.count("\n")) == (1, 1)
    assert "none.png: there is no such file" in missing
    assert "text.png: is not a picture" in text


def test_a_picture_that_is_too_small_is_told_by_name(call, two_pictures):
    two_pictures.picture("tiny.png", size=(3, 1))
    done = call("image", "a.png", "tiny.png", "-o", "o.png", *QUICKLY)
    assert done.returncode == 1
    assert "tiny.png has 3x1 px, which at scale" in done.stderr


def test_a_result_has_the_contents_transparency(call, two_pictures):
    pixels = np.random.default_rng(0).integers(0, 256, (24, 32, 4), np.uint8)
    pixels[:9, :, 3] = 0
    two_pictures.put("logo.png", pillow_file(pixels))
    done = call("image", "logo.png", "b.png", "-o", "out.png", "--alpha", "keep", *QUICKLY)
    assert "transparen" not in done.stdout
    np.testing.assert_array_equal(opened(two_pictures.read("out.png")).getchannel("A"), pixels[..., 3])


def test_a_jpeg_can_not_keep_transparency(call):
    done = call("image", "a.png", "b.png", "-o", "out.jpg", "--alpha", "keep", *QUICKLY)
    assert done.returncode == 2
    assert "--alpha is 'keep', but jpeg has no transparency; use png, webp, tiff" in done.stderr


@pytest.fixture
def taken(two_pictures, monkeypatch):
    """The folder `taken` becomes a file once a render has begun."""

    def take(*_):
        Path(two_pictures.url("taken")).rmdir()
        two_pictures.put("taken", b"a file, not a folder")

    monkeypatch.setattr(Lines, "started", take)


@pytest.mark.usefixtures("taken")
def test_a_picture_that_cannot_be_written_is_not_lost(call):
    done = call("image", "a.png", "b.png", "-o", "taken/out.png", *QUICKLY)
    assert done.returncode == 1
    kept = re.search(r"the picture is kept in (\S+)", done.stderr)
    assert kept is not None
    assert decode(Path(kept[1]).read_bytes(), "kept").size == (32, 24)


@pytest.mark.usefixtures("taken")
@pytest.mark.parametrize("temporary", ["taken", "gone"])
def test_a_picture_is_not_lost_where_nothing_temporary_can_be_written(call, two_pictures, monkeypatch, temporary):
    two_pictures.put("home/x", b"")
    monkeypatch.setenv("TMPDIR", two_pictures.url(temporary))
    monkeypatch.setenv("HOME", two_pictures.url("home"))
    done = call("image", "a.png", "b.png", "-o", "taken/out.png", *QUICKLY)
    kept = re.search(r"the picture is kept in (\S+)", done.stderr)
    assert kept is not None
    assert kept[1].startswith(two_pictures.url("home/styletransfer-"))
    assert decode(Path(kept[1]).read_bytes(), "kept").size == (32, 24)


WITH_FULL_DISKS = """
import resource, signal, sys
from flows.commands import image_render, main
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
write = image_render.write_result
def with_full_disks(*arguments):
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
    return write(*arguments)
image_render.write_result = with_full_disks
sys.exit(main.main(sys.argv[1:]))
"""


def test_where_a_picture_can_be_kept_nowhere_all_places_are_told(two_pictures):
    root = two_pictures.root
    command = [sys.executable, "-c", WITH_FULL_DISKS, "image", "a.png", "b.png", "-o", "out.png", *QUICKLY]
    known = environment(TMPDIR=f"{root}/tmp", HOME=f"{root}/home")
    done = subprocess.run(command, cwd=root, env=known, capture_output=True, text=True)
    assert done.returncode == 1
    lost = f"the picture is lost, as nothing could be written in {root}, {root}/tmp, {root}/home, "
    assert lost in done.stderr
    assert not list(Path(root).rglob("styletransfer-*"))


@pytest.fixture
def no_jpeg(monkeypatch):
    def fail_at_jpeg(image, file_format, *details):
        if file_format == "jpeg":
            raise ImageError("no JPEG today")
        return encode(image, file_format, *details)

    for module in ("flows.commands.image_render", "styletransfer.renders.storing"):
        monkeypatch.setattr(f"{module}.encode", fail_at_jpeg)


def test_a_picture_that_cannot_be_encoded_as_asked_is_kept_in_another_format(call, no_jpeg):
    done = call("image", "a.png", "b.png", "-o", "out.jpg", *QUICKLY)
    assert done.returncode == 1
    kept = re.search(r"no JPEG today; the picture is kept in (\S+/out\.tif)$", done.stderr.strip())
    assert kept is not None
    assert decode(Path(kept[1]).read_bytes(), "kept").size == (32, 24)


def test_a_preview_that_cannot_be_encoded_does_not_end_the_render(call, two_pictures, no_jpeg):
    done = call("image", "a.png", "b.png", "-o", "out.png", "--preview", "p.jpg", "--save-every", "2", *QUICKLY)
    assert (done.returncode, done.stderr) == (0, "")
    assert "preview not written: no JPEG today" in done.stdout
    assert two_pictures.has("out.png")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_image_is_written_as_far_as_it_got(two_pictures, number):
    arguments = ["image", "a.png", "b.png", "-o", "out.png", "--preview", "now.jpg", "--save-every", "2"]
    with subprocess.Popen(
        command(*arguments, *QUICKLY, *LONG),
        cwd=two_pictures.root,
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        until(lambda: two_pictures.has("now.jpg"), "a picture of what is rendered")
        assert not two_pictures.has("out.png")  # previews never go to the final name
        process.send_signal(number)
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "out.png: written as far as it had got (23x17 px" in output
    assert decode(two_pictures.read("out.png"), "out.png").size == (23, 17)
    assert decode(two_pictures.read("now.jpg"), "now.jpg").size == (23, 17)
    assert not two_pictures.has("out.png.json")


def test_a_record_lies_beside_the_picture_and_tells_that_it_is_done(call, two_pictures):
    assert call("image", "a.png", "b.png", "-o", "out.png", *QUICKLY).returncode == 0
    record = read_record(two_pictures.url("out.png.json"))
    assert record is not None
    assert (record.id, record.output.url, record.output.size) == (
        "out.png",
        two_pictures.url("out.png"),
        len(two_pictures.read("out.png")),
    )
    again = call("image", "a.png", "b.png", "-o", "out.png", *QUICKLY)
    assert (again.returncode, again.stdout.splitlines()[1:]) == (
        0,
        [f"{two_pictures.url('out.png')}: done before; --overwrite renders it again"],
    )
    other = call("image", "a.png", "b.png", "-o", "out.png", *QUICKLY, "--seed", "7")
    assert (other.returncode, "which is there already" in other.stderr) == (2, True)
    forced = call("image", "a.png", "b.png", "-o", "out.png", *QUICKLY, "--seed", "7", "--overwrite")
    assert (forced.returncode, forced.stderr) == (0, "")
    changed = read_record(two_pictures.url("out.png.json"))
    assert changed is not None
    assert changed.fingerprint != record.fingerprint


def names_in(studio):
    return {path.name for path in Path(studio.root).iterdir()}


def test_a_picture_without_a_record_leaves_nothing_beside_it(call, two_pictures):
    before = names_in(two_pictures)
    assert call("image", "a.png", "b.png", "-o", "out.png", "--no-record", *QUICKLY).returncode == 0
    assert names_in(two_pictures) - before == {"out.png"}


def test_no_other_file_is_replaced_by_a_record(call, two_pictures):
    two_pictures.put("out.png.json", b'{"of": "somebody"}')
    done = call("image", "a.png", "b.png", "-o", "out.png", "--overwrite", *QUICKLY)
    assert done.returncode == 2
    assert "out.png.json, where another file is; move that, or give --no-record" in done.stderr
    assert two_pictures.read("out.png.json") == b'{"of": "somebody"}'
    assert call("image", "a.png", "b.png", "-o", "out.png", "--no-record", *QUICKLY).returncode == 0


def test_a_record_of_what_was_replaced_is_gone(call, two_pictures):
    assert call("image", "a.png", "b.png", "-o", "out.png", *QUICKLY).returncode == 0
    other = ("-o", "out.png", "--seed", "7", "--overwrite", "--no-record", *QUICKLY)
    assert call("image", "a.png", "b.png", *other).returncode == 0
    assert not two_pictures.has("out.png.json")


def make(call, *options):
    done = call("image", "a.png", "b.png", "-o", "out.png", "--overwrite", *QUICKLY, *options)
    assert done.stderr == ""
    return done


def test_what_is_replaced_is_kept_and_brought_back(call, two_pictures):
    make(call)
    first, record = two_pictures.read("out.png"), two_pictures.read("out.png.json")
    place = two_pictures.url("out.png")
    kept = f"what it replaces is kept: styletransfer history {place}"
    assert kept in make(call, "--seed", "7").stdout
    versions = call("history", "out.png").stdout.splitlines()
    assert versions[1].endswith("32x24  png     seed: 0 -> 7")
    name = versions[2].split()[0]
    assert call("restore", "out.png", name) == Called(0, f"out.png: version {name} is in {place}\n", "")
    assert two_pictures.read("out.png") == first
    assert json.loads(two_pictures.read("out.png.json"))["settings"] == json.loads(record)["settings"]
    assert "done before" in make_again(call).stdout
    assert "seed: 7 -> 0" in call("history", "out.png").stdout


def make_again(call):
    return call("image", "a.png", "b.png", "-o", "out.png", *QUICKLY)


def test_the_last_three_are_kept(call, two_pictures):
    for seed in range(5):
        make(call, "--seed", str(seed))
    rows = call("history", "out.png").stdout.splitlines()[1:]
    assert [row.split("png")[1].strip() for row in rows] == [f"seed: {n} -> {n + 1}" for n in (3, 2, 1)] + [""]
    assert len(list(Path(two_pictures.url(".history/out.png")).iterdir())) == 6


def test_a_picture_that_half_of_another_replaces_is_kept(call, two_pictures, monkeypatch):
    make(call)
    first = two_pictures.read("out.png")
    monkeypatch.setattr(Lines, "progress", lambda *_: signal.raise_signal(signal.SIGINT))
    for options in ([], ["--seed", "7"]):  # the very same picture, half of it, and then of another
        stopped = call("image", "a.png", "b.png", "-o", "out.png", "--overwrite", *QUICKLY, *options)
        assert (stopped.returncode, "what it replaces is kept" in stopped.stdout) == (130, not options)
    (kept,) = Path(two_pictures.url(".history/out.png")).glob("*.png")
    assert kept.read_bytes() == first


def test_without_a_record_nothing_is_kept(call, two_pictures):
    make(call)
    assert "kept" not in make(call, "--seed", "7", "--no-record").stdout
    assert not two_pictures.has(".history/out.png")


def test_a_picture_that_came_meanwhile_is_left_alone(call, two_pictures, monkeypatch):
    monkeypatch.setattr(Lines, "progress", lambda *_: two_pictures.put("out.png", b"somebody's"))
    done = call("image", "a.png", "b.png", "-o", "out.png", *QUICKLY)
    assert done.returncode == 1
    kept = re.search(r"out.png came while it was rendered, and is left alone; .* kept in (\S+)", done.stderr)
    assert kept is not None
    assert decode(Path(kept[1]).read_bytes(), "kept").size == (32, 24)
    assert two_pictures.read("out.png") == b"somebody's"


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_a_stopped_render_goes_on_and_makes_the_same_picture(call, two_pictures, monkeypatch, how):
    monkeypatch.setattr("styletransfer.renders.checkpoints.WORTH_S", 0.0)
    assert call("image", "a.png", "b.png", "-o", "whole.png", *QUICKLY).returncode == 0
    progress, seen = Lines.progress, []

    def stop(lines, pair, progress_made):
        seen.append(progress_made.iteration)
        if len(seen) == 4:
            if how == "killed":
                raise SystemExit(9)
            signal.raise_signal(signal.SIGINT)
        progress(lines, pair, progress_made)

    with monkeypatch.context() as patched:
        patched.setattr(Lines, "progress", stop)
        if how == "killed":
            with pytest.raises(SystemExit):
                call("image", "a.png", "b.png", "-o", "out.png", *QUICKLY)
        else:
            stopped = call("image", "a.png", "b.png", "-o", "out.png", *QUICKLY)
            assert stopped.returncode == 130
            assert stopped.stdout.splitlines()[-1] == "the same command with --overwrite goes on from there"
            plain = call("image", "a.png", "b.png", "-o", "out.png", *QUICKLY)
            assert plain.stderr.endswith("already, as far as it got; --overwrite goes on from there\n")
    assert seen == [1, 2, 3, 1]
    assert [name for name in names_in(two_pictures) if name.endswith(".safetensors")]
    iterations = []
    monkeypatch.setattr(Lines, "progress", lambda _, pair, made: iterations.append((made.scale, made.iteration)))
    again = call("image", "a.png", "b.png", "-o", "out.png", *QUICKLY, *(["--force"] if how == "stopped" else []))
    assert (again.returncode, again.stderr) == (0, "")
    assert iterations == ([(32, 2)] if how == "stopped" else [(32, 1), (32, 2)])
    assert two_pictures.read("out.png") == two_pictures.read("whole.png")
    assert not [name for name in names_in(two_pictures) if name.endswith(".safetensors")]


def test_a_render_starts_from_the_picture_that_is_named(call, two_pictures):
    two_pictures.picture("sketch.png", 5)
    for name, options in (("plain.png", ()), ("started.png", ("--init", "sketch.png", "--start-scale", "20"))):
        assert call("image", "a.png", "b.png", "-o", name, *options, *QUICKLY).returncode == 0
    assert two_pictures.read("plain.png") != two_pictures.read("started.png")
    done = call("image", "a.png", "b.png", "-o", "out.png", "--init", "none.png", *QUICKLY)
    assert "none.png: there is no such file" in done.stderr
    over = call("image", "a.png", "b.png", "-o", "sketch.png", "--init", "sketch.png", "--force")
    assert "--output is the same file as an input" in over.stderr
