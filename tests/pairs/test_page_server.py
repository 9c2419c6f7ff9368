"""The server of pages: what it gives, to whom, and that it ends."""

import http.client
import threading
import time
from pathlib import Path

import pytest

from flows.pairs import page_server
from flows.pairs.page_server import PageServer, folder_reader


@pytest.fixture
def server(studio):
    studio.put("out/demo/index.html", b"<p>the sheet")
    studio.put("out/demo/a--b.png", b"a picture")
    studio.put("out/demo/.thumbnails/x-1600.jpg", b"a content")
    studio.put("out/demo/.checkpoints/a.safetensors", b"a state")
    studio.put("out/demo/notes.html", b"<p>somebody's")
    studio.put("out/secret.png", b"secret")
    Path(studio.url("out/demo/linked.png")).symlink_to(studio.url("out/secret.png"))
    with PageServer(folder_reader(studio.url("out/demo"))) as server:
        yield server


def ask(server, name, *, token=None, host=None, method="GET"):
    """Status, headers and body."""
    connection = http.client.HTTPConnection(server.host, timeout=30)
    connection.request(method, f"/{token or server.token}/{name}", headers={"Host": host or server.host})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, answer.headers, body


@pytest.mark.parametrize(
    ("name", "kind", "body"),
    [
        ("index.html", "text/html; charset=utf-8", b"<p>the sheet"),
        ("a--b.png", "image/png", b"a picture"),
        (".thumbnails/x-1600.jpg", "image/jpeg", b"a content"),
    ],
)
def test_pages_and_pictures_are_there(server, name, kind, body):
    status, headers, found = ask(server, name)
    assert (status, headers["Content-Type"], found) == (200, kind, body)
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert ask(server, name, method="HEAD")[::2] == (200, b"")


@pytest.mark.parametrize(
    "name",
    [
        "", "../secret.png", "..%2fsecret.png", "%2e%2e/secret.png", ".thumbnails/../../secret.png", "linked.png",
        "/etc/passwd", "notes.html", ".checkpoints/a.safetensors", "gone.png", "a--b.png%00", "..\\secret.png",
        ".thumbnails/%2e%2e/%2e%2e/secret.png", "//secret.png",
    ],
)  # fmt: skip
def test_nothing_else_is(server, name):
    status, _, body = ask(server, name)
    assert status == 404
    assert b"secret" not in body


def test_only_who_knows_the_address_is_answered(server):
    assert ask(server, "index.html", token="guessed")[0] == 404
    assert ask(server, "index.html", host="evil.example")[0] == 403
    assert ask(server, "index.html", host=server.host.replace("127.0.0.1", "evil.example"))[0] == 403
    assert server.url == f"http://{server.host}/{server.token}/index.html"
    assert len(server.token) >= 20


def test_it_listens_on_this_machine_alone(server):
    assert server.host.startswith("127.0.0.1:")


def test_it_ends_with_its_block_and_lets_who_watches_see_the_end(monkeypatch):
    monkeypatch.setattr(page_server, "LAST_LOOK_S", 20.0)
    pages = [b"under way"]
    with PageServer(lambda _: pages[0]) as server:
        assert ask(server, "index.html")[2] == b"under way"
        pages[0] = b"over"
        last = []
        later = threading.Timer(1.0, lambda: last.append(ask(server, "index.html")[2]))
        later.start()
        began = time.monotonic()
    assert last == [b"over"]
    assert time.monotonic() - began < 15
    with pytest.raises(OSError):  # noqa: PT011
        ask(server, "index.html")


def test_no_connection_outlives_it():
    with PageServer(lambda _: b"") as server:
        connection = http.client.HTTPConnection(server.host, timeout=30)
        connection.request("HEAD", f"/{server.token}/index.html", headers={"Connection": "keep-alive"})
        answer = connection.getresponse()
        answer.read()
        assert answer.will_close
        connection.close()


def test_it_ends_at_once_if_nobody_watches_or_an_error_ends_it():
    began = time.monotonic()
    with PageServer(lambda _: b""):
        pass
    with pytest.raises(KeyError), PageServer(lambda _: b"x") as server:  # noqa: PT012
        ask(server, "index.html")
        raise KeyError
    assert time.monotonic() - began < 10


def test_an_invitation_leads_to_the_first_page_once_and_by_the_servers_own_name(server):
    name = server.invitation().rpartition("/")[2]
    connection = http.client.HTTPConnection(server.host, timeout=30)

    def status(method="GET", host=server.host):
        connection.request(method, f"/{name}", headers={"Host": host})
        answer = connection.getresponse()
        answer.read()
        return answer.status, answer.headers["Location"]

    assert status(host="evil.example") == (403, None)
    assert status("HEAD") == (404, None)
    assert status() == (303, server.url)
    assert status() == (404, None)
