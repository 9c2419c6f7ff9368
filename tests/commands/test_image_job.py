"""What `image` is asked to do: all that is wrong is told at once, and nothing that is there is lost."""

import os
from pathlib import Path

import pytest

from flows.commands.image_job import make_job, plan_job
from flows.commands.main import make_parser
from styletransfer.errors import SettingsError
from styletransfer.pictures.decode import decode
from tests.commands.programs import LONG, QUICKLY


def job_of(*arguments):
    return make_job(make_parser("image").parse_args(["a.png", "b.png", *arguments]))


def test_a_job_has_what_the_options_say_and_absolute_locations(two_pictures, monkeypatch):
    monkeypatch.chdir(two_pictures.root)
    options = "-o new/out.tif -sw 3 1 -s 64 --style-layers relu1_1=2 --preview p.jpg"
    job = job_of("c.png", *options.split())
    pair = job.pair
    assert (pair.content, job.output) == (two_pictures.url("a.png"), two_pictures.url("new/out.tif"))
    assert [style.image for style in pair.styles] == [two_pictures.url("b.png"), two_pictures.url("c.png")]
    assert (pair.format, job.preview_format) == ("tiff", "jpeg")
    assert [style.weight for style in pair.styles] == [3.0, 1.0]
    assert (pair.settings.end_scale, dict(pair.settings.style_layers)) == (64, {"relu1_1": 2})
    assert job.what_is_what() == "content: a.png; styles: b.png (75 %), c.png (25 %)"


@pytest.mark.parametrize(
    ("name", "file_format"),
    [("o.png", "png"), ("o.JPG", "jpeg"), ("o.jpeg", "jpeg"), ("o.webp", "webp"), ("s3://b/o.tiff", "tiff")],
)
def test_the_name_of_the_result_tells_its_format(name, file_format, tmp_path, monkeypatch, bucket):
    monkeypatch.chdir(tmp_path)
    assert job_of("-o", name.replace("s3://b", bucket.url)).pair.format == file_format


def test_a_size_is_refused_for_every_file_that_can_not_hold_it(two_pictures, monkeypatch):
    monkeypatch.chdir(two_pictures.root)
    plan_job(job_of("-o", "o.webp", "--preview", "p.jpg", "--weights", "random", "-s", "16383"))
    with pytest.raises(SettingsError) as caught:
        plan_job(job_of("-o", "o.webp", "--preview", "p.jpg", "--weights", "random", "-s", "65535"))
    assert [fault.place for fault in caught.value.faults] == ["--end-scale", "--end-scale", "--preview"]


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
            "--end-scale makes a picture that can't be written",
        ),
        (["a.png", "b.png", "-o", "o.png", "-s", "30000", "--weights", "none.pth"], 2, "at most 512 megapixels"),
        (["a.png", "b.png", "-o", "o.png", "--devices", "gpu"], 2, "device 'gpu' is not known"),
        (["a.png", "b.png", "-o", "o.png", "--weights", "none.pth"], 1, "none.pth"),
        (["a.png", "b.png", "-o", "../"], 2, "--output ends in ''"),
        (["a.png", "b.png", "-o", "s3://b/x//o.png"], 2, "no part of it may be empty"),
        (["a.png", "b.png", "-o", "o.png", "--region", f"{'9' * 5000}=a.png"], 1, "name too long"),
        (["a.png", "b.png", "-o", "o.png", "-sw", "0"], 2, "--style-weights has 0; must be finite numbers > 0"),
    ],
)
def test_image_says_what_is_wrong_in_a_line(call, two_pictures, arguments, status, message):
    done = call("image", *arguments)
    assert done.returncode == status
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not two_pictures.has("o.png")


def test_a_picture_that_is_there_is_replaced_only_if_told_to(call, two_pictures):
    two_pictures.put("out.png", b"of last night")
    done = call("image", "a.png", "b.png", "-o", "out.png", *QUICKLY)
    there = f"--output is {two_pictures.root}/out.png, which is there already"
    message = f"{there}; --overwrite replaces it, and out-2.png is free"
    assert (done.returncode, done.stderr) == (2, f"error: {message}\n")
    assert two_pictures.read("out.png") == b"of last night"
    done = call("image", "a.png", "b.png", "-o", "out.png", "--overwrite", *QUICKLY)
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "content: a.png; style: b.png")
    assert decode(two_pictures.read("out.png"), "out.png").size == (32, 24)


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("x" * 247 + ".png", "--output has a name of 251 bytes; with its record's it must be at most 250"),
        ("ü" * 126 + ".png", "--output has a name of 256 bytes; with its record's it must be at most 250"),
        ("a.png/out.png", "a.png is a file, not a folder"),
        ("sealed/out.png", "sealed can't be written to"),
        ("sealed/new/out.png", "sealed can't be written to"),
    ],
)
def test_where_no_picture_can_be_is_told_before_anything_is_read(call, two_pictures, monkeypatch, output, message):
    Path(two_pictures.url("sealed")).mkdir()
    asked = os.access  # root may write anywhere
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "sealed" and asked(path, mode))
    done = call("image", "none.png", "b.png", "-o", output, *QUICKLY)
    assert done.returncode == 2
    assert done.stderr.startswith("error: --output")
    assert message in done.stderr


def test_a_folder_that_can_not_be_made_is_found_before_the_render(call, two_pictures):
    done = call("image", "a.png", "b.png", "-o", "/proc/x/out.png", *QUICKLY, *LONG)
    assert (done.returncode, done.stdout) == (1, "content: a.png; style: b.png\n")
    assert "its folder can't be made" in done.stderr


def test_an_input_is_not_replaced_through_a_link(call, two_pictures):
    Path(two_pictures.url("link.png")).symlink_to(two_pictures.url("a.png"))
    before = two_pictures.read("a.png")
    done = call("image", "link.png", "b.png", "-o", "a.png", *QUICKLY)
    assert (done.returncode, two_pictures.read("a.png")) == (2, before)


@pytest.mark.parametrize(
    ("output", "arguments"),
    [
        ("weights.png", ["--weights", "weights.png"]),
        ("hard.png", []),
        ("hard.png", ["--proof", "b.png"]),
        ("local://{root}/a.png", []),
        ("file://{root}/in/../a.png", []),
    ],
)
@pytest.mark.parametrize("option", ["-o", "--preview"])
def test_nothing_that_is_read_is_replaced_however_it_is_spelled(call, two_pictures, option, output, arguments):
    two_pictures.picture("weights.png", 3)
    Path(two_pictures.url("hard.png")).hardlink_to(two_pictures.url("a.png"))
    before = {name: two_pictures.read(name) for name in ("a.png", "b.png", "weights.png")}
    other = ["-o", "out.png"] if option == "--preview" else ["--overwrite"]
    place = output.format(root=two_pictures.root)
    done = call("image", "a.png", "b.png", option, place, *other, *arguments, *QUICKLY[2:])
    assert (done.returncode, done.stdout) == (2, "")
    assert "is the same file as an input, which would be lost" in done.stderr
    assert {name: two_pictures.read(name) for name in before} == before


def test_a_former_picture_is_no_input_of_its_own_place(call, two_pictures):
    two_pictures.picture(".history/out.png/0f.png", 3)
    arguments = ("image", ".history/out.png/0f.png", "b.png", *QUICKLY)
    done = call(*arguments, "-o", "out.png")
    assert (done.returncode, done.stdout) == (2, "")
    place = two_pictures.url(".history/out.png")
    assert f"--output keeps what it replaces in {place}, where an input is; copy that elsewhere" in done.stderr
    assert call(*arguments, "-o", "out.png", "--no-record").returncode == 0
    assert call(*arguments, "-o", "other.png").returncode == 0


def test_masks_go_by_the_numbers_of_styles(two_pictures, monkeypatch):
    monkeypatch.chdir(two_pictures.root)
    options = "-o o.png --region 2=r,1.png --from 1=f=2.png --from 2=g.png --keep k.png"
    job = job_of("c.png", *options.split())
    first, second = job.pair.styles
    assert (first.region, first.sample) == (None, two_pictures.url("f=2.png"))
    assert (second.region, second.sample) == (two_pictures.url("r,1.png"), two_pictures.url("g.png"))
    assert job.pair.keep == two_pictures.url("k.png")
    assert job.what_is_what() == "content: a.png; styles: b.png (100 %), c.png (100 % in r,1.png)"
    (only,) = job_of("-o", "o.png", "--region", "r.png").pair.styles
    assert only.region == two_pictures.url("r.png")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--region 3=m.png", "--region is '3=m.png'; must be N=MASK, N the number of a style (1 to 2)"),
        ("--from m.png", "--from is 'm.png'; must be N=MASK, N the number of a style (1 to 2)"),
        ("--from 1=", "--from is '1='; must be N=MASK, N the number of a style (1 to 2)"),
        ("--region 1=m.png --region 1=n.png", "--region is given twice for style 1; a style has one"),
        ("--keep o.png", "--output is the same file as an input, which would be lost; it must be another one"),
    ],
)
def test_masks_that_belong_to_no_style_are_told(options, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError) as caught:
        job_of("c.png", "-o", "o.png", *options.split())
    assert [str(fault) for fault in caught.value.faults] == [message]
