"""Names that are safe as file names everywhere, and what becomes of others."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from styletransfer.manifest.names import id_of_file, name_fault, name_key, shorten, slug

ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)


@pytest.mark.parametrize("name", ["a", "A-1_b.c", "größe", "日本", "7", "a--b"])
def test_good_names(name):
    assert name_fault(name) is None


@pytest.mark.parametrize(
    ("name", "pair_id"),
    [("sea.png", "sea"), ("sea.v2.jpeg", "sea.v2"), ("sea", "sea"), (".png", "picture"), ("a b.png", "picture"),
     ("Summary.png", "picture"), ("index.jpg", "picture")],
)  # fmt: skip
def test_a_file_gives_its_name_as_an_id_where_that_is_one(name, pair_id):
    assert id_of_file(name) == pair_id


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Große Welle (2).v1", "große-welle-2-v1"),
        ("  --a__b-- ", "a__b"),
        ("!!!", "picture"),
        ("", "picture"),
        ("日本 の", "日本-の"),
        ("ﬁne", "fine"),
    ],
)
def test_slugs(text, expected):
    assert slug(text) == expected


@given(ANY_TEXT)
def test_every_slug_is_a_good_name_and_its_own_slug(text):
    name = slug(text)
    assert name_fault(name) is None
    assert slug(name) == name
    assert "--" not in name


@given(ANY_TEXT, st.integers(1, 60))
def test_shortened_names_fit(text, longest):
    assert len(slug(text, longest).encode()) <= max(longest, len("picture"))
    assert len(shorten(unicodedata.normalize("NFC", text), longest).encode()) <= longest


@given(ANY_TEXT)
def test_name_keys_ignore_case_and_the_encoding_of_accents(text):
    assert name_key(text) == name_key(text.casefold())
    assert name_key(unicodedata.normalize("NFD", text)) == name_key(text)
    assert name_key(name_key(text)) == name_key(text)
