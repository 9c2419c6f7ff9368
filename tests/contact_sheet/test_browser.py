"""The contact sheet as a browser shows it, by keys, clicks and links."""

import io
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image

from styletransfer.contact_sheet.page import PageParts, PairTexts, page
from styletransfer.contact_sheet.sheet import ContactSheet
from styletransfer.contact_sheet.under_way import PairUnderWay, Preview, RunUnderWay
from styletransfer.pictures.thumbnail import thumbnail
from styletransfer.planning.plan import plan_manifest
from styletransfer.records.records import SummaryInput
from tests.contact_sheet.pages import FORMER, comes_true, make_pair, make_summary, visible
from tests.studio import QUICK, Studio, picture_file, pretend_all


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
def test_masks_are_laid_over_the_picture_each_in_a_colour(browser, tmp_path):
    left, right, gray = (Image.new("L", (80, 20), shade) for shade in (0, 0, 128))
    left.paste(255, (0, 0, 40, 20))
    right.paste(255, (60, 0, 80, 20))
    pictures = zip("ablr", (gray, gray, left, right), strict=True)
    jpegs = {(letter * 64, 80): jpeg_of(picture) for letter, picture in pictures}
    one, other = (SummaryInput(url=f"/in/{name}.png", sha256=name[0] * 64) for name in ("left", "right"))
    styles = [
        SummaryInput(url=f"/in/{name}.png", sha256="b" * 64, weight=1, region=region)
        for name, region in (("wave", one), ("night", one), ("glass", other), ("oil", None))
    ]
    pair, plain = make_pair(styles=tuple(styles)), make_pair("plain")
    parts = PageParts({**jpegs, ("c" * 64, 480): jpeg_of(gray.resize((480, 120)))})
    (tmp_path / "index.html").write_text(page(make_summary(pair, plain), parts), encoding="utf-8")
    tab = browser.new_page(viewport={"width": 1000, "height": 700})
    tab.goto((tmp_path / "index.html").as_uri())
    tab.click("#pair-plain .picture")
    assert tab.is_disabled("[data-do=regions]")
    tab.keyboard.press("ArrowLeft")
    assert colours(tab) == ["gray"] * 3
    tab.keyboard.press("m")
    assert colours(tab) == ["red", "gray", "blue"]
    assert tab.locator(".pane i").all_inner_texts() == ["wave.png + night.png", "glass.png"]
    tab.keyboard.press("m")
    assert colours(tab) == ["gray"] * 3
    assert not tab.is_visible(".pane i")
    tab.close()


def jpeg_of(image):
    file = io.BytesIO()
    image.save(file, "JPEG")
    return file.getvalue()


def colours(tab):
    """What is seen at a quarter, three fifths and nine tenths of the picture's width."""
    box = tab.locator(".result").bounding_box()
    shot = Image.open(io.BytesIO(tab.screenshot())).convert("RGB")
    found = []
    for fraction in (0.25, 0.6, 0.9):
        x, y = round(box["x"] + fraction * box["width"]), round(box["y"] + box["height"] / 2)
        pixel = shot.crop((x, y, x + 1, y + 1)).tobytes()
        named = dict(zip(("red", "green", "blue"), pixel, strict=True))
        as_it_was = all(abs(value - 128) < 20 for value in pixel)
        found.append("gray" if as_it_was else max(named, key=lambda name: named[name]))
    return found


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
