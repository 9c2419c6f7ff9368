"""Only what this program makes is waste, by name and place: nothing of others is lost, and no link is followed."""

import json
import os
import shutil
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flows.farm.overnight.clean import folders_in
from flows.farm.overnight.removal import _remove_file
from flows.farm.overnight.waste import KeepLimits, cache_waste, folder_waste
from flows.farm.pair_notes import PairNote
from styletransfer.records.output_places import OutputPlaces

NOTHING_STAYS = KeepLimits(timedelta(0), 0, 0)
LONG_AGO = time.time() - 90 * 86_400
F64, N32 = "0" * 64, "1" * 32
OLD = datetime(2020, 1, 1, tzinfo=UTC)
NOTE = PairNote(
    pair="a", fingerprint=F64, state="held", since=OLD, submission="s", run="r", host="h"
).model_dump_json()

OURS = {
    f".checkpoints/a-{F64}.safetensors",
    f".checkpoints/große-welle.v1-{F64}.safetensors",
    ".farm/a.json",
    ".farm/0c3f47f6-b071-6de7-023e-de2001234567.so-far",
    ".manifests/0123456789ab/demo.yaml",
    f".{N32[:16]}.partial",
    f".checkpoints/.{N32[:16]}.partial",
    f".thumbnails/.{N32[:16]}.partial",
    f".history/a/.{N32[:16]}.partial",
}
OTHERS = [
    "a.png", "a.json", "summary.json", "thesis.safetensors", ".mine.partial", f".{N32[:16]}.partial.txt",
    f".checkpoints/{F64}.safetensors", f".checkpoints/a-{F64[1:]}.safetensors", ".checkpoints/model.safetensors",
    f".checkpoints/a-{F64}.safetensors.bak", f".checkpoints/a\nb-{F64}.safetensors",
    f".checkpoints/a b-{F64}.safetensors", f".checkpoints/a-{F64.replace('0', 'F')}.safetensors",
    f".checkpoints/deep/a-{F64}.safetensors", f".checkpoints/.{N32}.partial",
    ".farm/b.json", ".farm/ a.json", ".farm/a.json.old", ".farm/deep/a.json", ".farm/notes.txt", ".farm/a.so-far",
    ".manifests/0123456789ab/other.yaml", ".manifests/0123456789AB/demo.yaml", ".manifests/demo.yaml",
    ".manifests/0123456789ab/deep/demo.yaml", ".thumbnails/a.jpg", ".thumbnails/x.partial",
    f".history/a/{F64}.png", f".history/a/{F64}.json", f".history/.{N32[:16]}.partial", ".history/a/notes.txt",
    f"deep/.checkpoints/a-{F64}.safetensors", f".other/a-{F64}.safetensors",
]  # fmt: skip
CACHED = {f"weights/{N32}.weights", f"weights/{N32}.sha256", f"style-targets/{N32}.safetensors"}
NOT_CACHED = [
    "thesis.doc", "deep/in/photo.jpg", f"{N32}.weights", "weights/model.weights", "weights/model.pth.sha256",
    f"weights/{N32}.pth", f"weights/{N32}0.weights", f"weights/{N32.replace('1', 'A')}.weights",
    f"weights/deep/{N32}.weights", f"weights/{N32}.safetensors", f"weights/{N32}\n.weights",
    f"style-targets/{N32}.weights", "style-targets/lora.safetensors", f"elsewhere/style-targets/{N32}.safetensors",
]  # fmt: skip


def put(root, name, contents=NOTE):
    path = Path(root, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(contents)
    os.utime(path, (LONG_AGO, LONG_AGO))
    return path


def files_below(root):
    """Every file and link, by its path from here."""
    found = (Path(folder, name) for folder, below, names in os.walk(root) for name in (*names, *below))
    return {str(path.relative_to(root)) for path in found if path.is_symlink() or not path.is_dir()}


def clean(output):
    """All that is found in the folder `demo` is removed; what was in the way."""
    found = folder_waste(OutputPlaces(str(output), "demo"), NOTHING_STAYS, set())
    return [fault for fault in map(_remove_file, found) if fault]


def clean_caches():
    return [fault for fault in map(_remove_file, cache_waste(0)) if fault]


def test_of_a_folder_of_results_goes_what_we_made_and_nothing_else(tmp_path, caplog):
    for name in (*OURS, *OTHERS):
        put(tmp_path / "demo", name)
    assert clean(tmp_path) == []
    assert files_below(tmp_path / "demo") == set(OTHERS)
    assert "named like nothing that is made here" in caplog.text
    assert "\n" not in "".join(record.getMessage() for record in caplog.records)


def test_of_a_cache_folder_full_of_others_files_goes_what_we_made_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setenv("STYLETRANSFER_CACHE_DIR", str(tmp_path))
    for name in (*CACHED, *NOT_CACHED):
        put(tmp_path, name)
    assert clean_caches() == []
    assert files_below(tmp_path) == set(NOT_CACHED)


@pytest.mark.parametrize("kind", ["weights", "style-targets"])
def test_a_cache_that_is_a_link_or_a_file_is_left(tmp_path, monkeypatch, caplog, kind):
    monkeypatch.setenv("STYLETRANSFER_CACHE_DIR", str(tmp_path / "cache"))
    for name in CACHED:
        put(tmp_path / "elsewhere", Path(name).name)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / kind).symlink_to(tmp_path / "elsewhere")
    assert cache_waste(0) == []
    assert f"cache/{kind}': left alone, it is a link, or no folder" in caplog.text
    (tmp_path / "cache" / kind).unlink()
    put(tmp_path, f"cache/{kind}")
    assert cache_waste(0) == []


@pytest.mark.parametrize("level", ["demo", "demo/.checkpoints", "demo/.farm", "demo/.manifests", "demo/.thumbnails",
                                   "demo/.manifests/0123456789ab"])  # fmt: skip
def test_no_folder_is_entered_by_a_link(tmp_path, caplog, level):
    for name in (*OURS, "summary.json"):
        put(tmp_path / "out/demo", name)
    folder = tmp_path / "out" / level
    shutil.move(folder, tmp_path / "elsewhere")
    before = files_below(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    assert clean(tmp_path / "out") == []
    assert files_below(tmp_path / "elsewhere") == before
    assert folder.is_symlink()
    if "manifests/" not in level:
        assert f"{level}': left alone, it is a link" in caplog.text


@pytest.mark.parametrize("make", [Path.symlink_to, Path.hardlink_to, lambda path, _: os.mkfifo(path),
                                  lambda path, _: path.mkdir()])  # fmt: skip
def test_what_is_no_plain_file_is_left(tmp_path, monkeypatch, make):
    monkeypatch.setenv("STYLETRANSFER_CACHE_DIR", str(tmp_path / "cache"))
    target = put(tmp_path, "precious")
    places = [*(tmp_path / "demo" / name for name in OURS), *(tmp_path / "cache" / name for name in CACHED)]
    for path in places:
        path.parent.mkdir(parents=True, exist_ok=True)
        make(path, target)
    assert clean(tmp_path) == clean_caches() == []
    assert all(os.path.lexists(path) for path in (target, *places))


def test_an_output_that_is_reached_by_a_link_is_cleaned(tmp_path):
    ours = put(tmp_path / "disk/demo", f".checkpoints/a-{F64}.safetensors")
    (tmp_path / "out").symlink_to("disk")
    assert clean(tmp_path / "out") == []
    assert not ours.exists()


def test_on_s3_foreign_keys_stay(bucket):
    for name in (*OURS, *OTHERS):
        if ".partial" not in name and "\n" not in name:
            bucket.put(f"out/demo/{name}", NOTE.encode())
    found = folder_waste(OutputPlaces(f"{bucket.url}/out", "demo"), NOTHING_STAYS, set())
    assert {each.what for each in found} == {
        f"{bucket.url}/out/demo/{name}" for name in OURS if ".partial" not in name
    }


def test_a_strangers_folder_with_a_summary_is_no_folder_of_results(tmp_path):
    for name in ("demo", "my project", "_x"):
        put(tmp_path, f"{name}/summary.json", json.dumps({}))
    assert [places.manifest_name for places in folders_in(str(tmp_path))] == ["demo"]


_PARTS = st.sampled_from([".checkpoints", ".farm", ".manifests", ".thumbnails", "weights", "style-targets", "demo",
                          "0123456789ab", "deep",
                          *(Path(name).name for name in (*OURS, *OTHERS, *CACHED))])  # fmt: skip
_CHARACTERS = st.characters(exclude_characters="/\0", exclude_categories=["Cs"])
_NAMES = _PARTS | st.text(_CHARACTERS, min_size=1, max_size=20)
_TREES = st.lists(st.tuples(st.lists(_NAMES, min_size=1, max_size=4), st.sampled_from("fffls")), max_size=25)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_TREES)
def test_of_any_tree_nothing_is_lost_but_what_we_made(monkeypatch, tree):
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setenv("STYLETRANSFER_CACHE_DIR", str(Path(folder, "demo")))
        for name in (*OURS, *CACHED):
            put(folder, f"precious/{name}")
        for parts, kind in tree:
            path = Path(folder, "demo", *(part for part in parts if part not in (".", "..")))
            try:
                if kind == "f":
                    put(folder, path)
                else:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.symlink_to(Path(folder, "precious", *([parts[0]] if kind == "s" else [])))
            except OSError:  # a file where a folder should be, a name too long
                continue
        before = files_below(folder)
        clean(folder)
        clean_caches()
        lost = before - files_below(folder)
        own = {f"demo/{name}" for name in (*OURS, *CACHED)}
        assert all(name in own or _made_here(Path(name)) for name in lost)


def _made_here(path):
    """Whether a random name happens to be one of ours."""
    below = path.parts[1:]
    return len(below) == 2 and below[0] == ".checkpoints" and path.name in {Path(name).name for name in OURS}
