"""`--watch` and `--open`: the page of renders under way, in a browser."""

import json
import os
import re
import subprocess
import sys
import urllib.request
import webbrowser
from pathlib import Path
from types import SimpleNamespace

import pytest

from flows.commands import watching
from styletransfer.planning.plan import plan_manifest
from tests.checkout import ROOT
from tests.studio import SHALLOW, Studio, pretend_all
from tests.waiting import until


@pytest.fixture
def opened(monkeypatch):
    """Addresses that a browser was to open."""
    addresses: list[str] = []
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(webbrowser, "open", addresses.append)
    return addresses


@pytest.fixture
def lines():
    said: list[str] = []
    return SimpleNamespace(said=said, say=said.append, note=said.append)


def get(url):
    return urllib.request.urlopen(url, timeout=30).read().decode()


def test_what_is_to_be_rendered_is_served_for_the_block(studio, opened, lines):
    plan = plan_manifest(studio.simple())
    with watching.sheet_shown(plan, lines, watch=True):
        (said,) = lines.said
        url = said.removeprefix("watch: ")
        until(lambda: opened, "the browser", 30)
        assert url.split("/")[3] not in opened[0]  # which stands on the browser's command line
        answer = urllib.request.urlopen(opened[0], timeout=30)
        assert (answer.status, answer.url) == (200, url)


def test_what_is_done_is_opened_from_the_disk(studio, opened, lines):
    pretend_all(studio.simple())
    plan = plan_manifest(studio.simple())
    with watching.sheet_shown(plan, lines, watch=True):
        assert "data-reload-s" not in Path(plan.places.index).read_text("utf-8").partition("<script>")[0]
    until(lambda: opened == [Path(plan.places.index).as_uri()], "the browser", 30)
    assert lines.said == []


def test_a_sheet_in_a_bucket_is_not_opened(bucket, opened, lines):
    plan = plan_manifest(Studio(bucket.url).simple())
    with watching.sheet_shown(plan, lines, watch=False):
        pass
    assert opened == []
    assert "is not on a disk of this machine" in lines.said[0]


def test_no_browser_of_a_terminal_is_started(monkeypatch, opened):
    monkeypatch.delenv("DISPLAY")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    watching.open_browser("http://127.0.0.1/")
    assert opened == []


@pytest.mark.slow
@pytest.mark.parametrize("command", ["image", "render"])
def test_a_render_is_seen_from_its_beginning_to_its_end(studio, command):
    studio.simple()
    studio.picture("in/mask.png", 3)
    studio.put("demo.yaml", manifest_text({**SHALLOW, "initial_iterations": 50}))
    rest = ["--content-layers", "relu2_1", "--style-layers", "relu1_1=1", "relu2_1=1", "--keep", "in/mask.png"]
    arguments = {
        "render": ["demo.yaml"],
        "image": ["in/a.png", "in/b.png", "-o", "a.png", "--weights", "random", "-s", "64", "-ii", "100", *rest],
    }[command]
    started = subprocess.Popen(
        [sys.executable, "-m", "flows.commands.main", command, *arguments, "--watch"],
        cwd=studio.root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment(),
    )  # fmt: skip
    assert started.stdout is not None
    try:
        line = next(line for line in started.stdout if line.startswith("watch: "))
        url = line.removeprefix("watch: ").strip()
        if command == "image":
            page = until(lambda: shows_picture(get(url)), "a picture so far", 120)
            assert " left</p>" in page
            assert 'data-region="kept"' in page
        else:
            assert not is_over(get(url))
        last = until(lambda: is_over(get(url)), "the end", 120)
        assert re.search(r'class="card done"', last)
        assert started.wait(60) == 0
    finally:
        started.kill()
        started.stdout.close()
        started.wait()


def shows_picture(html):
    return html if "scale 1 of" in html or "scale 2 of" in html else None


def is_over(html):
    return html if "data-reload-s" not in html.partition("<script>")[0] else None


def manifest_text(settings):
    head = {"version": 1, "output": "out", "weights": "random", "defaults": settings}
    return json.dumps({**head, "pairs": [{"content": "in/a.png", "style": "in/b.png"}]}).encode()


def environment():
    kept = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "NO_PROXY": "127.0.0.1"}
