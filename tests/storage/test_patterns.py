"""Patterns as a shell has them; that storages find the same by them stands in `test_files.py`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from styletransfer import storage
from styletransfer.storage.patterns import escape, is_pattern, literal_folder, matches, unescape

PARTS = st.lists(st.text("ab.*?[]!", min_size=1, max_size=6), min_size=1, max_size=3)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("/in/*.jpg", True),
        ("/in/a?.jpg", True),
        ("s3://b/[ab].jpg", True),
        ("/in/a.jpg", False),
        ("/in/a].jpg", False),
        ("https://h/*.jpg", True),
        ("https://h/a.jpg?sizes[]=*", False),
        ("https://h/a[1].jpg", False),
    ],
)
def test_what_is_meant_as_a_pattern(url, expected):
    assert is_pattern(url) is expected


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("*.jpg", "a.jpg", True),
        ("*.jpg", "a.JPG", False),
        ("*.jpg", "in/a.jpg", False),
        ("*/a.jpg", "in/a.jpg", True),
        ("*", ".hidden", False),
        (".*", ".hidden", True),
        ("**", "a", True),
        ("**", "in/deep/a", True),
        ("**", "in/.hidden/a", False),
        ("in/**/a", "in/a", True),
        ("in/**/a", "in/deep/er/a", True),
        ("in/**/a", "out/a", False),
        ("[!a]", "b", True),
        ("[!a]", "a", False),
        ("a", "a/b", False),
        ("a/b", "a", False),
    ],
)
def test_which_paths_match(pattern, path, expected):
    assert matches(path.split("/"), pattern.split("/")) is expected


@given(PARTS, PARTS)
def test_an_escaped_name_matches_itself_alone(parts, others):
    name = "/".join(parts)
    assert matches(parts, escape(name).split("/"))
    assert matches(others, escape(name).split("/")) is (others == parts)
    assert unescape(escape(name)) == name


@pytest.mark.parametrize(
    ("pattern", "folder"),
    [
        ("/in/deep/*.jpg", "/in/deep"),
        ("/in/*/deep/a.jpg", "/in"),
        ("memory://in/**", "memory://in"),
        ("/in/a.jpg", "/in/a.jpg"),
    ],
)
def test_the_folder_that_holds_every_match(pattern, folder):
    assert literal_folder(pattern) == folder


@pytest.mark.parametrize("pattern", ["memory://[::1]:9/?k=1", "memory://*/a/*.png"])
def test_a_host_that_looks_like_a_pattern_is_where_the_look_up_begins(pattern):
    assert literal_folder(pattern) == "/".join(pattern.split("/")[:3])
    assert storage.glob(pattern) == []
