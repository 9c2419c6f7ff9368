"""The contact sheet: self-contained, safe, honest about failures, and quick to write again."""

import base64
import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from styletransfer import storage
from styletransfer.pictures.thumbnail import thumbnail
from styletransfer.renders.contact_sheet import MANY, ContactSheet, Pictures, duration, page
from styletransfer.renders.output_places import PAIRS_A_PAGE
from styletransfer.renders.pair import store
from styletransfer.renders.plan import plan_manifest
from styletransfer.renders.records import Summary, SummaryInput, SummaryPair
from styletransfer.renders.summary import Outcome
from tests.studio import Studio, picture_file, pretend_all, pretend_rendered

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


def make_page(*pairs: SummaryPair, pictures: Pictures | None = None, **changes: Any) -> Page:
    return Page(page(make_summary(*pairs, **changes), pictures or Pictures()))


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


# What it shows


def test_a_finished_pair_links_to_its_picture_with_a_preview():
    pictures = Pictures({("c" * 64, 480): thumbnail(picture_file(size=(640, 480)), 480)})
    sheet = make_page(make_pair(), pictures=pictures)
    (link,) = sheet.find("a")
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
    assert [button["value"] for button in sheet.find("button")] == ["", "done", "skipped"]
    assert "Done 2" in sheet.text
    assert "Done before 1" in sheet.text


def test_settings_that_differ_are_shown_as_they_would_be_written():
    settings = {"end_scale": "512+", "tv_weight": 2.0, "trace": True, "style_layers": {"relu1_1": 256.0}}
    sheet = make_page(make_pair(settings=settings), make_pair("plain"))
    for text in ("end_scale 512+", "tv_weight 2", "trace true", "style_layers relu1_1: 256"):
        assert text in sheet.text
    assert len(sheet.find("ul", **{"class": "settings"})) == 1


def test_a_blend_shows_the_share_of_each_style():
    styles = (SummaryInput(url="/in/b.png", weight=3), SummaryInput(url="/in/c.png", weight=1))
    assert "a.png in the style of b.png 75% + c.png 25%" in make_page(make_pair(styles=styles)).text


@pytest.mark.parametrize(("known", "thumbs"), [("ab", 2), ("a", 0), ("b", 0)])
def test_inputs_are_shown_together_or_not_at_all(known, thumbs):
    """A pair not yet rendered may share a style with one that is; half of its inputs would mislead."""
    pictures = Pictures({(letter * 64, 80): picture_file(kind="JPEG") for letter in known})
    sheet = make_page(make_pair(), pictures=pictures)
    assert sum(has.get("class", "").startswith("thumb ") for has in sheet.find("span")) == thumbs


def test_the_search_finds_id_pictures_settings_and_reasons():
    pair = make_pair("Bridge", state="failed", reason="Too HOT", picture=None, settings={"init": "gray"})
    (card,) = make_page(pair).cards()
    assert all(word in card["data-find"] for word in ("bridge", "a.png", "b.png", "init gray", "too hot"))


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


@pytest.mark.parametrize("picture", ["one.png", "../../in/b.png"])
def test_nothing_is_fetched_that_only_a_former_summary_names(studio, web, picture):
    studio.simple()
    pair = {"content": "in/a.png", "style": "in/b.png"}
    manifest = studio.manifest({"id": "one", **pair}, {"id": "two", **pair})
    pretend_all(manifest)
    ContactSheet(plan_manifest(manifest)).write({})
    summary = json.loads(studio.read("out/demo/summary.json"))
    shutil.rmtree(studio.url("out/demo/.thumbnails"))
    one = summary["pairs"][0]
    one["content"] |= {"url": f"{web.url}/a.png", "sha256": "0" * 64}
    one |= {"picture": picture, "sha256": hashlib.sha256(studio.read("in/b.png")).hexdigest()}
    studio.put("out/demo/summary.json", json.dumps(summary).encode())
    ContactSheet(plan_manifest(manifest, only=["two"])).write({})
    assert web.requests == []
    assert len(written(studio).find("img")) == 1


def test_many_pairs_get_small_thumbnails():
    pairs = [make_pair(f"p{number}") for number in range(MANY + 1)]
    pictures = Pictures({("c" * 64, 200): thumbnail(picture_file(size=(640, 480)), 200)}, 200)
    sheet = make_page(*pairs, pictures=pictures)
    assert sheet.find("body", **{"class": "many"})
    assert {image["width"] for image in sheet.find("img")} == {"200"}


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
    first, second = (Page(page(summary, Pictures(), number)) for number in (1, 2))
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


@pytest.fixture
def opened(browser, tmp_path) -> Iterator[Any]:
    """A sheet of three pairs, opened from the disk; whatever the browser complains about fails the test."""
    pairs = (
        make_pair("harbour--wave"),
        make_pair("harbour--night", settings={"init": "gray"}),
        make_pair("tower--wave", state="failed", reason="too hot", picture=None),
    )
    result, small = thumbnail(picture_file(size=(640, 480)), 480), picture_file(kind="JPEG")
    pictures = Pictures({("c" * 64, 480): result, ("a" * 64, 80): small, ("b" * 64, 80): small})
    (tmp_path / "index.html").write_text(page(make_summary(*pairs), pictures), encoding="utf-8")
    tab, complaints, requests = browser.new_page(), list[str](), list[str]()
    tab.on("console", lambda message: complaints.append(message.text))
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on("request", lambda request: requests.append(request.url))
    tab.goto((tmp_path / "index.html").as_uri())
    yield tab
    tab.close()
    assert complaints == []
    assert [url for url in requests if not url.startswith(("data:", "file:"))] == []


def visible(tab: Any) -> list[str]:
    return [card.get_attribute("id") for card in tab.query_selector_all(".card") if card.is_visible()]


@pytest.mark.browser
def test_previews_are_drawn(opened):
    opened.wait_for_function("document.querySelector('.picture img').complete")
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
