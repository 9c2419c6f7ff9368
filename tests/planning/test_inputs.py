"""Inputs: known by their bytes, read only where they may have changed, named by the manifest's line."""

import hashlib
import os
from pathlib import Path

import pytest
import pyvips

from styletransfer import storage
from styletransfer.contact_sheet.sheet import ContactSheet
from styletransfer.errors import ManifestError, StorageError
from styletransfer.manifest.reader import parse_manifest
from styletransfer.planning.inputs import look_at_input
from styletransfer.planning.plan import plan_manifest
from styletransfer.records.records import InputRecord
from styletransfer.renders.storing import store
from styletransfer.renders.summary import Outcome
from styletransfer.storage.retries import Retries
from tests.studio import QUICK, picture_file, plan_faults, plan_one, pretend_all, pretend_rendered

CMYK: bytes = pyvips.Operation.call("profile_load", "cmyk")


@pytest.mark.parametrize(("path", "reason"), [("in/a.png", "the content"), ("in/b.png", "the style")])
def test_a_picture_changed_under_the_same_name_renders_again(any_studio, path, reason):
    pretend_all(any_studio.simple())
    before = any_studio.read(path)
    changed = picture_file(9)[: len(before)].ljust(len(before), b"\0")  # not even its size tells
    any_studio.put(path, changed)
    planned = plan_one(any_studio.simple())
    assert (planned.state, planned.reason) == ("queued", f"changed since: {reason}")


def test_a_touched_but_unchanged_input_is_still_done(studio):
    pretend_all(studio.simple())
    os.utime(studio.url("in/a.png"), (1, 1))
    assert plan_one(studio.simple()).state == "skipped"


@pytest.mark.parametrize("width", [b"null", b"0", b"1" + b"0" * 400])
def test_an_input_whose_recorded_size_can_not_be_is_read_again(studio, width):
    pretend_all(studio.simple())
    before, record = plan_one(studio.simple()), studio.read("out/demo/a--b.json")
    assert record.count(b'"width": 48') == 2
    studio.put("out/demo/a--b.json", record.replace(b'"width": 48', b'"width": ' + width))
    assert plan_one(studio.simple()).size == before.size


def test_an_unchanged_input_is_not_read_again(studio):
    """A record with another hash, and the same size and time: the hash is taken from the record."""
    pretend_all(studio.simple())
    record = studio.read("out/demo/a--b.json")
    planned = plan_one(studio.simple())
    forged = record.replace(planned.hashes[studio.url("in/a.png")].encode(), b"f" * 64)
    studio.put("out/demo/a--b.json", forged)
    assert plan_one(studio.simple()).hashes[studio.url("in/a.png")] == "f" * 64


def test_a_date_proves_nothing_of_urls_that_differ_in_their_query(studio, web):
    """Two pictures of equal size and date, and a record that only knows the address without its query."""
    bodies = {"a": picture_file(1), "b": picture_file(1)[:-1] + b"\x83"}

    def answer(handler):
        body = bodies[handler.path[-1]]
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.send_header("Last-Modified", "Thu, 26 Nov 2026 01:00:00 GMT")
        handler.end_headers()
        handler.wfile.write(body)

    web.answer["/p.png"] = answer
    a, b = (f"{web.url}/p.png?id={name}" for name in "ab")
    first = look_at_input(a, "content")
    assert first.stat is not None
    assert first.sha256 is not None
    size, modified = first.stat.size, first.stat.modified
    known = InputRecord(role="content", url=a, sha256=first.sha256, size=size, modified=modified)
    assert look_at_input(b, "content", [known]).sha256 == hashlib.sha256(bodies["b"]).hexdigest()


def test_a_good_profile_is_no_fault_and_is_part_of_the_fingerprint(studio):
    plain = plan_one(studio.simple())
    studio.put("print.icc", CMYK)
    proofed = plan_one(studio.simple(defaults={**QUICK, "proof": "print.icc"}))
    assert proofed.state == "queued"
    assert proofed.fingerprint != plain.fingerprint


def test_an_unreachable_input_is_the_trouble_of_its_pair_alone(studio):
    studio.simple()
    manifest = studio.manifest(
        {"id": "good", "content": "in/a.png", "style": "in/b.png"},
        {"id": "bad", "content": "http://127.0.0.1:9/a.png", "style": "in/b.png"},
    )
    told: list[str] = []
    plan = plan_manifest(manifest, retries=Retries(told.append, (1.0, 2.0, 4.0), sleep=lambda _: None))
    assert len(told) == 3
    assert all("no connection" in text and "; trying again in" in text for text in told)
    assert {pair.id: pair.state for pair in plan.pairs} == {"good": "queued", "bad": "failed"}
    assert "no connection" in plan.having("failed")[0].reason
    plan.check(troubles=False)
    with pytest.raises(ManifestError, match=r"pairs\[1\]\.content \(line 1\).* no connection"):
        plan.check()


def test_an_input_that_comes_back_is_looked_at_again(studio, monkeypatch):
    manifest = studio.simple()
    looked: list[str] = []
    stat = storage.stat

    def fails_at_first(url):
        looked.append(storage.name(url))
        if url.endswith("a.png") and looked.count("a.png") < 3:
            raise StorageError("away", transient=True)
        return stat(url)

    monkeypatch.setattr(storage, "stat", fails_at_first)
    (planned,) = plan_manifest(manifest, retries=Retries(lambda _: None, sleep=lambda _: None)).pairs
    assert planned.state == "queued"
    assert sorted(looked) == ["a.png", "a.png", "a.png", "b.png"]


def test_an_input_is_named_with_its_own_line(studio):
    studio.picture("in/a.png")
    text = """version: 1
weights: random
pairs:
  - id: one
    content: in/gone1.png
    styles:
      - in/a.png
      - image: in/gone2.png
        weight: 2
    settings:
      seed: 2
      proof: gone.icc
  - style: in/gone3.png
    content: in/a.png
grid:
  - styles: [in/gone4.png]
    contents:
      [in/gone5.png]
"""
    found = plan_faults(parse_manifest(text, studio.url("demo.yaml")))
    assert [fault.partition(")")[0] for fault in found] == [
        "pairs[0].content (line 5",
        "pairs[0].styles[1] (line 8",
        "pairs[0].settings.proof (line 12",
        "pairs[1].style (line 13",
        "grid[0].contents (line 17",
        "grid[0].styles (line 16",
    ]


def test_a_file_whose_name_is_not_utf8_is_the_trouble_of_its_pair_alone(studio):
    studio.picture("b.png", 2)
    studio.picture("in/good.png")
    Path(studio.url("in/bad\udcff.png")).write_bytes(picture_file(1))
    manifest = studio.manifest(grid=[{"contents": ["in/*.png"], "styles": ["b.png"]}])
    plan = plan_manifest(manifest)
    plan.check(troubles=False)
    assert {pair.id: pair.state for pair in plan.pairs} == {"bad--b": "failed", "good--b": "queued"}
    message = f"cannot use {studio.url('in')}/bad\\xff.png: its name is not UTF-8; rename it"
    assert [str(fault) for fault in plan.troubles] == [f"grid[0].contents (line 1) {message}"]
    (good,) = plan.having("queued")
    record = store(pretend_rendered(good))
    summary = ContactSheet(plan).write({good.id: Outcome("done", record=record)})
    assert summary.counts == {"done": 1, "failed": 1}
    assert b"bad\\xff.png: its name is not UTF-8" in studio.read("out/demo/index.html")
    assert studio.has("out/demo/summary.json")
