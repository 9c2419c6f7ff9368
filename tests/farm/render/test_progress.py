"""What the dashboard is told of a run: seldom, from a thread of its own, and never at a render's cost."""

import base64
import io
import json
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from typing import Any, cast
from uuid import uuid4

import pytest
import torch
from PIL import Image

from flows.farm import artifacts
from flows.farm.artifacts import Artifacts, Content
from flows.farm.driver.pairs_table import PairsTable, link, table
from flows.farm.render.progress import PREVIEW_BYTES, RenderProgress, preview
from flows.pairs.listeners import Result
from styletransfer import storage
from styletransfer.machine.devices import Slot
from styletransfer.renders.plan import plan_manifest
from styletransfer.renders.summary import Outcome, summarise
from tests.studio import pretend_all

CPU = Slot(("cpu",))


class Clock:
    """Time as a test tells it."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


class Published:
    """Stands for `Artifacts`: what is published, made at once."""

    every_s = 5.0

    def __init__(self):
        self.contents = []

    def publish(self, name, make):
        self.contents.append((name, make()))

    def __enter__(self):
        return self

    def close(self, wait_s=0):
        pass

    def last(self, name):
        return [content for published, content in self.contents if published == name][-1]


class Progress:
    """A progress that counts how often the device is waited for."""

    def __init__(self, scale_index, iteration, seconds):
        self.scales, self.scale_index, self.scale = (23, 32), scale_index, (23, 32)[scale_index]
        self.iteration, self.iterations, self.seconds = iteration, 100, seconds
        self.fraction = (100 * scale_index + iteration) / 200
        self.syncs = []

    def losses(self):
        self.syncs.append("losses")
        return {"total": 0.01234}

    def image(self):
        self.syncs.append("image")
        return torch.rand(1, 3, 24, 32)

    def peak_memory(self):
        return 3_100_000_000


def board_of(studio, names=("one",)):
    """A board of these pairs, with its clock and what it publishes."""
    studio.picture("a.png")
    plan = plan_manifest(studio.manifest(*({"id": name, "content": "a.png", "style": "a.png"} for name in names)))
    clock, published = Clock(), Published()
    board = RenderProgress(plan.pairs, 1, cast(Any, published), clock)
    return board, plan.pairs, clock, published


def test_the_device_is_waited_for_only_when_something_is_due(studio):
    board, (pair,), clock, published = board_of(studio)
    board.started(pair, CPU)
    syncs = []
    for iteration in range(1, 101):  # of a second each
        clock.now += 1
        progress = Progress(0, iteration, clock.now)
        board.progress(pair, progress)
        syncs += [(clock.now, sync) for sync in progress.syncs]
    times = [now for now, _ in syncs]
    assert min(later - now for now, later in pairwise(times)) >= 5
    assert [now for now, sync in syncs if sync == "image"] == [10, 40, 70, 100]
    assert [name for name, _ in published.contents][:3] == ["progress", "preview", "progress"]


def test_figures_are_of_the_scale_in_hand(studio):
    board, (pair,), clock, published = board_of(studio)
    board.started(pair, CPU)
    clock.now = 5
    board.progress(pair, Progress(0, 10, 5.0))
    told = published.last("progress")
    assert (told.type, told.data) == ("progress", 5.0)
    where = "23 px (scale 1 of 2), iteration 10 of 100"
    assert told.description == f"5 %, 1:35 left; one: {where}, 2.0 it/s, loss 0.01234, 3.1 GB"
    clock.now = 11
    board.progress(pair, Progress(0, 100, 11.0))  # the preview's turn
    clock.now = 13
    board.progress(pair, Progress(1, 1, 13.0))  # nothing is due, but the scale is new
    clock.now = 17
    board.progress(pair, Progress(1, 41, 17.0))
    assert "iteration 41 of 100, 10.0 it/s" in published.last("progress").description


def test_a_group_tells_how_many_of_its_pairs_are_done(studio):
    board, (one, two), clock, published = board_of(studio, ["one", "two"])
    board.started(one, CPU)
    clock.now = 60
    board.finished(one, Outcome("done"))
    board.started(two, CPU)
    clock.now = 90
    board.progress(two, Progress(0, 100, 30.0))  # the preview's turn
    clock.now = 96
    board.progress(two, Progress(1, 1, 36.0))
    assert re.match(r"75 %, 0:\d\d left, 1 of 2 pairs done; two: 32 px", published.last("progress").description)
    board.finished(two, Outcome("held"))
    board.__exit__(None, None, None)
    assert published.last("progress").description == "75 % after 1:36, 1 of 2 pairs done"


@pytest.mark.parametrize("size", [(32, 24), (300, 900), (2000, 1500)])
def test_a_preview_stays_small_however_noisy_the_picture(size):
    content = preview(torch.rand(1, 3, *size[::-1]), "one: 512 px")
    assert len(content.description) <= PREVIEW_BYTES
    jpeg = base64.b64decode(content.description.partition("base64,")[2].removesuffix(")"))
    shown = Image.open(io.BytesIO(jpeg))
    assert max(shown.size) >= min(96, *size)
    assert shown.width / shown.height == pytest.approx(size[0] / size[1], rel=0.05)


# The thread that writes


class Api(BaseHTTPRequestHandler):
    """Prefect's API as far as artifacts go. `calls` has time, method and body of each; `broken` answers 500."""

    protocol_version = "HTTP/1.1"
    server: Any

    def answer(self):
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
        self.server.calls.append((time.monotonic(), self.command, self.path, body))
        self.server.release.wait(10)
        contents = json.dumps({"id": str(uuid4())}).encode()
        self.send_response(500 if self.server.broken else 201)
        self.send_header("Content-Length", str(len(contents)))
        self.end_headers()
        self.wfile.write(contents)

    do_POST = do_PATCH = answer  # noqa: N815

    def log_message(self, format, *args):  # noqa: A002
        pass


@pytest.fixture
def api():
    from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_CSRF_SUPPORT_ENABLED, temporary_settings

    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    server.daemon_threads = True
    server.calls, server.broken, server.release = [], False, threading.Event()  # type: ignore[attr-defined]
    server.release.set()  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/api"
    with temporary_settings({PREFECT_API_URL: address, PREFECT_CLIENT_CSRF_SUPPORT_ENABLED: False}):
        yield server
    server.shutdown()
    server.server_close()


def wait_until(condition):
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def text(number):
    return lambda: Content("markdown", str(number))


def test_each_artifact_is_made_once_and_then_updated_and_only_the_latest_counts(api):
    run, began = str(uuid4()), time.monotonic()
    with Artifacts(run, every_s=0.3) as shown:
        for number in range(20):
            shown.publish("one", text(number))
            shown.publish("two", text(-number))
            time.sleep(0.05)
    took = time.monotonic() - began
    methods = [method for _, method, _, _ in api.calls]
    assert methods[:2] == ["POST", "POST"]
    assert set(methods[2:]) == {"PATCH"}
    assert [body["key"] for _, method, _, body in api.calls if method == "POST"] == ["nst-one", "nst-two"]
    assert {body["flow_run_id"] for _, method, _, body in api.calls if method == "POST"} == {run}
    assert {body["data"] for _, _, _, body in api.calls[-2:]} == {"19", "-19"}
    assert (len(api.calls) - 3) * 0.3 <= took  # the first comes at once, and the last two don't wait


def test_nobody_waits_for_a_server_that_does_not_answer(api, monkeypatch):
    monkeypatch.setattr(artifacts, "CLOSE_S", 0.2)
    api.release.clear()  # it answers after ten seconds
    began = time.monotonic()
    shown = Artifacts(str(uuid4()), every_s=0.1)
    with shown:
        for number in range(100):
            shown.publish("one", text(number))
        shown.close(0.2)
    assert time.monotonic() - began < 8
    api.release.set()


def test_a_server_in_trouble_costs_one_warning(api, monkeypatch, caplog):
    monkeypatch.setattr(artifacts, "AWAY_S", 0.1)
    api.broken = True
    with Artifacts(str(uuid4()), every_s=0.1) as shown:
        for number in range(3):
            shown.publish("one", text(number))
            wait_until(lambda number=number: len(api.calls) > number)
        api.broken = False
        shown.publish("one", text("mended"))
    assert sum("not kept up to date" in record.message for record in caplog.records) == 1
    assert api.calls[-1][3]["data"] == "mended"


def test_the_last_words_are_tried_again(api, monkeypatch):
    monkeypatch.setattr(artifacts, "_PAUSE_S", 0.1)
    api.broken = True
    shown = Artifacts(str(uuid4()))
    shown.publish("one", text("last"))

    def mend_after_a_try() -> None:
        wait_until(lambda: api.calls)
        api.broken = False

    threading.Thread(target=mend_after_a_try, daemon=True).start()
    with shown:
        shown.close(20)
    assert len(api.calls) > 1
    assert api.calls[-1][3]["data"] == "last"


# A driver's


def test_the_table_puts_first_what_may_need_somebody(studio):
    names = ("done", "skipped", "failed", "waits", "renders")
    studio.picture("a.png")
    manifest = studio.manifest(*({"id": name, "content": "a.png", "style": "a.png"} for name in names))
    records = {record.id: record for record in pretend_all(manifest)}
    for name in ("failed", "waits", "renders", "done"):
        storage.delete(studio.url(f"out/demo/{name}.json"))
    plan = plan_manifest(manifest)
    outcomes = {
        "done": Outcome("done", record=records["done"]),
        "failed": Outcome("failed", "too hot"),
        "renders": Outcome("rendering", "alpha gpu0"),
    }
    content = table(plan, outcomes, {"done": "1234", "renders": "5678"})
    rows = json.loads(str(content.data))
    assert [row["pair"] for row in rows] == ["failed", "renders", "waits", "done", "skipped"]
    assert [row["state"] for row in rows] == ["failed", "rendering", "queued", "done", "skipped"]
    assert rows[0]["remark"] == "too hot"
    assert rows[1]["run"] == "[run](/runs/flow-run/5678)"
    assert (rows[3]["time"], rows[3]["picture"]) == ("1.5 s", f"[done.png](file://{studio.url('out/demo/done.png')})")
    assert content.description.startswith("2 of 5 done, 1 failed, 1 rendering, 1 queued; contact sheet: ")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://studio.example/a.png?X-Amz-Signature=1", "[a.png](https://studio.example/a.png)"),
        ("s3://studio/out/a.png", "s3://studio/out/a.png"),
        ("/out/with space.png", "[a.png](file:///out/with%20space.png)"),
    ],
)
def test_links_are_those_that_a_browser_can_follow(url, shown):
    assert link("a.png", url) == shown


def test_a_driver_shows_its_pairs_seldom_and_its_pictures_at_the_end(studio):
    studio.picture("a.png")
    manifest = studio.manifest(*({"id": f"p{n}", "content": "a.png", "style": "a.png"} for n in range(6)))
    clock, published = Clock(), Published()
    with PairsTable(cast(Any, published), clock) as board:
        board.live_runs = lambda: {"p0": "1234"}
        board.planned(plan_manifest(manifest))
        for _ in range(10):
            board.states({})
            clock.now += 1
        assert len(published.contents) == 2
        pretend_all(manifest)
        plan = plan_manifest(manifest)
        summary = summarise(plan, {}, {}, pretend_all(manifest)[0].started)
        board.ended(Result.of(plan, summary))
    grid = published.last("pictures")
    assert len(re.findall(r"!\[p\d\]\(data:image/jpeg;base64,", grid.data)) == 6
    assert "6 skipped" in grid.description
    assert json.loads(published.last("pairs").data)[0]["run"] == "[run](/runs/flow-run/1234)"
