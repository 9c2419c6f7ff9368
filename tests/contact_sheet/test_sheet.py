"""The contact sheet of a run: whole whatever is missing, and quick to write again."""

import hashlib
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from styletransfer import storage
from styletransfer.contact_sheet.sheet import ContactSheet
from styletransfer.contact_sheet.under_way import PairUnderWay, RunUnderWay
from styletransfer.errors import StorageError
from styletransfer.planning.plan import plan_manifest
from styletransfer.records.output_places import PAIRS_A_PAGE
from styletransfer.records.pair_text import image_command, pair_yaml
from styletransfer.renders.storing import store
from styletransfer.renders.summary import Outcome
from styletransfer.transfer.report import ScaleReport
from tests.contact_sheet.pages import NOON, Page
from tests.studio import QUICK, Studio, pretend_all, pretend_rendered


def written(studio: Studio) -> Page:
    return Page(studio.read("out/demo/index.html").decode())


# Self-contained and safe


def test_it_asks_for_nothing_outside(studio):
    pretend_all(studio.simple())
    ContactSheet(plan_manifest(studio.simple())).write({})
    sheet = written(studio)
    names = ("src", "href", "srcset", "action")
    links = [has[name] for _, has in sheet.elements for name in names if name in has]
    assert links
    assert all(re.match(r"data:|#|\./", link) for link in links)
    assert re.findall(r"url\((?!data:)|@import|https?:", sheet.html) == []


def test_the_loss_is_drawn_where_it_was_kept(studio):
    plan = plan_manifest(studio.simple(defaults={**QUICK, "trace": True}))
    rendered = pretend_rendered(plan.pairs[0])
    scale = ScaleReport(scale=32, width=32, height=24, iterations=2, seconds=1.0, trace=(100.0, 1.0))
    record = store(replace(rendered, scales=(scale,)))
    ContactSheet(plan).write({"a--b": Outcome("done", record=record)})
    sheet = written(studio)
    assert sheet.find("polyline")[0]["points"] == "0.0,0.0 200.0,48.0"
    assert sheet.find("svg")[0]["aria-label"] == "loss over the iterations, from 100 to 1"


def test_a_card_has_the_pair_as_text_to_paste(studio):
    plan = plan_manifest(studio.simple())
    ContactSheet(plan).write({})
    (card,) = written(studio).cards()
    assert card["data-yaml"] == pair_yaml(plan.manifest.pairs[0])
    assert card["data-command"] == image_command(plan.manifest.pairs[0], plan.manifest.weights)


@pytest.mark.parametrize(("kind", "stands_in"), [("png", False), ("tiff", True)])
def test_what_browsers_do_not_show_has_a_jpeg_that_stands_in(studio, kind, stands_in):
    pretend_all(studio.simple(format=kind))
    ContactSheet(plan_manifest(studio.simple(format=kind))).write({})
    (card,) = written(studio).cards()
    assert card["data-view"].endswith("-4096.jpg") == stands_in
    for name in ("data-view", "data-before"):
        assert storage.exists(studio.url(f"out/demo/{card[name]}"))


def test_pages_with_renders_under_way_are_written_again_each_time(studio):
    plan = plan_manifest(many_pairs(studio, PAIRS_A_PAGE + 1))
    sheet, outcomes = ContactSheet(plan), {f"p{PAIRS_A_PAGE}": Outcome("rendering", "cpu")}
    sheet.write(outcomes)
    assert "data-reload-s" not in Page(studio.read("out/demo/index-2.html").decode()).between("<body", "<script>")
    under_way = RunUnderWay(5.0, {f"p{PAIRS_A_PAGE}": PairUnderWay("32 px", 0.4)})
    sheet.write(outcomes, whole=False, under_way=under_way)
    assert b"32 px" in studio.read("out/demo/index-2.html")


# Written beside the pictures


def test_summary_and_sheet_are_written(any_studio):
    manifest = any_studio.simple()
    plan = plan_manifest(manifest)
    sheet = ContactSheet(plan, NOON)
    assert sheet.write({}).counts == {"queued": 1}
    record = store(pretend_rendered(plan.pairs[0]))
    summary = sheet.write({"a--b": Outcome("done", record=record)})
    assert json.loads(any_studio.read("out/demo/summary.json"))["counts"] == {"done": 1} == summary.counts
    html = written(any_studio)
    assert html.cards()[0]["data-state"] == "done"
    assert len(html.find("img")) == 1
    assert len(re.findall(r"background-image: url\(data:", html.html)) == 2


def test_thumbnails_are_kept_so_that_nothing_is_decoded_again(studio):
    pretend_all(studio.simple())
    plan = plan_manifest(studio.simple())
    for path in ("in/a.png", "in/b.png", "out/demo/a--b.png"):
        storage.delete(studio.url(path))
    ContactSheet(plan).write({})
    assert len(written(studio).find("img")) == 1


def test_lost_thumbnails_are_made_again(studio):
    pretend_all(studio.simple())
    shutil.rmtree(studio.url("out/demo/.thumbnails"))
    ContactSheet(plan_manifest(studio.simple())).write({})
    assert len(written(studio).find("img")) == 1
    assert Path(studio.url("out/demo/.thumbnails")).is_dir()


def test_a_picture_that_cannot_be_read_does_not_stop_the_sheet(studio):
    pretend_all(studio.simple())
    plan = plan_manifest(studio.simple())
    shutil.rmtree(studio.url("out/demo/.thumbnails"))
    studio.put("out/demo/a--b.png", b"gone bad")
    ContactSheet(plan).write({})
    assert "no preview" in written(studio).text


def test_pairs_not_asked_for_stay_in_the_sheet(studio):
    studio.simple()
    manifest = studio.manifest(
        {"id": "one", "content": "in/a.png", "style": "in/b.png"},
        {"id": "two", "content": "in/b.png", "style": "in/a.png"},
    )
    pretend_all(manifest)
    summary = ContactSheet(plan_manifest(manifest, only=["two"])).write({})
    assert [pair.id for pair in summary.pairs] == ["one", "two"]
    assert len(written(studio).find("img")) == 2


@pytest.mark.parametrize(
    ("change", "pictures"),
    [
        ({"picture": "one.png"}, 1),
        ({"picture": "../../in/b.png"}, 1),
        ({"content": "elsewhere"}, 2),  # then the record is asked
    ],
)
def test_nothing_is_fetched_that_only_a_former_summary_names(studio, web, change, pictures):
    studio.simple()
    pair = {"content": "in/a.png", "style": "in/b.png"}
    manifest = studio.manifest({"id": "one", **pair}, {"id": "two", **pair})
    pretend_all(manifest)
    ContactSheet(plan_manifest(manifest)).write({})
    summary = json.loads(studio.read("out/demo/summary.json"))
    shutil.rmtree(studio.url("out/demo/.thumbnails"))
    one = summary["pairs"][0]
    one["content"]["sha256"] = "0" * 64
    if "content" in change:
        one["content"]["url"] = f"{web.url}/a.png"
    else:
        one |= {**change, "sha256": hashlib.sha256(studio.read("in/b.png")).hexdigest()}
    studio.put("out/demo/summary.json", json.dumps(summary).encode())
    ContactSheet(plan_manifest(manifest, only=["two"])).write({})
    assert web.requests == []
    assert len(written(studio).find("img")) == pictures


# Pairs that the manifest names no more


def test_what_the_manifest_names_no_more_stands_in_a_section_of_its_own(studio):
    studio.simple()
    old = {"id": "old", "content": "in/a.png", "style": "in/b.png", "settings": {"tv_weight": 8}}
    pretend_all(studio.manifest(old))
    manifest = studio.simple()
    pretend_all(manifest)
    summary = ContactSheet(plan_manifest(manifest)).write({})
    sheet = written(studio)
    assert [(card["id"], card["data-state"]) for card in sheet.cards()] == [
        ("pair-a--b", "skipped"),
        ("pair-old", "earlier"),
    ]
    assert "Earlier pictures" in sheet.text
    assert sheet.text.count("tv_weight 8") == 1
    assert "tv_weight: 8" in sheet.cards()[1]["data-yaml"]
    assert len(sheet.find("img")) == 2
    assert "1 of 1 pictures" in sheet.text
    assert [pair.id for pair in summary.pairs] == ["a--b"]
    assert storage.exists(studio.url("out/demo/old.png"))


@pytest.mark.parametrize("change", [{"sha256": "../x"}, {"sha256": "a\0b"}, {"url": "s3://"}])
def test_a_record_of_somebody_else_does_not_stop_the_sheet(studio, change):
    studio.simple()
    (record,) = pretend_all(studio.manifest({"id": "old", "content": "in/a.png", "style": "in/b.png"}))
    plain = json.loads(record.model_dump_json())
    plain["inputs"][0] |= change
    plain["output"] |= {key: value for key, value in change.items() if key == "sha256"}
    studio.put("out/demo/old.json", json.dumps(plain).encode())
    ContactSheet(plan_manifest(studio.simple())).write({})
    assert [card["id"] for card in written(studio).cards()] == ["pair-a--b", "pair-old"]


def test_an_earlier_pair_of_an_input_since_moved_costs_no_other_its_small_pictures(studio):
    studio.simple()
    pretend_all(studio.manifest({"id": "old", "content": "in/a.png", "style": "in/b.png"}))
    studio.put("moved/a.png", studio.read("in/a.png"))
    manifest = studio.manifest({"id": "new", "content": "moved/a.png", "style": "in/b.png"})
    pretend_all(manifest)
    shutil.rmtree(studio.url("out/demo/.thumbnails"))
    ContactSheet(plan_manifest(manifest)).write({})
    sheet = written(studio)
    assert "data-before" in sheet.cards()[0]
    assert len(sheet.find("span", **{"class": "thumb content i0"})) == 2


def test_a_storage_that_is_away_keeps_earlier_pairs_off_the_sheet_no_longer_than_that(studio, monkeypatch, caplog):
    studio.simple()
    pretend_all(studio.manifest({"id": "old", "content": "in/a.png", "style": "in/b.png"}))
    sheet = ContactSheet(plan_manifest(studio.simple()))
    with monkeypatch.context() as patched:
        patched.setattr(storage, "glob", lambda _: (_ for _ in ()).throw(StorageError("is away", transient=True)))
        sheet.write({})
    assert len(written(studio).cards()) == 1
    assert "earlier pictures are not on the contact sheet for now: is away" in caplog.text
    sheet.write({})
    assert len(written(studio).cards()) == 2


# Pages


def many_pairs(studio: Studio, count: int) -> Any:
    studio.picture("in/a.png", 1)
    return studio.manifest(
        *({"id": f"p{number}", "content": "in/a.png", "style": "in/a.png"} for number in range(count))
    )


def test_pages_that_are_left_over_go_but_for_those_of_others(studio):
    ContactSheet(plan_manifest(many_pairs(studio, 2 * PAIRS_A_PAGE + 1))).write({})
    assert len(Page(studio.read("out/demo/index-3.html").decode()).cards()) == 1
    studio.put("out/demo/index-4.html", b"<p>somebody else's")
    ContactSheet(plan_manifest(many_pairs(studio, 3))).write({})
    assert len(written(studio).cards()) == 3
    left = [number for number in (2, 3, 4) if storage.exists(studio.url(f"out/demo/index-{number}.html"))]
    assert left == [4]


def test_only_pages_with_news_are_written_again_before_the_end(studio):
    plan = plan_manifest(many_pairs(studio, 2 * PAIRS_A_PAGE))
    sheet = ContactSheet(plan)
    sheet.write({})
    studio.put("out/demo/index-2.html", b"as it was")
    outcomes = {"p0": Outcome("rendering", "cpu")}
    sheet.write(outcomes, whole=False)
    assert studio.read("out/demo/index-2.html") == b"as it was"
    assert '"rendering" aria-pressed' in written(studio).html
    sheet.write(outcomes | {f"p{PAIRS_A_PAGE}": Outcome("rendering", "cpu")}, whole=False)
    assert b'"rendering" aria-pressed' in studio.read("out/demo/index-2.html")
    studio.put("out/demo/index-2.html", b"as it was")
    sheet.write(outcomes)
    assert studio.read("out/demo/index-2.html") != b"as it was"
