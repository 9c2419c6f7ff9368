"""Pictures whose pairs the manifest names no more are found by their records, and nothing else is taken for one."""

import json

import pytest

from styletransfer import storage
from styletransfer.contact_sheet import earlier_pairs
from styletransfer.contact_sheet.earlier_pairs import find_earlier
from styletransfer.errors import StorageError
from styletransfer.planning.plan import plan_manifest
from styletransfer.records.output_places import OutputPlaces
from tests.studio import picture_file, pretend_all

SWEEP = {"id": "cat", "content": "in/a.png", "style": "in/b.png"}


def swept(studio, *weights):
    return studio.manifest({**SWEEP, "settings": {"content_weight": [*weights]}})


def found(studio, manifest):
    return find_earlier(manifest, OutputPlaces(manifest.output, manifest.name))


@pytest.fixture
def narrowed(any_studio):
    """A manifest whose sweep had three values when it was rendered, and has two now."""
    any_studio.simple()
    pretend_all(swept(any_studio, 0.005, 0.05, 0.5))
    return swept(any_studio, 0.005, 0.05)


def test_what_a_narrowed_sweep_has_left_is_found_as_it_was(any_studio, narrowed):
    ((pair, weights, entry),) = found(any_studio, narrowed)
    (was,) = (each for each in swept(any_studio, 0.005, 0.05, 0.5).pairs if each.id == entry.id)
    assert (pair.settings, pair.content, pair.styles) == (was.settings, was.content, was.styles)
    assert weights.source == "random"
    assert (entry.state, entry.settings["content_weight"], entry.picture) == ("done", 0.5, f"{was.id}.png")


def test_all_that_the_manifest_names_is_no_earlier_pair(any_studio, narrowed):
    assert found(any_studio, swept(any_studio, 0.005, 0.05, 0.5)) == []


def test_one_whose_picture_is_gone_is_none(studio):
    studio.simple()
    pretend_all(swept(studio, 0.005, 0.05))
    plan = plan_manifest(swept(studio, 0.005))
    ((_, _, entry),) = found(studio, plan.manifest)
    storage.delete(studio.url(f"out/demo/{entry.picture}"))
    assert found(studio, plan.manifest) == []


@pytest.mark.parametrize(
    "change",
    [
        {"id": "another"},
        {"settings": {"no_setting": 1}},
        {"inputs": []},
        {"state": "held"},
        {"output": {"width": 0}},
        {"output": {"format": "gif"}},
        {"inputs": [{"role": "content"}]},
        {"weights": {"source": "random:x", "identity": "x"}},
        {"weights": {"source": "random:99999999999999999999", "identity": "x"}},
    ],
)
def test_records_that_tell_of_no_pair_are_passed_over(studio, change):
    studio.simple()
    (record,) = pretend_all(studio.manifest({**SWEEP, "id": "old"}))
    plain = json.loads(record.model_dump_json())
    output = {**plain["output"], **change.get("output", {})}
    studio.put("out/demo/old.json", json.dumps({**plain, **change, "output": output}).encode())
    studio.put("out/demo/notes.json", b"{")
    studio.put("out/demo/notes.png", picture_file())
    assert found(studio, studio.manifest(SWEEP)) == []


def test_no_more_are_read_than_a_page_can_be_made_of(studio, monkeypatch):
    studio.simple()
    pretend_all(swept(studio, 0.005, 0.05, 0.5))
    monkeypatch.setattr(earlier_pairs, "MOST", 2)
    assert len(found(studio, studio.manifest({**SWEEP, "id": "new"}))) == 2


@pytest.mark.parametrize("part", ["glob", "read_if_exists"])
def test_a_storage_that_is_away_is_told_of(studio, monkeypatch, part):
    def away(*_, **options):
        raise StorageError("is away", transient=True)

    studio.simple()
    pretend_all(swept(studio, 0.005))
    monkeypatch.setattr(storage, part, away)
    with pytest.raises(StorageError):
        found(studio, studio.simple())
