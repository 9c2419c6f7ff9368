"""Steps that use the network are tried again, where that can help, and render nothing again."""

import threading
from collections import Counter
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import urlsplit

import pytest

from tests.pairs.demo import states, write_manifest
from tests.studio import Studio

pytestmark = pytest.mark.slow


class Unreliable(BaseHTTPRequestHandler):
    """A proxy before an S3 server: `answers` are the statuses of the next PUTs of pictures."""

    protocol_version = "HTTP/1.1"
    target = ""
    answers: ClassVar[list[int]] = []
    puts: ClassVar[Counter] = Counter()

    def forward(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        picture = self.command == "PUT" and self.path.endswith(".png")
        if picture:
            self.puts[self.path] += 1
        if picture and self.answers:
            self.send_response(self.answers.pop(0))
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        connection = HTTPConnection(self.target)
        connection.request(self.command, self.path, body, dict(self.headers))
        answer = connection.getresponse()
        contents = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "transfer-encoding", "content-length", "date", "server"):
                self.send_header(name, value)
        self.send_header("Content-Length", answer.headers.get("Content-Length", str(len(contents))))
        self.end_headers()
        self.wfile.write(contents)
        connection.close()

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = forward  # noqa: N815

    def log_message(self, format, *args):  # noqa: A002
        pass


@pytest.fixture
def unreliable(bucket, s3_endpoint, monkeypatch):
    """The bucket, through a proxy that fails as `Unreliable.answers` say."""
    Unreliable.target = urlsplit(s3_endpoint).netloc
    Unreliable.answers.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Unreliable)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
    yield Studio(bucket.url)
    server.shutdown()
    server.server_close()


@pytest.fixture
def on_s3(unreliable):
    unreliable.picture("in/a.png", 1)
    unreliable.picture("in/b.png", 2)
    Unreliable.puts.clear()
    return write_manifest(unreliable, {"id": "one", "content": "in/a.png", "style": "in/b.png"})


def stylized(caplog):
    return sum("one: stylize: on cpu" in record.getMessage() for record in caplog.records)


def test_trying_a_store_again_renders_nothing_again(flow, unreliable, on_s3, caplog):
    """6 times unavailable: that is twice more than the S3 client bears by itself."""
    Unreliable.answers[:] = [503] * 6
    state = flow(on_s3, return_state=True)
    assert (state.is_completed(), state.message) == (True, "1 done")
    assert sum(Unreliable.puts.values()) == 7
    assert stylized(caplog) == 1
    assert "store one: cannot write" in caplog.text
    assert caplog.text.count("; trying again") == 2
    assert states(unreliable) == {"one": "done"}


def test_what_will_not_get_better_is_not_tried_again(flow, unreliable, on_s3, caplog):
    Unreliable.answers[:] = [403] * 100
    state = flow(on_s3, return_state=True)
    assert state.is_failed()
    assert "one: cannot write" in state.message
    assert sum(Unreliable.puts.values()) == 1
    assert "trying again" not in caplog.text
    assert states(unreliable) == {"one": "failed"}
