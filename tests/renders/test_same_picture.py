"""What is there under another id is copied, not rendered; and nothing but that very picture."""

import pytest

from styletransfer.contact_sheet.sheet import ContactSheet
from styletransfer.errors import StorageError
from styletransfer.planning.plan import plan_manifest
from styletransfer.records.history import find_versions
from styletransfer.records.records import read_record
from styletransfer.renders.same_picture import foreseen, take_over
from tests.studio import SHALLOW, pretend_all

SWEEP = {"defaults": {**SHALLOW, "seed": [0, 1]}}
WAS, SWEPT, OTHER = "a--b", "a--b-seed0", "a--b-seed1"


def rendered(manifest):
    """All of the manifest, as if it had been rendered, and its summary."""
    records = pretend_all(manifest)
    ContactSheet(plan_manifest(manifest)).write({})
    return records


@pytest.fixture
def plain(studio):
    """`a--b` is done, with the default seed."""
    (record,) = rendered(studio.simple(defaults=SHALLOW))
    return record


def taken(manifest):
    told: list[str] = []
    plan = take_over(plan_manifest(manifest), told.append)
    return {planned.id: planned for planned in plan.pairs}, told


def test_a_sweep_over_what_was_the_setting_takes_the_picture_over(studio, plain):
    manifest = studio.simple(**SWEEP)
    pairs, told = taken(manifest)
    assert told == ["a--b-seed0: the same picture as a--b, and taken from there"]
    assert {name: (each.state, each.reason) for name, each in pairs.items()} == {
        SWEPT: ("skipped", "taken from a--b"),
        OTHER: ("queued", "not rendered yet"),
    }
    assert studio.read(f"out/demo/{SWEPT}.png") == studio.read(f"out/demo/{WAS}.png")
    record = read_record(studio.url(f"out/demo/{SWEPT}.json"))
    assert record is not None
    assert (record.id, record.taken_from, record.output.url) == (SWEPT, WAS, studio.url(f"out/demo/{SWEPT}.png"))
    assert record.output.sha256 == plain.output.sha256
    assert plan_manifest(manifest).pairs[0].reason == "done before"


def test_it_is_foreseen_and_nothing_is_copied(studio, plain):
    pairs = {planned.id: planned for planned in foreseen(plan_manifest(studio.simple(**SWEEP))).pairs}
    assert {name: (each.state, each.reason) for name, each in pairs.items()} == {
        SWEPT: ("skipped", "the same picture as a--b, and is taken from there"),
        OTHER: ("queued", "not rendered yet"),
    }
    assert not studio.has(f"out/demo/{SWEPT}.png")


def test_the_summary_says_where_it_is_from(studio, plain):
    plan = take_over(plan_manifest(studio.simple(**SWEEP)))
    shown, _ = ContactSheet(plan).write({}).pairs
    assert (shown.state, shown.reason, shown.sha256) == ("skipped", "taken from a--b", plain.output.sha256)


def test_what_is_chosen_of_a_sweep_is_taken_over_and_what_it_replaces_is_kept(studio, plain):
    _, chosen = rendered(studio.simple(**SWEEP))
    manifest = studio.simple(defaults={**SHALLOW, "seed": 1})
    pairs, _ = taken(manifest)
    assert pairs[WAS].reason == f"taken from {OTHER}"
    (former,) = find_versions(pairs[WAS].places, WAS)
    assert former.fingerprint == plain.fingerprint
    record = read_record(studio.url(f"out/demo/{WAS}.json"))
    assert record is not None
    assert record.fingerprint == chosen.fingerprint
    assert [each.changed for each in record.former] == [("seed: 0 -> 1",)]


def test_of_several_any_that_is_there_is_taken_and_the_first_name_is_kept(studio, plain):
    entries = [{"id": name, "content": "in/a.png", "style": "in/b.png"} for name in ("a--b", "c", "d")]
    manifest = studio.manifest(*entries[:2], defaults=SHALLOW)
    taken(manifest)
    ContactSheet(plan_manifest(manifest)).write({})
    studio.put("out/demo/a--b.png", b"somebody's")
    pairs, _ = taken(studio.manifest(*entries, defaults=SHALLOW))
    found = {name: (each.reason, each.record and each.record.taken_from) for name, each in pairs.items()}
    assert found["a--b"] == ("taken from c", None)
    assert found["d"] == ("taken from a--b", "a--b")


@pytest.mark.parametrize("lost", ["a--b.png", "a--b.json", "summary.json"])
def test_a_picture_that_is_another_by_now_is_not_taken(studio, plain, lost):
    studio.put(f"out/demo/{lost}", b"somebody's")
    pairs, told = taken(studio.simple(**SWEEP))
    assert ({each.state for each in pairs.values()}, told) == ({"queued"}, [])
    assert not studio.has(f"out/demo/{SWEPT}.png")


def test_a_picture_of_other_settings_is_not_taken(studio, plain):
    plan = plan_manifest(studio.simple(defaults={**SHALLOW, "seed": [2, 3]}))
    assert take_over(plan) is plan


def test_a_picture_that_can_not_be_copied_is_rendered(studio, plain, monkeypatch, caplog):
    def refuse(*_):
        raise StorageError("no room")

    monkeypatch.setattr("styletransfer.renders.same_picture.put", refuse)
    pairs, _ = taken(studio.simple(**SWEEP))
    assert pairs[SWEPT].state == "queued"
    assert "a--b-seed0: plan: its picture is there, and can't be taken: no room" in caplog.text
