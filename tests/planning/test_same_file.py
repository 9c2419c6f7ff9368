"""Two locations that lead to one file have a key in common; others have none."""

import os

import pytest

from styletransfer.planning.same_file import FileKeys


def same(one, other):
    keys = FileKeys()
    return not set(keys.of(str(one))).isdisjoint(keys.of(str(other)))


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "in" / "a.png"
    path.parent.mkdir()
    path.write_bytes(b"x")
    return path


def test_a_file_is_the_same_by_any_link(picture, tmp_path):
    (tmp_path / "link.png").symlink_to(picture)
    os.link(picture, tmp_path / "twin.png")
    (tmp_path / "elsewhere").symlink_to(picture.parent)
    for other in (picture, tmp_path / "link.png", tmp_path / "twin.png", tmp_path / "elsewhere/a.png"):
        assert same(picture, other)


def test_names_that_differ_in_case_count_as_the_same(picture):
    assert same(picture, picture.with_name("A.PNG"))
    assert same("s3://b/k.png", "s3://b/K.png")


def test_files_of_the_same_contents_are_two(picture, tmp_path):
    other = tmp_path / "a.png"
    other.write_bytes(b"x")
    assert not same(picture, other)
    assert not same(picture, picture.with_name("b.png"))  # which is not there
    assert not same("s3://b/k.png", "s3://c/k.png")


def test_a_links_own_place_is_told_from_where_it_leads(picture, tmp_path):
    (tmp_path / "link.png").symlink_to(picture)
    keys = FileKeys()
    assert keys.place(str(tmp_path / "link.png")) != keys.place(str(picture))


def test_a_name_that_no_file_can_have_has_its_place_alone(tmp_path):
    """Reading it fails later, with a message."""
    assert len(set(FileKeys().of(str(tmp_path / ("a" * 300))))) == 1
