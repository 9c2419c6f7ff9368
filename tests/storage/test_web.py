"""The web is read, and neither written nor listed."""

import gzip
import time

import pytest

from styletransfer import storage
from styletransfer.errors import StorageError
from styletransfer.storage import filesystems
from tests.storage.web_server import cut_short, hang_up


def test_the_web_is_read(web):
    web.answer["/a b.jpg"] = web.answer["/a%20b.jpg"] = (200, b"picture")
    url = f"{web.url}/a%20b.jpg?token=secret"
    assert storage.read(url) == b"picture"
    assert web.requests == ["GET /a%20b.jpg?token=secret"]
    assert storage.exists(url)
    assert storage.stat(url) == storage.Stat(7, '"e1"', None)
    assert storage.name(url) == "a b.jpg"
    with pytest.raises(StorageError, match="at most 3 are read here"):
        storage.read(url, limit_bytes=3)


@pytest.mark.parametrize(
    ("answer", "transient", "message"),
    [
        ((404, b""), False, "there is no such file; check the name"),
        ((403, b""), False, r"the server refuses access \(status 403\)"),
        ((418, b""), False, "the server answered with status 418"),
        ((503, b""), True, "the server answered with status 503; try again later"),
        ((429, b""), True, "the server answered with status 429"),
        (hang_up, True, "no connection"),
        (cut_short, True, "no connection"),
    ],
)
def test_web_errors_hide_the_query(web, answer, transient, message):
    web.answer["/w.pth"] = answer
    with pytest.raises(StorageError, match=message) as caught:
        storage.read(web.url.replace("://", "://user:password@") + "/w.pth?signature=s3cret")
    assert caught.value.transient is transient
    assert str(caught.value).startswith(f"cannot read {web.url}/w.pth: ")
    assert "s3cret" not in str(caught.value)
    assert "password" not in str(caught.value)


def test_the_web_is_neither_written_nor_listed(web):
    with pytest.raises(StorageError, match="web servers are only read from; write to a path or to s3://"):
        storage.write(f"{web.url}/a", b"")
    with pytest.raises(StorageError, match="web servers are only read from"):
        storage.delete(f"{web.url}/a")
    with pytest.raises(StorageError, match="a web server cannot be listed; name each file"):
        storage.glob(f"{web.url}/*.jpg")
    assert web.requests == []


# Answers that mean ill


def chunked(*headers):
    """An answer of 64 kB that doesn't tell its size."""

    def answer(handler):
        handler.send_response(200)
        for name, value in headers:
            handler.send_header(name, value)
        handler.end_headers()
        body = bytes(65536)
        handler.wfile.write(gzip.compress(body) if headers else body)
        handler.close_connection = True

    return answer


@pytest.mark.parametrize("headers", [(), [("Content-Encoding", "gzip")]], ids=["endless", "gzip"])
def test_an_answer_that_does_not_tell_its_size_has_a_bound_of_its_own(web, headers, monkeypatch):
    web.answer["/a"] = chunked(*headers)
    assert storage.read(f"{web.url}/a") == bytes(65536)
    monkeypatch.setattr("styletransfer.storage.web.UNTOLD_BYTES", 65535)
    with pytest.raises(StorageError, match=r"has 65,536 bytes or more; at most 65,535 are read here"):
        storage.read(f"{web.url}/a")


def test_what_is_packed_small_is_bounded_as_it_unfolds(web):
    bomb = gzip.compress(bytes(50_000_000))
    assert len(bomb) < 60_000
    web.answer["/a"] = lambda handler: packed(handler, bomb)
    with pytest.raises(StorageError, match="at most 1,000,000 are read here"):
        storage.read(f"{web.url}/a", limit_bytes=1_000_000)


def packed(handler, body):
    handler.send_response(200)
    handler.send_header("Content-Encoding", "gzip")
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def drip(handler, bytes_at_once=1, head=b""):
    """A byte every 10 ms, for a second at most."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n" + head)
    for _ in range(100):
        try:
            handler.wfile.write(b"x" * bytes_at_once)
        except OSError:
            return
        time.sleep(0.01)


def test_an_answer_that_drips_is_given_up(web, monkeypatch):
    monkeypatch.setattr(filesystems, "PATIENCE_S", 0.2)
    web.answer["/a"] = lambda handler: drip(handler, head=b"Content-Length: 100\r\n\r\n")
    with pytest.raises(StorageError, match=r"comes too slowly: .* must be at least 10,000") as caught:
        storage.read(f"{web.url}/a")
    assert caught.value.transient


def test_no_answer_takes_longer_than_so_long(web, monkeypatch):
    monkeypatch.setattr(filesystems, "FETCH_S", 0.2)
    web.answer["/a"] = lambda handler: drip(handler, 10_000, b"Content-Length: 1000000\r\n\r\n")
    with pytest.raises(StorageError, match="comes too slowly"):
        storage.read(f"{web.url}/a")


def test_an_answer_whose_head_drips_is_given_up(web, monkeypatch):
    monkeypatch.setattr(filesystems, "ANSWER_S", 0.2)
    web.answer["/a"] = lambda handler: drip(handler, head=b"X-Long: ")
    for look in (storage.read, storage.stat):
        with pytest.raises(StorageError, match="no answer in time") as caught:
            look(f"{web.url}/a")
        assert caught.value.transient


@pytest.mark.parametrize("text", ["Fri, 99 Foo 99999 99:99:99 GMT", "yesterday"])
def test_a_time_that_is_none_is_left_out(web, text):
    def answer(handler):
        handler.send_response(200)
        handler.send_header("Last-Modified", text)
        handler.send_header("Content-Length", "1")
        handler.end_headers()
        handler.wfile.write(b"a")

    web.answer["/a"] = answer
    assert storage.stat(f"{web.url}/a") == storage.Stat(1, None, None)
