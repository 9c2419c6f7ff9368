"""Patterns on this host: what they find stands in `test_files.py`; here that every look-up ends."""

import os
from glob import glob
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from styletransfer import storage
from styletransfer.errors import StorageError


@pytest.fixture
def folder(tmp_path):
    for name in ("a.jpg", "in/b.jpg", "in/deep/c.jpg", ".hidden/d.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def found(folder, pattern):
    return [str(Path(path).relative_to(folder)) for path in storage.glob(str(folder / pattern))]


def test_links_that_lead_round_give_each_file_once(folder):
    """Two links to the folder itself made two to the 40th of each."""
    (folder / "round").symlink_to(".")
    (folder / "about").symlink_to(folder)
    (folder / "in/up").symlink_to("..")
    assert found(folder, "**/*.jpg") == ["a.jpg", "in/b.jpg", "in/deep/c.jpg"]


def test_other_links_are_followed(folder):
    (folder / "also").symlink_to("in/deep")
    assert found(folder, "**/*.jpg") == ["a.jpg", "also/c.jpg", "in/b.jpg", "in/deep/c.jpg"]
    assert found(folder, "also/*.jpg") == ["also/c.jpg"]
    assert found(folder, "*/c.jpg") == ["also/c.jpg"]


def test_a_ladder_of_links_is_bounded(folder, monkeypatch):
    """Each rung doubles the ways down."""
    for rung in range(40):
        (folder / f"r{rung}").mkdir()
        for side in "ab":
            (folder / f"r{rung}/{side}").symlink_to(folder / f"r{rung + 1}")
    monkeypatch.setattr("styletransfer.storage.patterns.LISTED_FILES", 10_000)
    with pytest.raises(StorageError, match="there are more than 10,000 files; name a folder that holds fewer"):
        storage.glob(str(folder / "r0/**/*.jpg"))


def test_many_stars_are_one(folder):
    assert found(folder, "/".join(["**"] * 1000) + "/*.jpg") == ["a.jpg", "in/b.jpg", "in/deep/c.jpg"]


def test_a_folder_that_cannot_be_listed_holds_nothing(folder):
    assert found(folder, "a.jpg/*") == found(folder, "none/**") == []


PARTS = st.lists(st.sampled_from(["**", "*", "in", "deep", "d*", "?.jpg", "[a-c].jpg", "b.jpg", "a"]), max_size=4)


@given(PARTS)
def test_as_pythons_own(tmp_path_factory, parts):
    folder = tmp_path_factory.getbasetemp() / "glob"
    for name in ("a.jpg", "in/b.jpg", "in/deep/c.jpg", "a/in/.x/e.jpg", "a/deep/a.jpg"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    pattern = os.path.join(folder, *parts)  # noqa: PTH118
    theirs = glob(pattern, recursive=True)  # noqa: PTH207
    files = {path for path in theirs if Path(path).is_file() and not path.endswith("/")}  # they take `b.jpg/**` so
    assert storage.glob(pattern) == sorted(files)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="there is no /proc here")
def test_any_folders_are_none_of_the_kernels():
    """From there links lead to every file of every process."""
    assert storage.glob("/proc/**") == []
    assert storage.glob("/proc/self/stat*") != []
