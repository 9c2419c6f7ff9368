"""A bounded folder of files that may be lost: what stays, what goes, and what never fails a render."""

import os
import re
import threading
import time
from pathlib import Path

import pytest

from styletransfer import storage
from styletransfer.storage import cache
from styletransfer.storage.cache import CachedFiles, cache_folder, limit_bytes


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "cache"


def files(folder: Path, limit: int = 100) -> CachedFiles:
    return CachedFiles(folder, ".kind", limit)


def named(letter):
    """A name as caches have them."""
    return letter * 32


def names(folder):
    """What is in the folder; our names by their letter."""
    return sorted(re.sub(r"^([0-9a-f])\1{31}(?=\.)", r"\1", path.name) for path in folder.iterdir())


def age(folder, *in_order):
    """As if the files had last been used a second after one another, long ago."""
    for number, name in enumerate(in_order):
        os.utime(folder / f"{named(name)}.kind", (1000 + number, 1000 + number))


def test_what_is_written_is_read(folder):
    files(folder).write(named("a"), b"contents")
    assert files(folder).read(named("a")) == b"contents"
    assert names(folder) == ["a.kind"]


def test_what_was_never_written_is_not_there(folder):
    assert files(folder).read(named("a")) is None
    assert not folder.exists()


def test_a_removed_file_is_gone_and_may_be_removed_again(folder):
    files(folder).write(named("a"), b"contents")
    for _ in range(2):
        files(folder).remove(named("a"))
        assert files(folder).read(named("a")) is None


def test_a_pipe_in_the_cache_holds_nobody_up(folder):
    folder.mkdir()
    os.mkfifo(folder / f"{named('a')}.kind")
    assert files(folder).read(named("a")) is None


def test_the_least_recently_used_goes_first(folder):
    kept = files(folder)
    for name in "abcd":
        kept.write(named(name), bytes(25))
    age(folder, *"abcd")
    kept.read(named("a"))
    kept.write(named("e"), bytes(25))
    assert names(folder) == ["a.kind", "c.kind", "d.kind", "e.kind"]


def test_as_many_go_as_it_takes(folder):
    kept = files(folder)
    for name in "abcd":
        kept.write(named(name), bytes(25))
    age(folder, *"dcba")
    kept.write(named("e"), bytes(60))
    assert names(folder) == ["a.kind", "e.kind"]


def test_files_may_be_bounded_by_their_number(folder):
    kept = CachedFiles(folder, ".kind", most_files=3)
    for name in "abc":
        kept.write(named(name), bytes(1000))
    age(folder, *"abc")
    kept.read(named("a"))
    kept.write(named("d"), b"")
    assert names(folder) == ["a.kind", "c.kind", "d.kind"]


def test_what_is_larger_than_the_folder_may_be_is_not_written(folder):
    kept = files(folder)
    kept.write(named("a"), bytes(25))
    kept.write(named("b"), bytes(101))
    assert names(folder) == ["a.kind"]


def test_with_no_room_nothing_is_written_or_read(folder):
    files(folder).write(named("a"), b"contents")
    files(folder, 0).write(named("b"), b"contents")
    assert files(folder, 0).read(named("a")) is None
    assert names(folder) == ["a.kind"]


def test_files_of_others_stay(folder):
    folder.mkdir()
    others = ["notes.txt", "model.kind", f"{'A' * 32}.kind", f"{'a' * 33}.kind", ".mine.partial"]
    for name in others:
        (folder / name).write_bytes(bytes(1000))
        os.utime(folder / name, (1000, 1000))
    (folder / f"{named('c')}.kind").symlink_to("notes.txt")
    (folder / f"{named('d')}.kind").mkdir()
    files(folder).write(named("a"), bytes(80))
    files(folder).write(named("b"), bytes(80))
    assert names(folder) == sorted([*others, "b.kind", "c.kind", "d.kind"])


def test_what_a_killed_process_left_is_removed_in_time(folder):
    folder.mkdir()
    old, new = (folder / f".{name * 8}{storage.PARTIAL_SUFFIX}" for name in ("0a", "0b"))
    for partial in (old, new):
        partial.write_bytes(b"half")
    os.utime(old, (time.time() - 4000,) * 2)
    files(folder).write(named("a"), b"contents")
    assert names(folder) == [new.name, "a.kind"]


def test_a_folder_that_cannot_be_used_only_costs_time(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    kept = files(tmp_path / "file" / "cache")
    kept.write(named("a"), b"contents")
    kept.remove(named("a"))
    assert kept.read(named("a")) is None


def test_many_at_once_never_see_half_a_file_and_end_within_the_limit(folder):
    kept, faults = files(folder, limit=5000), []

    def work(seed):
        try:
            for number in range(60):
                name = str((seed + number) % 10)
                contents = kept.read(named(name))
                assert contents in (None, name.encode() * 1000)
                kept.write(named(name), name.encode() * 1000)
        except Exception as error:  # noqa: BLE001
            faults.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    kept.write(named("f"), b"contents")
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 5000


# Place and bound


def test_the_folder_is_the_platforms_unless_told(monkeypatch, tmp_path):
    from platformdirs import user_cache_path

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("STYLETRANSFER_CACHE_DIR", raising=False)
    assert cache_folder("kind") == user_cache_path("styletransfer", appauthor=False) / "kind"
    monkeypatch.setenv("STYLETRANSFER_CACHE_DIR", "~/elsewhere")
    assert cache_folder("kind") == Path.home() / "elsewhere" / "kind"


@pytest.mark.parametrize(
    ("text", "expected"),
    [(None, 1_000_000_000), ("", 1_000_000_000), ("0", 0), (" 20 ", 20_000_000)],
)
def test_the_limit_is_in_megabytes(monkeypatch, text, expected):
    if text is None:
        monkeypatch.delenv("STYLETRANSFER_CACHE_MB", raising=False)
    else:
        monkeypatch.setenv("STYLETRANSFER_CACHE_MB", text)
    assert limit_bytes() == expected


@pytest.mark.parametrize("text", ["-1", "1.5", "many", "²"])
def test_a_limit_that_is_none_is_told_and_the_default_taken(monkeypatch, caplog, text):
    monkeypatch.setenv("STYLETRANSFER_CACHE_MB", text)
    assert limit_bytes() == cache.DEFAULT_LIMIT_MB * 10**6
    assert f"STYLETRANSFER_CACHE_MB is {text!r}; must be a whole number of MB" in caplog.text
