"""A page of the contact sheet: self-contained, safe, honest about failures."""

import base64
import hashlib
import json

import pytest

from styletransfer.contact_sheet.page import MANY, PageParts, duration, page
from styletransfer.contact_sheet.under_way import PairUnderWay, Preview, RunUnderWay
from styletransfer.pictures.thumbnail import thumbnail
from styletransfer.records.output_places import PAIRS_A_PAGE
from styletransfer.records.records import SummaryInput
from tests.contact_sheet.pages import FORMER, Page, make_page, make_pair, make_summary
from tests.studio import picture_file


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
    masks = [has for has in sheet.find("span") if "thumb mask" in has.get("class", "")]
    assert [has.get("data-region") for has in masks] == ["kept", "b.png", "c.png", None]


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


def test_many_pairs_get_small_thumbnails():
    pairs = [make_pair(f"p{number}") for number in range(MANY + 1)]
    pictures = PageParts({("c" * 64, 200): thumbnail(picture_file(size=(640, 480)), 200)}, 200)
    sheet = make_page(*pairs, pictures=pictures)
    assert sheet.find("body", **{"class": "many"})
    assert {image["width"] for image in sheet.find("img")} == {"200"}


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
