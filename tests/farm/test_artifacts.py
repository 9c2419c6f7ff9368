"""Artifacts go to the dashboard from a thread of their own: seldom, the latest only, and at nobody's cost."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

import pytest

from flows.farm import artifacts
from flows.farm.artifacts import Artifacts, Content


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
