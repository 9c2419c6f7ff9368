"""The contact sheet: self-contained, safe, honest about failures, and quick to write again."""

import base64
import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from styletransfer import storage
from styletransfer.errors import StorageError
from styletransfer.pictures.thumbnail import thumbnail
from styletransfer.renders.contact_sheet import MANY, ContactSheet, PageParts, PairTexts, duration, page
from styletransfer.renders.output_places import PAIRS_A_PAGE
from styletransfer.renders.pair import store
from styletransfer.renders.pair_text import image_command, pair_yaml
from styletransfer.renders.plan import plan_manifest
from styletransfer.renders.records import FormerVersion, Summary, SummaryInput, SummaryPair
from styletransfer.renders.summary import Outcome
from styletransfer.renders.under_way import PairUnderWay, Preview, RunUnderWay
from styletransfer.transfer.report import ScaleReport
from tests.studio import QUICK, Studio, picture_file, pretend_all, pretend_rendered
from tests.waiting import until

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


class Page(HTMLParser):
    """A page: its elements (tag and attributes) and the text that people read."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html, self.elements, self.text = html, list[tuple[str, dict[str, Any]]](), ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.cdata_elem is None:  # neither style nor script
            self.text += data

    def find(self, tag: str, **wanted: str) -> list[dict[str, Any]]:
        return [has for name, has in self.elements if name == tag and wanted.items() <= has.items()]

    def cards(self) -> list[dict[str, Any]]:
        return [has for name, has in self.elements if name == "li" and "data-state" in has]

    def between(self, start: str, end: str) -> str:
        return self.html.partition(start)[2].partition(end)[0]


def make_pair(pair_id: str = "a--b", **changes: Any) -> SummaryPair:
    plain: dict[str, Any] = {
        "id": pair_id,
        "state": "done",
        "content": SummaryInput(url="/in/a.png", sha256="a" * 64),
        "styles": (SummaryInput(url="/in/b.png", weight=1, sha256="b" * 64),),
        "picture": f"{pair_id}.png",
        "sha256": "c" * 64,
        "format": "png",
        "width": 640,
        "height": 480,
        "seconds": 92.0,
        "finished": NOON,
    }
    return SummaryPair(**(plain | changes))


def make_summary(*pairs: SummaryPair, manifest: str = "demo", location: str = "/demo.yaml") -> Summary:
    return Summary(manifest=manifest, location=location, started=NOON, updated=NOON, pairs=pairs)


def make_page(*pairs: SummaryPair, pictures: PageParts | None = None, **changes: Any) -> Page:
    return Page(page(make_summary(*pairs, **changes), pictures or PageParts()))


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


@pytest.mark.parametrize("kind", ["style", "script"])
def test_the_policy_allows_exactly_its_own_style_and_script(kind):
    sheet = make_page(make_pair())
    (policy,) = sheet.find("meta", **{"http-equiv": "Content-Security-Policy"})
    digest = hashlib.sha256(sheet.between(f"<{kind}>", f"</{kind}>").encode()).digest()
    assert f"{kind}-src 'sha256-{base64.b64encode(digest).decode()}'" in policy["content"]
    assert "default-src 'none'" in policy["content"]
    assert not any("style" in has or any(name.startswith("on") for name in has) for _, has in sheet.elements)


NASTY = "\"><script>alert(1)</script><b title='x'>&amp;"


def test_nothing_in_it_becomes_markup():
    nasty = make_pair(
        NASTY,
        state="failed",
        reason=NASTY,
        picture=None,
        content=SummaryInput(url=f"/in/{NASTY}"),
        styles=(SummaryInput(url=f"/in/{NASTY}"),),
        settings={NASTY: NASTY},
        warnings=(NASTY,),
    )
    done = make_pair("x", picture=f"{NASTY}.png", reason=NASTY)
    sheet = make_page(nasty, done, manifest=NASTY, location=f"/{NASTY}")
    assert len(sheet.find("script")) == 1
    assert not sheet.find("b", title="x")
    assert sheet.text.count(NASTY) >= 6


def test_no_former_picture_leads_elsewhere():
    former = FORMER.model_copy(update={"fingerprint": "../../../secret"})
    (card,) = make_page(make_pair(former=(former,))).cards()
    assert json.loads(card["data-former"])[0]["view"] == "./.history/a--b/..%2F..%2F..%2Fsecret.png"


# What it shows


def test_a_finished_pair_links_to_its_picture_with_a_preview():
    pictures = PageParts({("c" * 64, 480): thumbnail(picture_file(size=(640, 480)), 480)})
    sheet = make_page(make_pair(), pictures=pictures)
    (link,) = sheet.find("a", **{"class": "picture"})
    (image,) = sheet.find("img")
    assert link["href"] == "./a--b.png"
    assert image["alt"] == "a.png in the style of b.png"
    assert (image["width"], image["height"], image["loading"]) == ("480", "360", "lazy")
    assert image["src"].startswith("data:image/jpeg;base64,")
    assert "640 \N{MULTIPLICATION SIGN} 480 px · 1 min 32 s · PNG" in sheet.text


def test_a_failure_is_told_on_top_and_in_its_place():
    sheet = make_page(make_pair("good"), make_pair("bad", state="failed", reason="too hot", picture=None))
    assert "1 pair failed" in sheet.text
    assert sheet.text.count("too hot") == 2
    assert sheet.find("a", href="#pair-bad")
    assert sheet.find("li", id="pair-bad")[0]["class"] == "card failed"


def test_many_pairs_that_failed_for_one_reason_are_told_together():
    pairs = [make_pair(f"p{number}", state="failed", reason="too hot", picture=None) for number in range(40)]
    sheet = make_page(*pairs)
    assert "40 pairs failed" in sheet.text
    assert "and 28 more: too hot" in sheet.text


def test_no_failures_no_warning():
    assert "failed" not in make_page(make_pair()).text.lower()


def test_counts_are_buttons_that_filter():
    sheet = make_page(make_pair("a"), make_pair("b"), make_pair("c", state="skipped"))
    assert [button["value"] for button in sheet.find("button") if "value" in button] == ["", "done", "skipped"]
    assert "Done 2" in sheet.text
    assert "Done before 1" in sheet.text


def test_settings_that_differ_are_shown_as_they_would_be_written():
    settings = {"end_scale": "512+", "tv_weight": 2.0, "trace": True, "style_layers": {"relu1_1": 256.0}}
    sheet = make_page(make_pair(settings=settings), make_pair("plain"))
    for text in ("end_scale 512+", "tv_weight 2", "trace true", "style_layers relu1_1: 256"):
        assert text in sheet.text
    assert len(sheet.find("ul", **{"class": "settings"})) == 1


def test_what_all_pairs_share_is_told_once_and_what_varies_on_the_cards():
    weights = (0.005, 0.015, 0.05)
    pairs = [make_pair(f"cw{each}", settings={"schedule": "fast", "content_weight": each}) for each in weights]
    sheet = make_page(*pairs)
    assert sheet.text.count("schedule fast") == 1
    assert [sheet.text.count(f"content_weight {each}") for each in weights] == [1, 1, 1]


def test_one_that_has_the_default_of_what_others_vary_says_so():
    pairs = [make_pair("a", settings={"content_weight": 0.005}), make_pair("b", settings={"content_weight": 0.05})]
    sheet = make_page(*pairs, make_pair("c"))
    assert "content_weight 0.015" in sheet.text
    assert len(sheet.find("li", **{"class": "default"})) == 1


def test_a_preview_is_shown_and_says_what_it_is():
    preview = make_pair(state="held", picture=".a--b.preview.jpg", reason="preview at 128 px")
    sheet = make_page(preview, make_pair("queued", state="queued", picture=None))
    assert sheet.find("a", href="./.a--b.preview.jpg")
    assert "preview at 128 px" in sheet.text
    assert "0 of 2 pictures · 1 preview · 1 min 32 s of rendering" in sheet.text
    assert "Preview 1" in sheet.text
    assert "Held" not in sheet.text


def test_what_a_farm_holds_is_held_also_beside_a_preview():
    preview = make_pair(state="held", picture=".a--b.preview.jpg", reason="preview at 128 px")
    back = make_pair("back", state="held", picture=".back.preview.jpg", reason="its run has ended", finished=None)
    sheet = make_page(preview, back)
    assert "Held 2" in sheet.text
    assert "1 preview " in sheet.text
    assert sheet.text.count("Preview") == 1


def test_done_before_says_what_it_means():
    sheet = make_page(make_pair(state="skipped"))
    assert "Rendered 01 May 2026; nothing that makes it has changed since." in sheet.text


@pytest.mark.parametrize(("size", "fills"), [((70, 48), "wide"), ((640, 99), "wide"), ((64, 48), "tall")])
def test_a_picture_fills_its_mat_however_small(size, fills):
    pictures = PageParts({("c" * 64, 480): picture_file(size=size, kind="JPEG")})
    sheet = make_page(make_pair(width=size[0], height=size[1]), pictures=pictures)
    assert sheet.find("img")[0]["class"] == fills


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


# While a run is under way


def test_a_page_of_a_run_under_way_shows_how_far_it_is():
    picture = Preview(thumbnail(picture_file(size=(64, 48)), 480), 64, 48)
    under_way = RunUnderWay(5.0, {"a": PairUnderWay("32 px, scale 2 of 3", 0.4, 75.0, picture)}, 0.2)
    pairs = (make_pair("a", state="rendering", picture=None), make_pair("b", state="queued", picture=None))
    sheet = Page(page(make_summary(*pairs), PageParts(), under_way=under_way))
    assert sheet.find("p", **{"class": "live", "data-reload-s": "5.0"})
    assert [float(bar["value"]) for bar in sheet.find("progress")] == [0.2, 0.4]
    assert "32 px, scale 2 of 3 · 1 min 15 s left" in sheet.text
    assert len(sheet.find("img")) == 1


def test_pages_with_renders_under_way_are_written_again_each_time(studio):
    plan = plan_manifest(many_pairs(studio, PAIRS_A_PAGE + 1))
    sheet, outcomes = ContactSheet(plan), {f"p{PAIRS_A_PAGE}": Outcome("rendering", "cpu")}
    sheet.write(outcomes)
    assert "data-reload-s" not in Page(studio.read("out/demo/index-2.html").decode()).between("<body", "<script>")
    under_way = RunUnderWay(5.0, {f"p{PAIRS_A_PAGE}": PairUnderWay("32 px", 0.4)})
    sheet.write(outcomes, whole=False, under_way=under_way)
    assert b"32 px" in studio.read("out/demo/index-2.html")


def test_a_blend_shows_the_share_of_each_style():
    styles = (SummaryInput(url="/in/b.png", weight=3), SummaryInput(url="/in/c.png", weight=1))
    assert "a.png in the style of b.png 75% + c.png 25%" in make_page(make_pair(styles=styles)).text


def test_masks_are_told_with_what_they_are_for():
    sky, face, part = (SummaryInput(url=f"/in/{name}.png", sha256=name[0] * 64) for name in ("sky", "face", "part"))
    styles = (
        SummaryInput(url="/in/b.png", weight=3, region=sky, sha256="b" * 64),
        SummaryInput(url="/in/c.png", weight=1, region=sky, sha256="b" * 64),
        SummaryInput(url="/in/d.png", weight=1, sample=part, sha256="b" * 64),
    )
    pictures = PageParts({(letter * 64, 80): picture_file(kind="JPEG") for letter in "absfp"})
    sheet = make_page(make_pair(styles=styles, keep=face), pictures=pictures)
    assert (
        "a.png in the style of b.png 75% where sky.png is white + c.png 25% where sky.png is white "
        "+ d.png (of it part.png) elsewhere, kept where face.png is white"
    ) in sheet.text
    (card,) = sheet.cards()
    assert all(name in card["data-find"] for name in ("sky.png", "face.png", "part.png"))
    assert sum("thumb mask" in has.get("class", "") for has in sheet.find("span")) == 4


@pytest.mark.parametrize(("known", "thumbs"), [("ab", 2), ("a", 0), ("b", 0)])
def test_inputs_are_shown_together_or_not_at_all(known, thumbs):
    """A pair not yet rendered may share a style with one that is; half of its inputs would mislead."""
    pictures = PageParts({(letter * 64, 80): picture_file(kind="JPEG") for letter in known})
    sheet = make_page(make_pair(), pictures=pictures)
    assert sum(has.get("class", "").startswith("thumb ") for has in sheet.find("span")) == thumbs


def test_the_search_finds_id_pictures_settings_and_reasons():
    pair = make_pair("Bridge", state="failed", reason="Too HOT", picture=None, settings={"init": "gray"})
    (card,) = make_page(pair).cards()
    assert all(word in card["data-find"] for word in ("bridge", "a.png", "b.png", "init gray", "too hot"))


def test_what_was_expected_is_told_beside_what_it_took():
    assert "1 min 32 s (1 min 30 s expected)" in make_page(make_pair(expected_seconds=90.0)).text
    assert "expected" not in make_page(make_pair(state="skipped", expected_seconds=90.0)).text


def test_warnings_are_shown():
    assert "1 warning" in make_page(make_pair(warnings=("a.png: is transparent",))).text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (59.94, "59.9 s"), (59.96, "1 min 00 s"), (92, "1 min 32 s"), (3599.6, "1 h 00 min"),
     (7500, "2 h 05 min")],
)  # fmt: skip
def test_durations_are_for_people(seconds, text):
    assert duration(seconds) == text


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


def test_many_pairs_get_small_thumbnails():
    pairs = [make_pair(f"p{number}") for number in range(MANY + 1)]
    pictures = PageParts({("c" * 64, 200): thumbnail(picture_file(size=(640, 480)), 200)}, 200)
    sheet = make_page(*pairs, pictures=pictures)
    assert sheet.find("body", **{"class": "many"})
    assert {image["width"] for image in sheet.find("img")} == {"200"}


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


def test_where_nothing_is_left_over_nothing_is_said_of_it():
    assert "earlier" not in make_page(make_pair()).text.lower()


def test_earlier_pairs_come_on_pages_behind_the_others():
    parts = PageParts(earlier=[make_pair("old")])
    summary = make_summary(*(make_pair(f"p{number}") for number in range(PAIRS_A_PAGE)))
    first, second = (Page(page(summary, parts, number)) for number in (1, 2))
    assert [len(first.cards()), len(second.cards())] == [PAIRS_A_PAGE, 1]
    assert first.find("a", href="./index-2.html")
    assert second.cards()[0]["data-state"] == "earlier"


def test_pictures_of_one_name_in_two_folders_are_told_apart():
    pairs = [make_pair(f"p{year}", content=SummaryInput(url=f"/in/{year}/cat.jpg")) for year in (2024, 2025)]
    sheet = make_page(*pairs)
    assert [json.loads(card["data-axes"])["content"] for card in sheet.cards()] == ["2024/cat.jpg", "2025/cat.jpg"]
    assert "2024/cat.jpg in the style of b.png" in sheet.text


# Pages


def many_pairs(studio: Studio, count: int) -> Any:
    studio.picture("in/a.png", 1)
    return studio.manifest(
        *({"id": f"p{number}", "content": "in/a.png", "style": "in/a.png"} for number in range(count))
    )


def test_many_pairs_come_in_pages_that_lead_to_each_other():
    pairs = [make_pair(f"p{number}", state="failed", reason="too hot", picture=None) for number in range(2)]
    pairs += [make_pair(f"p{number}") for number in range(2, PAIRS_A_PAGE)]
    pairs.append(make_pair("last", state="failed", reason="too cold", picture=None))
    summary = make_summary(*pairs)
    first, second = (Page(page(summary, PageParts(), number)) for number in (1, 2))
    assert [len(first.cards()), len(second.cards())] == [PAIRS_A_PAGE, 1]
    assert [each["href"] for each in first.find("a") if "pair" not in each["href"]][:1] == ["./index-2.html"]
    assert [each["href"] for each in second.find("a")][:1] == ["./index.html"]
    assert first.find("a", href="#pair-p0")
    assert first.find("a", href="./index-2.html#pair-last")
    assert second.find("a", href="#pair-last")
    assert second.find("a", href="./index.html#pair-p0")
    for each, failed in ((first, 2), (second, 1)):
        assert f"498 of {PAIRS_A_PAGE + 1} pictures" in each.text
        assert each.between('value="failed" aria-pressed="false">', "</button>") == f"Failed <b>{failed}</b>"
        assert each.find("input")[0]["placeholder"].startswith("Find on this page: ")


def test_few_pairs_have_one_page_that_speaks_of_no_other():
    sheet = make_page(make_pair())
    assert "page" not in sheet.text.lower()
    assert sheet.find("input")[0]["placeholder"] == "Find a pair, a picture, a setting"


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


# In a browser


FORMER = FormerVersion(
    fingerprint="f" * 64, format="png", sha256="e" * 64, width=320, height=240, finished=NOON, seconds=1.0,
    changed=("tv_weight: 2 -> 8",),
)  # fmt: skip


@pytest.fixture
def opened(browser, tmp_path, request) -> Iterator[Any]:
    """A sheet of three pairs, and of earlier ones if the test says so, opened from the disk; whatever the browser
    complains about fails the test."""
    pairs = (
        make_pair("harbour--wave", sha256="d" * 64, former=(FORMER,)),
        make_pair("harbour--night", settings={"init": "gray"}),
        make_pair("tower--wave", state="failed", reason="too hot", picture=None),
    )
    earlier = getattr(request, "param", ())
    result, small = thumbnail(picture_file(size=(640, 480)), 480), picture_file(kind="JPEG")
    jpegs = {(letter * 64, 480): result for letter in "cd"} | {(letter * 64, 80): small for letter in "ab"}
    ids = [pair.id for pair in (*pairs, *earlier)]
    texts = {each: PairTexts(f"- id: {each}\n", f"styletransfer image {each}") for each in ids}
    parts = PageParts(jpegs, stand_ins={("a" * 64, 1600): "before.jpg"}, texts=texts, earlier=earlier)
    (tmp_path / "index.html").write_text(page(make_summary(*pairs), parts), encoding="utf-8")
    for pair in (*pairs[:2], *earlier):
        (tmp_path / f"{pair.id}.png").write_bytes(picture_file(size=(640, 480)))
    (tmp_path / ".history/harbour--wave").mkdir(parents=True)
    (tmp_path / f".history/harbour--wave/{FORMER.fingerprint}.png").write_bytes(picture_file(size=(320, 240)))
    (tmp_path / "before.jpg").write_bytes(picture_file(size=(320, 240), kind="JPEG"))
    context = browser.new_context(viewport={"width": 1000, "height": 700})
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    tab, complaints, requests = context.new_page(), list[str](), list[str]()
    tab.on("console", lambda message: complaints.append(message.text))
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on("request", lambda request: requests.append(request.url))
    tab.goto((tmp_path / "index.html").as_uri())
    yield tab
    context.close()
    assert complaints == []
    assert [url for url in requests if not url.startswith(("data:", "file:"))] == []


def comes_true(tab: Any, expression: str) -> None:
    """Waits for it from outside: the page's policy forbids what Playwright waits with."""
    from playwright.sync_api import Error

    def is_true() -> Any:
        with suppress(Error):  # while the page loads itself anew
            return tab.evaluate(expression)

    until(is_true, expression, 60)


def visible(tab: Any) -> list[str]:
    return [card.get_attribute("id") for card in tab.query_selector_all(".card") if card.is_visible()]


@pytest.mark.browser
def test_previews_are_drawn(opened):
    comes_true(opened, "document.querySelector('.picture img').complete")
    assert opened.evaluate("document.querySelector('.picture img').naturalWidth") == 480
    background = "getComputedStyle(document.querySelector('.thumb.content')).backgroundImage"
    assert opened.evaluate(background).startswith('url("data:image/jpeg')


@pytest.mark.browser
def test_filter_and_search_narrow_the_sheet_and_survive_a_reload(opened):
    assert len(visible(opened)) == 3
    opened.click("button[value=failed]")
    assert visible(opened) == ["pair-tower--wave"]
    opened.click("button[value='']")
    opened.fill("input", "harbour gray")
    assert visible(opened) == ["pair-harbour--night"]
    assert opened.inner_text(".shown") == "1 of 3 shown"
    opened.reload()
    assert visible(opened) == ["pair-harbour--night"]
    opened.fill("input", "nothing like it")
    assert opened.inner_text(".shown") == "Nothing matches."


@pytest.mark.browser
def test_a_link_to_a_failed_pair_shows_it_even_if_it_is_filtered_away(opened):
    opened.fill("input", "harbour")
    opened.click(".failures a")
    assert "pair-tower--wave" in visible(opened)


@pytest.mark.browser
def test_the_search_finds_defaults_too(opened):
    opened.fill("input", "optimizer adam")
    assert len(visible(opened)) == 3
    opened.fill("input", "adam gray")
    assert visible(opened) == ["pair-harbour--night"]


WIDTHS = "[...document.querySelectorAll('.result')].map(image => Math.round(image.getBoundingClientRect().width))"


@pytest.mark.browser
def test_the_viewer_goes_by_keys_and_gives_the_focus_back(opened):
    opened.focus("#pair-harbour--wave .picture")
    opened.keyboard.press("Enter")
    comes_true(opened, "document.querySelector('.result').src.endsWith('/harbour--wave.png')")
    opened.keyboard.press("z")
    assert opened.evaluate(WIDTHS) == [640]
    opened.keyboard.press("f")
    assert opened.evaluate(WIDTHS)[0] > 640
    opened.keyboard.press("ArrowRight")
    comes_true(opened, "document.querySelector('.result').src.endsWith('/harbour--night.png')")
    assert opened.inner_text(".viewer .place") == "harbour--night · 2 of 2"
    opened.keyboard.press("Escape")
    assert opened.evaluate("document.activeElement.closest('.card').id") == "pair-harbour--night"


@pytest.mark.browser
def test_before_is_seen_while_a_key_is_held_and_by_a_slider(opened):
    opened.click("#pair-harbour--wave .picture")
    seen = "getComputedStyle(document.querySelector('.before')).visibility"
    assert opened.evaluate(seen) == "hidden"
    opened.keyboard.down("b")
    assert opened.evaluate(seen) == "visible"
    opened.keyboard.up("b")
    assert opened.evaluate(seen) == "hidden"
    opened.keyboard.press("d")
    assert opened.evaluate(seen) == "visible"
    clip = "document.querySelector('.before').style.clipPath"
    half = opened.evaluate(clip)
    opened.focus(".slider input")
    opened.keyboard.press("Home")
    assert opened.evaluate(clip) != half
    assert opened.inner_text(".viewer .place") == "harbour--wave · 1 of 2"  # the slider's keys are its own


@pytest.mark.browser
def test_marked_pictures_are_zoomed_and_moved_in_step(opened):
    for name in ("harbour--wave", "harbour--night"):
        opened.focus(f"#pair-{name} .picture")
        opened.keyboard.press("c")
    opened.click("button.compare")
    places = "[...document.querySelectorAll('.result')].map(image => image.style.transform + image.style.width)"
    fit = opened.evaluate(places)
    opened.keyboard.press("z")
    opened.keyboard.press("Shift+ArrowRight")
    moved = opened.evaluate(places)
    assert opened.evaluate(WIDTHS) == [640, 640]
    assert len(fit) == 2
    assert moved[0] == moved[1] != fit[0]


@pytest.mark.browser
def test_former_pictures_are_seen_beside_the_present_one(opened):
    opened.click("#pair-harbour--wave .links button:has-text('1 former picture')")
    comes_true(opened, "document.querySelectorAll('.result')[1].naturalWidth === 320")
    told = opened.locator(".pane figcaption b").all_inner_texts()
    assert told == ["harbour--wave", "01 May 2026, 12:00 · tv_weight: 2 -> 8"]
    opened.keyboard.press("z")
    assert opened.evaluate(WIDTHS) == [640, 640]
    opened.keyboard.press("Escape")
    assert opened.evaluate("document.activeElement.closest('.card').id") == "pair-harbour--wave"


@pytest.mark.browser
def test_picks_are_kept_filtered_and_copied(opened):
    opened.focus("#pair-harbour--wave .picture")
    opened.keyboard.press("s")
    opened.keyboard.press("ArrowRight")
    opened.keyboard.press("x")
    opened.reload()
    opened.click(".picks .starred")
    assert visible(opened) == ["pair-harbour--wave"]
    opened.click(".copy-ids")
    comes_true(opened, "document.querySelector('.shown').textContent.startsWith('Copied ids')")
    assert opened.evaluate("navigator.clipboard.readText()") == "harbour--wave"
    opened.click(".copy-entries")
    comes_true(opened, "document.querySelector('.shown').textContent.startsWith('Copied entries')")
    assert opened.evaluate("navigator.clipboard.readText()") == "- id: harbour--wave\n"
    opened.click("#pair-harbour--wave [data-copy=command]")
    comes_true(opened, "document.querySelector('.shown').textContent.startsWith('Copied the command')")
    assert opened.evaluate("navigator.clipboard.readText()") == "styletransfer image harbour--wave"


@pytest.mark.browser
def test_turning_to_other_pictures_keeps_pixels_as_large_as_they_are(opened):
    opened.click("#pair-harbour--wave .picture")
    opened.keyboard.press("z")
    opened.keyboard.press("2")
    assert opened.evaluate(WIDTHS) == [640, 640]
    opened.keyboard.press("1")
    opened.keyboard.press("ArrowRight")
    assert opened.evaluate(WIDTHS) == [640]
    opened.keyboard.press("f")
    opened.keyboard.press("2")
    assert opened.evaluate("[...document.querySelectorAll('[data-do=fit]')].pop().ariaPressed") == "true"


@pytest.mark.browser
def test_the_viewer_opens_with_nothing_left_of_the_last_time(opened):
    opened.click("#pair-harbour--wave .picture")
    for key in ("x", "d", "Escape"):
        opened.keyboard.press(key)
    opened.click("#pair-harbour--night .picture")
    assert opened.inner_text(".viewer .told") == ""
    assert not opened.locator(".slider").is_visible()


EARLIER = [make_pair("harbour--dusk", settings={"init": "gray", "tv_weight": 0.5})]


@pytest.mark.browser
@pytest.mark.parametrize("opened", [EARLIER], indirect=True)
def test_earlier_pairs_are_found_compared_and_not_asked_for(opened):
    opened.click("button[value=earlier]")
    assert visible(opened) == ["pair-harbour--dusk"]
    opened.click("button[value='']")
    opened.fill("input", "dusk")
    assert visible(opened) == ["pair-harbour--dusk"]
    opened.fill("input", "wave")
    assert not opened.locator("#earlier").is_visible()
    opened.fill("input", "")
    for name in ("night", "dusk"):
        opened.focus(f"#pair-harbour--{name} .picture")
        opened.keyboard.press("c")
        opened.keyboard.press("s")
    opened.click(".copy-ids")
    told = "Copied ids, for --only; 1 earlier picture is left out."
    comes_true(opened, f"document.querySelector('.shown').textContent === '{told}'")
    assert opened.evaluate("navigator.clipboard.readText()") == "harbour--night"
    opened.click("button.compare")
    comes_true(opened, "document.querySelectorAll('.result')[1].src.endsWith('/harbour--dusk.png')")
    opened.keyboard.press("Escape")
    opened.select_option(".axes .columns", "tv_weight")
    assert opened.locator(".cross thead th").all_inner_texts() == ["tv_weight", "0.5", "2"]
    assert opened.locator(".cross .card").count() == 4
    opened.select_option(".axes .columns", "")
    assert opened.locator(".left-over .card").count() == 1


@pytest.mark.browser
@pytest.mark.parametrize("opened", [EARLIER], indirect=True)
def test_picks_of_what_is_gone_are_not_counted(opened):
    opened.focus("#pair-harbour--night .picture")
    opened.keyboard.press("s")
    opened.evaluate("localStorage.setItem(pickKey, localStorage.getItem(pickKey).replace('night', 'gone'))")
    opened.reload()
    assert not opened.locator(".picks").is_visible()


@pytest.mark.browser
def test_cards_are_laid_out_by_what_varies(opened):
    assert opened.locator(".axes .rows option").all_inner_texts() == ["none", "init"]
    opened.select_option(".axes .columns", "init")
    assert opened.locator(".cross thead th").all_inner_texts() == ["init", "content", "gray"]
    assert opened.locator(".cross td").nth(1).locator(".card").get_attribute("id") == "pair-harbour--night"
    widths = "[...document.querySelectorAll('.cross td, .cross')].map(each => each.clientWidth)"
    whole, *cells = opened.evaluate(widths)
    assert sum(cells) > 0.8 * whole  # few columns are as wide as there is room
    opened.reload()
    assert opened.locator(".cross .card").count() == 3
    opened.select_option(".axes .columns", "")
    assert opened.locator(".sheet .card").count() == 3


@pytest.mark.browser
def test_a_sheet_in_a_bucket_is_read_from_there_by_a_browser(bucket, s3_endpoint, browser):
    """As from a bucket that serves web pages: page, pictures, stand-ins and records by their places beside it."""
    studio = Studio(bucket.url)
    pretend_all(studio.simple(format="tiff", defaults={**QUICK, "tv_weight": 8}))
    manifest = studio.manifest(
        {"id": "grün", "content": "in/a.png", "style": "in/b.png"},
        {"id": "tiff", "content": "in/a.png", "style": "in/b.png", "format": "tiff"},
    )
    pretend_all(manifest)
    ContactSheet(plan_manifest(manifest)).write({})
    for entry in bucket.client.list_objects_v2(Bucket=bucket.name)["Contents"]:
        bucket.client.put_object_acl(Bucket=bucket.name, Key=entry["Key"], ACL="public-read")
    tab, complaints = browser.new_page(), list[str]()
    tab.on("console", lambda message: complaints.append(message.text))
    tab.on("requestfailed", lambda request: complaints.append(request.url))
    tab.goto(f"{s3_endpoint}/{bucket.name}/out/demo/index.html")
    assert visible(tab) == ["pair-grün", "pair-tiff", "pair-a--b"]
    for name in ("grün", "tiff", "a--b"):
        tab.click(f"[id='pair-{name}'] .picture")
        comes_true(tab, "document.querySelector('.result').src.startsWith('http')")
        comes_true(tab, "document.querySelector('.before').naturalWidth === 48")
        assert tab.evaluate("document.querySelector('.result').naturalWidth") == 32
        tab.keyboard.press("Escape")
    record = tab.locator("[id='pair-grün'] .links a")
    assert tab.request.get(record.evaluate("link => link.href")).json()["id"] == "grün"
    tab.close()
    assert complaints == []


@pytest.mark.browser
def test_a_run_under_way_loads_itself_anew_and_keeps_the_place(browser, tmp_path):
    pairs = [make_pair(f"p{number}") for number in range(40)]
    pairs[30] = make_pair("p30", state="rendering", picture=None)
    picture = Preview(thumbnail(picture_file(size=(64, 48)), 480), 64, 48)

    def write(at: str) -> None:
        under_way = RunUnderWay(1.0, {"p30": PairUnderWay(at, 0.5, None, picture)}, 0.5)
        (tmp_path / "index.html").write_text(page(make_summary(*pairs), under_way=under_way), encoding="utf-8")

    write("scale 1")
    tab = browser.new_page()
    tab.goto((tmp_path / "index.html").as_uri())
    tab.focus("#pair-p30 .picture")
    tab.wait_for_timeout(300)
    before = tab.evaluate("document.activeElement.getBoundingClientRect().top")
    write("scale 2")
    tab.wait_for_selector("#pair-p30 .so-far:has-text('scale 2')")
    place = "document.activeElement.closest('#pair-p30')?.getBoundingClientRect().top"
    comes_true(tab, f"Math.abs({place} - {before}) < 3")
    tab.click("#pair-p30 .picture")
    write("scale 3")
    tab.wait_for_selector("#pair-p30 .so-far:has-text('scale 3')", state="attached")
    comes_true(tab, "document.querySelector('.viewer .place')?.textContent.startsWith('p30')")
    assert tab.evaluate("document.querySelector('.viewer').open")
    tab.close()
