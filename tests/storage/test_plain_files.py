"""Files of a folder as they stand there: no link is followed, neither to look nor to remove."""

import os

import pytest

from styletransfer.errors import StorageError
from styletransfer.storage.plain_files import Listing, PlainFile, listed, removed


@pytest.fixture
def precious(tmp_path):
    """A file outside of the folder that is looked into."""
    path = tmp_path / "elsewhere" / "precious"
    path.parent.mkdir()
    path.write_bytes(b"not ours")
    return path


@pytest.fixture
def base(tmp_path):
    folder = tmp_path / "base"
    (folder / "in" / "deep").mkdir(parents=True)
    return folder


def test_a_folder_tells_files_folders_and_what_is_neither(base, precious):
    (base / "in" / "a").write_bytes(b"four")
    os.utime(base / "in" / "a", (3000, 2000))
    (base / "in" / "link").symlink_to(precious)
    os.link(precious, base / "in" / "twin")
    os.mkfifo(base / "in" / "pipe")
    odd = [("link", "it is a link"), ("pipe", "it is no file"), ("twin", "it has another name elsewhere, too")]
    assert listed(str(base), "in") == Listing(
        (PlainFile("a", 4, 2000.0, 3000.0),), ("deep",), tuple((str(base / "in" / name), why) for name, why in odd)
    )


def test_a_folder_that_is_not_there_is_empty(base):
    assert listed(str(base), "none", "deeper") == Listing()
    assert listed(str(base / "none")) == Listing()


@pytest.mark.parametrize("way", [("link",), ("link", "deep"), ("in", "a")])
def test_no_link_and_no_file_is_entered(base, way):
    (base / "link").symlink_to(base / "in")
    (base / "in" / "a").touch()
    at = str(base.joinpath(*way))
    assert listed(str(base), *way) == Listing(odd=((at, "it is a link, or no folder"),))


def test_a_file_is_removed_once(base):
    (base / "in" / "a").touch()
    (base / "in" / "b").touch()
    assert removed(str(base), "in", "a")
    assert not removed(str(base), "in", "a")
    assert not removed(str(base), "none", "a")
    assert {path.name for path in (base / "in").iterdir()} == {"b", "deep"}


def test_the_base_itself_may_be_reached_by_a_link(base, tmp_path):
    (base / "in" / "a").touch()
    (tmp_path / "disk").symlink_to(base)
    assert [file.name for file in listed(str(tmp_path / "disk"), "in").files] == ["a"]
    assert removed(str(tmp_path / "disk"), "in", "a")
    assert not (base / "in" / "a").exists()


def test_a_file_behind_a_link_is_not_removed(base, precious):
    (base / "link").symlink_to(precious.parent)
    with pytest.raises(StorageError, match=r"cannot delete '.*/base/link/precious': it is a link, or no folder"):
        removed(str(base), "link", "precious")
    assert precious.read_bytes() == b"not ours"


@pytest.mark.parametrize(
    ("make", "fault"),
    [
        (lambda path, precious: path.symlink_to(precious), "it is a link"),
        (lambda path, precious: path.hardlink_to(precious), "it has another name elsewhere, too"),
        (lambda path, precious: path.mkdir(), "it is no file"),
        (lambda path, precious: os.mkfifo(path), "it is no file"),
    ],
    ids=["link", "second name", "folder", "pipe"],
)
def test_what_is_no_plain_file_is_not_removed(base, precious, make, fault):
    make(base / "x", precious)
    with pytest.raises(StorageError, match=f"cannot delete '.*/base/x': {fault}"):
        removed(str(base), "x")
    assert os.path.lexists(base / "x")
    assert precious.read_bytes() == b"not ours"
