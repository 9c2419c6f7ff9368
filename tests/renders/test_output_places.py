"""Names that are safe as file names, and the places of results."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from styletransfer.errors import StorageError
from styletransfer.manifest.names import LONGEST_NAME_BYTES, name_fault, name_key, shorten, slug
from styletransfer.renders.output_places import OutputPlaces

ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)


def test_everything_lies_in_the_manifests_folder():
    places = OutputPlaces("s3://studio/renders", "harbour")
    assert places.folder == "s3://studio/renders/harbour"
    assert places.picture("a--b", "png") == "s3://studio/renders/harbour/a--b.png"
    assert places.picture("a--b", "jpeg") == "s3://studio/renders/harbour/a--b.jpg"
    assert places.record("a--b") == "s3://studio/renders/harbour/a--b.json"
    assert places.summary == "s3://studio/renders/harbour/summary.json"
    assert places.index == "s3://studio/renders/harbour/index.html"
    assert places.checkpoint("a--b", "0f") == "s3://studio/renders/harbour/.checkpoints/a--b-0f.safetensors"
    assert places.thumbnail("a--b") == "s3://studio/renders/harbour/.thumbnails/a--b.jpg"
    assert OutputPlaces("/out", "m").record("x") == "/out/m/x.json"


@pytest.mark.parametrize(
    "name", ["../x", "..", ".", "/etc/x", "a/b", "a\\b", ".hidden", "", "a\0b", "a\n", "-x", "~", "a."]
)
def test_no_name_leads_out_of_the_folder(name):
    assert name_fault(name) is not None
    for place in (
        lambda: OutputPlaces("/out", name).folder,
        lambda: OutputPlaces("/out", "m").picture(name, "png"),
        lambda: OutputPlaces("/out", "m").record(name),
        lambda: OutputPlaces("/out", "m").checkpoint(name, "0f"),
        lambda: OutputPlaces("/out", "m").thumbnail(name),
    ):
        with pytest.raises(StorageError, match="cannot name a file of the output"):
            place()


@pytest.mark.parametrize("name", ["a", "A-1_b.c", "größe", "日本", "7", "a--b"])
def test_good_names(name):
    assert name_fault(name) is None


def test_names_are_short_enough_for_every_file_made_of_them():
    assert name_fault("ü" * (LONGEST_NAME_BYTES // 2)) is None
    assert name_fault("ü" * (LONGEST_NAME_BYTES // 2 + 1)) == "must be at most 150 bytes long"
    longest = OutputPlaces("/o", "m").checkpoint("x" * LONGEST_NAME_BYTES, "f" * 64)
    assert len(longest.rpartition("/")[2]) <= 255


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
