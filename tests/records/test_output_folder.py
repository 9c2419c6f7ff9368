"""What stands in the output folder: found without writing, and in its way only where nothing can be written."""

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from styletransfer import storage
from styletransfer.errors import StorageError
from styletransfer.planning.plan import plan_manifest
from styletransfer.records.output_folder import check_writable, find_record
from tests.studio import plan_faults, plan_one, pretend_all


def test_an_output_below_a_file_is_a_fault(studio):
    studio.put("out", b"in the way")
    (fault,) = plan_faults(studio.simple())
    assert fault.startswith("output is ")
    assert "is a file, not a folder" in fault


def test_an_output_on_the_web_is_a_fault(studio):
    manifest = replace(studio.simple(), output="https://example.org/out")
    assert plan_faults(manifest) == ["output is https://example.org/out/demo; web servers are only read from"]


def test_a_missing_bucket_is_a_fault(studio, bucket):
    manifest = replace(studio.simple(), output=f"{bucket.url}-gone/out")
    (fault,) = plan_faults(manifest)
    assert fault.startswith(f"output is {bucket.url}-gone/out/demo; ")
    assert "there is no such bucket" in fault


def test_an_unreachable_storage_is_worth_another_try(studio, bucket, monkeypatch):
    manifest = replace(studio.simple(), output=f"{bucket.url}/out")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(StorageError) as caught:
        plan_manifest(manifest)
    assert caught.value.transient


def test_a_damaged_record_counts_as_not_rendered_with_a_warning(studio, caplog):
    pretend_all(studio.simple())
    studio.put("out/demo/a--b.json", studio.read("out/demo/a--b.json")[:100])
    with caplog.at_level(logging.WARNING):
        planned = plan_one(studio.simple())
    assert (planned.state, planned.reason) == ("queued", "not rendered yet")
    assert caplog.messages[0].startswith("a--b: plan: ")
    assert "not a record that can be read" in caplog.messages[0]


@pytest.mark.parametrize("damage", ["deleted", "cut short"])
def test_a_pair_without_its_picture_is_not_done(any_studio, damage):
    pretend_all(any_studio.simple())
    if damage == "deleted":
        storage.delete(any_studio.url("out/demo/a--b.png"))
    else:
        any_studio.put("out/demo/a--b.png", b"half")
    planned = plan_one(any_studio.simple())
    assert planned.state == "queued"
    assert planned.reason == "its picture is gone, or not the one that was recorded"


def test_a_folder_in_place_of_a_record_stops_its_pair_alone(studio):
    studio.simple()
    Path(studio.url("out/demo/bad.json")).mkdir(parents=True)
    pair = {"content": "in/a.png", "style": "in/b.png"}
    plan = plan_manifest(studio.manifest({**pair, "id": "good"}, {**pair, "id": "bad"}))
    assert {pair.id: pair.state for pair in plan.pairs} == {"good": "queued", "bad": "failed"}
    assert not plan.faults
    (trouble,) = plan.troubles
    assert str(trouble).startswith("pairs[1] (line 1) cannot read ")
    assert "bad.json: it is a folder" in str(trouble)


def test_the_record_of_another_pair_is_not_this_pairs(studio, caplog):
    """Somebody copied `a--b.json`."""
    manifest = studio.simple()
    pretend_all(manifest)
    studio.put("out/demo/c.json", studio.read("out/demo/a--b.json"))
    assert find_record(plan_one(manifest).places, "a--b") is not None
    assert find_record(plan_one(manifest).places, "c") is None
    assert "c.json is the record of a--b; it counts as not rendered" in caplog.text


def test_an_output_below_a_link_that_leads_nowhere_is_a_fault(studio):
    Path(studio.url("out")).symlink_to("nowhere")
    (fault,) = plan_faults(studio.simple())
    assert fault.endswith("out is a link that leads nowhere")


def test_a_folder_is_made_and_tried_and_nothing_is_left_in_it(studio):
    check_writable(studio.url("new/folder"))
    assert list(Path(studio.url("new/folder")).iterdir()) == []


def test_where_nothing_may_be_deleted_the_trial_is_written_over_the_next_time(studio, monkeypatch):
    def refuse(url):
        raise StorageError("access denied")

    monkeypatch.setattr(storage, "delete", refuse)
    for _ in range(2):
        check_writable(studio.url("out"))
    assert len(list(Path(studio.url("out")).iterdir())) == 1


def test_a_folder_that_can_not_be_made_is_told():
    with pytest.raises(StorageError, match=r"cannot write /proc/x/\S+: its folder can't be made; check"):
        check_writable("/proc/x")
