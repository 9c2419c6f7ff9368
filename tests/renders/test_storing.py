"""A pair stored: whole or not at all, whoever else stores it, and however often."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from styletransfer import storage
from styletransfer.errors import StorageError
from styletransfer.pictures.decode import decode
from styletransfer.records.records import InputRecord, read_record, write_record
from styletransfer.renders import storing
from styletransfer.renders.fetching import fetch
from styletransfer.renders.storing import store
from tests.studio import QUICK, picture_file, plan_one, pretend_rendered

# Store


def test_store_can_be_repeated_without_rendering_again(any_studio):
    rendered = pretend_rendered(plan_one(any_studio.simple()))
    first = store(rendered, attempts=2)
    stamp = storage.stat(any_studio.url("out/demo/a--b.png"))
    assert store(rendered, attempts=3) == first
    assert storage.stat(any_studio.url("out/demo/a--b.png")) == stamp
    assert first.attempts == 2


def test_store_after_a_failure_between_picture_and_record(studio):
    """The record is last: until it is there, the pair is not done, and another try mends it."""
    rendered = pretend_rendered(plan_one(studio.simple()))
    store(rendered)
    storage.delete(studio.url("out/demo/a--b.json"))
    assert plan_one(studio.simple()).state == "queued"
    store(rendered)
    assert plan_one(studio.simple()).state == "skipped"


def test_what_another_host_stored_since_this_render_began_is_left_alone(studio):
    planned = plan_one(studio.simple())
    mine, theirs = pretend_rendered(planned, seed=1), pretend_rendered(planned, seed=2)
    first = store(theirs)
    assert store(mine) == first
    assert hashlib.sha256(studio.read("out/demo/a--b.png")).hexdigest() == first.output.sha256


def test_renders_that_store_at_once_leave_a_picture_and_its_own_record(any_studio, monkeypatch):
    """One of them is of settings of before, as from a process that was taken for lost and woke up."""
    planned = plan_one(any_studio.simple())
    other = plan_one(any_studio.simple(defaults={**QUICK, "seed": 7}))
    mine, theirs = pretend_rendered(planned, seed=1), pretend_rendered(other, seed=2)
    assert mine.fingerprint != theirs.fingerprint
    write, between = write_record, [lambda: store(theirs)]

    def write_later(url, record):
        if between:
            between.pop()()
        write(url, record)

    monkeypatch.setattr(storing, "write_record", write_later)
    record = store(mine)
    assert read_record(any_studio.url("out/demo/a--b.json")) == record
    assert hashlib.sha256(any_studio.read("out/demo/a--b.png")).hexdigest() == record.output.sha256
    assert plan_one(any_studio.simple()).state == "skipped"


def test_a_forced_render_replaces_an_older_one(studio):
    store(pretend_rendered(plan_one(studio.simple()), seed=1))
    forced = store(pretend_rendered(plan_one(studio.simple(), force=True), seed=2))
    assert hashlib.sha256(studio.read("out/demo/a--b.png")).hexdigest() == forced.output.sha256


def test_a_changed_format_replaces_the_old_picture(any_studio):
    store(pretend_rendered(plan_one(any_studio.simple())))
    store(pretend_rendered(plan_one(any_studio.simple(format="jpeg"))))
    assert any_studio.has("out/demo/a--b.jpg")
    assert not any_studio.has("out/demo/a--b.png")


def test_the_old_picture_stays_until_the_new_record_is_written(studio, monkeypatch):
    old = store(pretend_rendered(plan_one(studio.simple())))
    rendered = pretend_rendered(plan_one(studio.simple(format="jpeg")))

    def fail(url, record):
        raise StorageError("cut off", transient=True)

    with monkeypatch.context() as patch:
        patch.setattr(storing, "write_record", fail)
        with pytest.raises(StorageError, match="cut off"):
            store(rendered)
    assert plan_one(studio.simple()).record == old
    assert plan_one(studio.simple()).state == "skipped"
    store(rendered)
    assert not studio.has("out/demo/a--b.png")


def test_a_folder_that_cannot_be_written_is_an_error_that_leaves_no_record(studio):
    rendered = pretend_rendered(plan_one(studio.simple()))
    studio.put("out", b"in the way")
    with pytest.raises(StorageError):
        store(rendered)
    assert not studio.has("out/demo/a--b.json")


@pytest.mark.parametrize(
    ("own", "asked", "expected"), [(None, None, None), (144, None, 144), (144, 300, 300), (None, 300, 300)]
)
@pytest.mark.parametrize("kind", ["png", "jpeg", "tiff"])
def test_dpi_is_the_contents_or_the_one_asked_for(studio, own, asked, expected, kind):
    studio.put("in/a.png", picture_file(1, dpi=(own, own)) if own else picture_file(1))
    keys = {"format": kind, **({"dpi": asked} if asked else {})}
    record = store(pretend_rendered(plan_one(studio.simple(**keys))))
    found = decode(storage.read(record.output.url), "result").dpi
    if expected is None:
        assert record.output.dpi is None
    else:
        assert record.output.dpi == pytest.approx((expected, expected), abs=0.5)
        assert found == pytest.approx((expected, expected), abs=0.5)


def test_a_16_bit_result_has_16_bits(studio):
    store(pretend_rendered(plan_one(studio.simple(format="tiff"))))
    assert decode(studio.read("out/demo/a--b.tif"), "result").bits == 16


def test_the_record_holds_no_secret(studio):
    """A location with credentials or a signature leaves only its public part behind."""
    planned = plan_one(studio.simple())
    fetched = fetch(planned)
    secret = "https://me:hunter2@host/a.png?X-Amz-Signature=hunter2"
    entry = InputRecord(**(fetched.inputs[0].model_dump() | {"url": secret}))
    tainted = replace(fetched, inputs=(entry, fetched.inputs[1]))
    store(replace(pretend_rendered(planned), fetched=tainted))
    assert b"hunter2" not in studio.read("out/demo/a--b.json")
    assert b"https://host/a.png" in studio.read("out/demo/a--b.json")


def test_times_are_of_this_render(studio):
    before = datetime.now(UTC)
    record = store(pretend_rendered(plan_one(studio.simple())))
    assert before <= record.started <= record.finished <= datetime.now(UTC)
