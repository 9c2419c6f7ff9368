"""Locations of a manifest are relative to its folder; globs stand for each file once."""

import pytest

from styletransfer import storage
from styletransfer.errors import StorageError
from styletransfer.manifest.locations import Locations


@pytest.fixture
def faults():
    return []


@pytest.fixture
def locations(any_studio, faults):
    """Of a manifest in a folder whose name looks like a pattern, with three pictures."""
    for name in ("a.png", "b.png", "c.jpg"):
        any_studio.put(f"work [1]/in/{name}", b"")
    return Locations(any_studio.url("work [1]"), lambda path, message: faults.append((path, message)))


def test_what_is_relative_is_so_to_the_folder(locations, faults):
    assert locations.resolve(("output",), "in/a.png") == f"{locations.folder}/in/a.png"
    assert locations.resolve(("output",), "s3://other/a.png") == "s3://other/a.png"
    assert locations.relative(f"{locations.folder}/in/a.png") == "in/a.png"
    assert faults == []


def test_patterns_stand_for_each_file_once_in_their_order(locations, faults):
    names = ["in/c.jpg", "in/a.png", "in/b.png"]
    assert locations.find(("contents",), ["in/c*", "in/*", "in/a.png"]) == [
        f"{locations.folder}/{name}" for name in names
    ]
    assert faults == []


def test_a_pattern_that_leaves_out_an_ending_in_other_letters_is_noted(tmp_path):
    for name in ("a.jpg", "b.JPG", "c.Jpg"):
        (tmp_path / name).touch()
    one = Locations(str(tmp_path), lambda *_: None)
    assert [*map(storage.name, one.find((), ["*.jpg"]))] == ["a.jpg"]
    assert one.notes == ["'*.jpg' leaves out b.JPG, which '*.JPG' takes: case counts"]
    both = Locations(str(tmp_path), lambda *_: None)
    assert len(both.find((), ["*.jpg", "*.JPG"])) == 2
    assert both.notes == []
    named = Locations(str(tmp_path), lambda *_: None)
    named.find((), ["*", "a.jpg"])
    assert named.notes == []


def test_what_leads_nowhere_or_matches_nothing_is_a_fault_at_its_place(locations, faults):
    assert locations.find(("contents",), ["in/*.png", "htp://h/a", "in/*.tif"])[2:] == ["htp://h/a"]
    (nowhere, message), (nothing, other) = faults
    assert (nowhere, nothing) == (("contents", 1), ("contents", 2))
    assert message.startswith("leads nowhere: cannot reach htp://h/a")
    assert other == "is 'in/*.tif'; no file matches it"


def test_a_proof_is_a_location_too(locations):
    settings = {"proof": "coated.icc", "seed": 3}
    assert locations.in_settings((), settings) == {"proof": f"{locations.folder}/coated.icc", "seed": 3}
    assert settings["proof"] == "coated.icc"
    assert locations.in_settings((), {"proof": None}) == {"proof": None}


def test_a_storage_that_is_away_is_no_fault(faults, aws_environment, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")  # the discard port: nobody listens
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    away = Locations("s3://b/work", lambda path, message: faults.append((path, message)))
    with pytest.raises(StorageError) as caught:
        away.find(("contents",), ["*.png"])
    assert caught.value.transient
    assert faults == []
