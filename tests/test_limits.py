"""Files that are too large, of every kind that is read: refused by size, with what is allowed, not taken in."""

import os
import re
from pathlib import Path

import pytest

from flows.farm import pair_notes
from styletransfer import limits, storage
from styletransfer.errors import StorageError, StyleTransferError
from styletransfer.manifest.reader import load_manifest
from styletransfer.planning.inputs import look_at_input
from styletransfer.planning.plan import plan_manifest
from styletransfer.records.output_places import OutputPlaces
from styletransfer.records.records import read_record, read_summary
from styletransfer.records.thumbnails import Thumbnails
from styletransfer.renders.checkpoints import Checkpoints
from styletransfer.renders.fetching import fetch
from styletransfer.weights.loading import identify_weights, load_weights
from tests.checkout import ROOT
from tests.studio import plan_one


def sparse(path: str, size: int) -> str:
    """A file of this size that takes no room on the disk."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with Path(path).open("wb") as file:
        file.truncate(size)
    return path


READ = [
    (load_manifest, limits.MANIFEST_BYTES),
    (identify_weights, limits.WEIGHTS_BYTES),
    (load_weights, limits.WEIGHTS_BYTES),
    (read_record, limits.RECORD_BYTES),
    (read_summary, limits.SUMMARY_BYTES),
    (storage.read, limits.LARGEST_BYTES),
]


@pytest.mark.parametrize(("read", "limit"), READ)
def test_a_file_that_is_too_large_is_refused_with_what_is_allowed(tmp_path, read, limit):
    path = sparse(str(tmp_path / "big"), limit + 1)
    with pytest.raises(StyleTransferError) as caught:
        read(path)
    told = f"cannot read {path}: it has {limit + 1:,} bytes or more; at most {limit:,} are read here"
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("role", "limit"),
    [("content", limits.PICTURE_BYTES), ("style", limits.PICTURE_BYTES), ("proof", limits.PROFILE_BYTES)],
)
def test_an_input_that_is_too_large_is_a_fault(tmp_path, role, limit):
    path = sparse(str(tmp_path / "big"), limit + 1)
    assert f"at most {limit:,} are read here" in (look_at_input(path, role).fault or "")


def test_an_input_that_has_grown_too_large_is_refused(studio):
    planned = plan_one(studio.simple())
    sparse(studio.url("in/a.png"), limits.PICTURE_BYTES + 1)
    with pytest.raises(StorageError, match=f"at most {limits.PICTURE_BYTES:,}"):
        fetch(planned)


def test_a_note_that_is_too_large_is_refused(tmp_path):
    places = OutputPlaces(str(tmp_path), "demo")
    sparse(f"{places.notes}/a.json", limits.RECORD_BYTES + 1)
    with pytest.raises(StorageError, match=f"at most {limits.RECORD_BYTES:,}"):
        pair_notes.read_notes(places)


def test_a_checkpoint_that_is_too_large_is_left_with_a_warning(tmp_path, caplog):
    limit = limits.checkpoint_bytes((100, 50))
    path = sparse(str(tmp_path / "a.safetensors"), limit + 1)
    assert Checkpoints(path, "a", 60).load(limit_bytes=limit) is None
    assert f"at most {limit:,} are read here; it begins anew" in caplog.text


def test_a_thumbnail_that_is_too_large_is_left_with_a_warning(tmp_path, caplog):
    places = OutputPlaces(str(tmp_path), "demo")
    sparse(places.thumbnail(f"{'0' * 32}-80"), limits.THUMBNAIL_BYTES + 1)
    assert Thumbnails(places).find("0" * 64, str(tmp_path / "a.png"), 80) is None
    assert f"at most {limits.THUMBNAIL_BYTES:,}" in caplog.text


@pytest.mark.parametrize("read", [read for read, _ in READ])
def test_a_pipe_is_not_opened(tmp_path, read):
    """Who opened it would wait for a writer for ever; or, not waiting, be heard by it."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(StyleTransferError, match="it is not a regular file; name a file"):
        read(str(tmp_path / "pipe"))


@pytest.mark.parametrize("link", [False, True])
@pytest.mark.parametrize("kernel_file", ["/proc/kmsg", "/proc/self/mem"])
def test_files_of_the_kernel_are_empty(tmp_path, kernel_file, link, monkeypatch):
    """Regular ones, they say; reading the first never ends. So they are not opened."""
    if not Path(kernel_file).exists():
        pytest.skip("no such kernel")
    path = kernel_file
    if link:
        (tmp_path / "link").symlink_to(kernel_file)
        path = str(tmp_path / "link")
    monkeypatch.setattr(os, "open", None)
    assert storage.read(path) == b""


def test_planning_is_not_held_up_by_pipes(studio):
    studio.simple()
    os.mkfifo(studio.url("in/pipe.png"))
    os.mkfifo(studio.url("pipe.safetensors"))
    pair = {"content": "in/pipe.png", "style": "in/b.png"}
    plan = plan_manifest(studio.manifest(pair, weights="pipe.safetensors"))
    assert len([fault for fault in plan.faults if "it is not a regular file" in str(fault)]) == 2


def test_the_documentation_has_the_same_bounds():
    section = (ROOT / "docs/storage.md").read_text().split("## How much is read")[1].split("## ")[0]
    told = re.findall(r"\| ([0-9]+) (MiB|GiB) \|", section)
    sizes = [int(number) * {"MiB": 2**20, "GiB": 2**30}[unit] for number, unit in told]
    assert sizes == [
        limits.MANIFEST_BYTES,
        limits.PICTURE_BYTES,
        limits.XMP_BYTES,
        limits.PROFILE_BYTES,
        limits.WEIGHTS_BYTES,
        limits.RECORD_BYTES,
        limits.SUMMARY_BYTES,
        limits.THUMBNAIL_BYTES,
        limits.UNTOLD_BYTES,
    ]
    seconds = (limits.ANSWER_S, limits.PATIENCE_S, limits.SLOWEST_BYTES_PER_S, limits.FETCH_S, limits.LISTED_FILES)
    assert "within {:.0f} s; after {:.0f} s, {:,} bytes a second on average; {:,.0f} s in all; {:,} names".format(
        *seconds
    ) in " ".join(section.split())
