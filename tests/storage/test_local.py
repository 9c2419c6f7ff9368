"""Local files: written whole or not at all."""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from styletransfer import storage
from styletransfer.errors import StorageError


def partials(folder: Path) -> list[Path]:
    return list(folder.rglob(f"*{storage.PARTIAL_SUFFIX}"))


def test_a_failed_write_leaves_the_old_file_and_no_partial_one(tmp_path):
    target = tmp_path / "picture.png"
    target.write_bytes(b"old")
    (tmp_path / "blocked").mkdir()
    (tmp_path / "blocked" / "x").touch()
    with pytest.raises(StorageError, match="cannot write"):
        storage.write(str(tmp_path / "blocked"), b"a file cannot replace a folder")
    with pytest.raises(StorageError, match="cannot write"):
        storage.write(str(target), object())  # type: ignore[arg-type]
    assert target.read_bytes() == b"old"
    assert partials(tmp_path) == []


def test_a_reader_never_sees_half_a_file(tmp_path):
    target = str(tmp_path / "a.bin")
    versions = [bytes([n]) * 3_000_000 for n in range(4)]
    storage.write(target, versions[0])
    stop = threading.Event()

    def keep_writing() -> None:
        while not stop.is_set():
            for version in versions:
                storage.write(target, version)

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(keep_writing)
        seen = [storage.read(target) for _ in range(40)]
        stop.set()
        writing.result()
    assert all(contents in versions for contents in seen)


def test_new_files_get_the_usual_permissions(tmp_path):
    storage.write(str(tmp_path / "a"), b"")
    (tmp_path / "b").touch()
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode


def test_a_copy_that_keeps_the_modification_time_is_told_apart(tmp_path):
    target = tmp_path / "a"
    target.write_bytes(b"one")
    before = storage.stat(str(target))
    times = target.stat()
    time.sleep(0.02)
    target.write_bytes(b"two")
    os.utime(target, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert storage.stat(str(target)).modified == before.modified
    assert storage.stat(str(target)) != before


def test_folders_pipes_and_devices_are_not_read(tmp_path):
    with pytest.raises(StorageError, match="it is a folder; name a file"):
        storage.read(str(tmp_path))
    with pytest.raises(StorageError, match="not a regular file"):
        storage.read("/dev/zero")
    assert not storage.exists(str(tmp_path))


@pytest.mark.parametrize(
    ("asked", "hint"),
    [("Beach.JPG", " (did you mean 'beach.jpg'?)"), ("baech.jpg", " (did you mean 'beach.jpg'?)"), ("x.png", "")],
)
def test_a_name_that_is_nearly_that_of_a_file_is_told(tmp_path, asked, hint):
    (tmp_path / "beach.jpg").touch()
    with pytest.raises(StorageError) as caught:
        storage.read(str(tmp_path / asked))
    assert str(caught.value).endswith(f"there is no such file; check the name{hint}")


def test_a_file_taken_for_a_folder(tmp_path):
    (tmp_path / "a").touch()
    assert not storage.exists(str(tmp_path / "a" / "b"))
    with pytest.raises(StorageError, match="there is no such file"):
        storage.read(str(tmp_path / "a" / "b"))
