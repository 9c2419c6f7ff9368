"""Notes of pairs that are not done, on disk and on S3."""

import pytest

from flows.farm.pair_notes import PairNote, delete_note, read_note, read_notes, write_note
from styletransfer import storage
from styletransfer.records.output_places import OutputPlaces
from styletransfer.records.records import now


@pytest.fixture
def places(any_studio):
    return OutputPlaces(any_studio.url("out [1]"), "night")


def note(pair="a--b", **changes):
    plain = {"pair": pair, "fingerprint": "0" * 64, "submission": "s", "run": "r", "host": "h", "since": now()}
    return PairNote(**{**plain, "state": "held", **changes})


def test_a_note_is_read_as_it_was_written(places):
    written = note(state="failed", attempt=3, reason="too hot", slot="gpu0")
    write_note(places, note(state="rendering"))
    write_note(places, written)
    assert read_note(places, "a--b") == written
    assert read_notes(places) == {"a--b": written}


def test_a_deleted_note_is_gone_and_may_be_deleted_again(places):
    write_note(places, note())
    for _ in range(2):
        delete_note(places, "a--b")
        assert read_note(places, "a--b") is None
    assert read_notes(places) == {}


@pytest.mark.parametrize("contents", [b"", b"{", b"[]", b'{"pair": "c"}', b"\xff\xfe"])
def test_what_is_no_note_is_left_out_and_told(places, contents, caplog):
    write_note(places, note())
    storage.write(places.note("c"), contents)
    assert list(read_notes(places)) == ["a--b"]
    assert read_note(places, "c") is None
    assert "c.json: not a note that can be read" in caplog.text


def test_the_note_of_another_pair_is_not_this_pairs(places, caplog):
    storage.write(places.note("c"), note("a--b").model_dump_json().encode())
    assert read_note(places, "c") is None
    assert read_notes(places) == {}
    assert "c.json: the note of a--b; it counts as none" in caplog.text


def test_a_note_of_a_newer_version_is_read_as_far_as_it_is_understood(places):
    newer = note().model_dump_json().replace("{", '{"mood": {"blue": 3}, ', 1)
    storage.write(places.note("a--b"), newer.encode())
    found = read_note(places, "a--b")
    assert found is not None
    assert found.state == "held"
