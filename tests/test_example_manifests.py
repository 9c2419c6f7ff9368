"""The manifests that come with the program work, and their pictures are what their README says."""

import re
import runpy

import pytest
from PIL import Image

from styletransfer.manifest.reader import load_manifest
from styletransfer.planning.plan import plan_manifest
from tests.checkout import ROOT

FOLDER = ROOT / "manifests"
EXAMPLES = sorted(FOLDER.glob("*.yaml"))
PICTURES = sorted((FOLDER / "images").glob("*/*.jpg"))
QUICKSTART = FOLDER / "quickstart.yaml"


def plan(path, **overrides):
    return plan_manifest(load_manifest(str(path), **overrides))


@pytest.fixture
def studio_bucket(bucket):
    """The bucket that the S3 example names, filled as it says."""
    bucket.client.create_bucket(Bucket="studio")
    for picture in PICTURES:
        key = picture.relative_to(FOLDER / "images").as_posix()
        bucket.client.put_object(Bucket="studio", Key=key, Body=picture.read_bytes())


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_has_nothing_wrong(example, studio_bucket, tmp_path):
    planned = plan(example, output=None if "s3" in example.name else str(tmp_path))
    assert [str(fault) for fault in planned.faults] == []
    assert {pair.state for pair in planned.pairs} == {"queued"}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_says_what_it_is_for_and_where_its_schema_is(example):
    lines = example.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "# yaml-language-server: $schema=manifest.schema.json"
    assert lines[1] == "#"
    assert len(lines[2]) > 40


def test_the_quickstart_needs_no_download_and_shows_a_blend():
    manifest = load_manifest(str(QUICKSTART))
    assert manifest.weights.source == "random"
    assert manifest.output == str(FOLDER / "renders")
    assert len(manifest.pairs) >= 3
    assert any(len({style.weight for style in pair.styles}) > 1 for pair in manifest.pairs)


def test_the_overnight_example_pins_torchvisions_file():
    from styletransfer.weights.imagenet import IMAGENET

    assert load_manifest(str(FOLDER / "overnight.yaml")).weights.sha256 == IMAGENET.sha256


@pytest.mark.parametrize("picture", PICTURES, ids=lambda path: path.name)
def test_a_picture_is_small_and_named_in_the_readme(picture):
    assert picture.stat().st_size < 250_000
    with Image.open(picture) as opened:
        assert max(opened.size) <= 768
        assert opened.mode == "RGB"
    assert f"`{picture.name}`" in (FOLDER / "images/README.md").read_text(encoding="utf-8")


def test_no_picture_is_left_out_of_the_examples():
    used = "".join(example.read_text(encoding="utf-8") for example in EXAMPLES)
    assert all(re.search(rf"\b{picture.name}", used) for picture in PICTURES)


@pytest.mark.slow
def test_the_script_paints_the_style_pictures(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["paint_styles.py", str(tmp_path)])
    runpy.run_path(str(FOLDER / "paint_styles.py"), run_name="__main__")
    for picture in (FOLDER / "images/styles").glob("*.jpg"):
        with Image.open(picture) as ours, Image.open(tmp_path / picture.name) as painted:
            # Another Pillow may draw and compress a little differently; the picture stays.
            assert painted.size == ours.size
            assert difference(ours, painted) < 8


def difference(first, second):
    """Mean absolute difference of two pictures at a quarter of their size, in 8-bit steps."""
    import numpy as np

    small = (np.asarray(picture.reduce(4), np.float64) for picture in (first, second))
    return abs(next(small) - next(small)).mean()
