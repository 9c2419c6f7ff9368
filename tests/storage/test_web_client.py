"""Redirects: followed, but never from a public host into a network that only this host is in.

The server's address, 127.0.0.1, plays a public one here, and 127.0.0.2 one that is not.
"""

import socket

import pytest

from styletransfer import storage
from styletransfer.errors import StorageError
from styletransfer.storage import web_client

LOOK_UP = socket.getaddrinfo


@pytest.fixture
def names(monkeypatch):
    """Addresses of names that a test makes up, one after the other; the last one stays."""
    known: dict[str, list[str]] = {}

    def look_up(host, *arguments, **options):
        if found := known.get(host):
            host = found.pop(0) if len(found) > 1 else found[0]
        return LOOK_UP(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(web_client, "is_public", lambda host: host != "127.0.0.2")
    monkeypatch.setenv("NO_PROXY", "*")
    return known


def leading_to(location):
    def answer(handler):
        handler.send_response(302)
        handler.send_header("Location", location)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def test_redirects_are_followed_and_hosts_told_only_their_own_credentials(web, names):
    heads = []

    def file(handler):
        heads.append(handler.headers.get("Authorization"))
        handler.send_response(200)
        handler.send_header("Content-Length", "4")
        handler.end_headers()
        handler.wfile.write(b"file")

    names["other.example"] = ["127.0.0.1"]
    web.answer |= {"/a": leading_to("/b"), "/b": file}
    web.answer["/c"] = leading_to(web.url.replace("127.0.0.1", "other.example") + "/b")
    mine = web.url.replace("//", "//me:pw@")
    assert storage.read(f"{mine}/a") == storage.read(f"{mine}/c") == b"file"
    assert heads == ["Basic bWU6cHc=", None]


def test_a_circle_of_redirects_ends(web, names):
    web.answer["/a"] = leading_to("/a")
    with pytest.raises(StorageError, match="it is redirected more than 10 times"):
        storage.read(f"{web.url}/a")


@pytest.mark.parametrize("location", ["ftp://other/a", "file:///etc/passwd", "http:///a"])
def test_redirects_lead_to_the_web_only(web, names, location):
    web.answer["/a"] = leading_to(location)
    with pytest.raises(StorageError):
        storage.read(f"{web.url}/a")


@pytest.mark.parametrize("host", ["127.0.0.2", "inside.example"])
@pytest.mark.parametrize("look", [storage.read, storage.stat, storage.exists])
def test_a_public_host_leads_nowhere_inside(web, names, host, look):
    names["inside.example"] = ["127.0.0.2"]
    web.answer["/a"] = leading_to(f"http://{host}:1/b")
    with pytest.raises(StorageError, match=f"it is redirected to {host}, which is no public address") as caught:
        look(f"{web.url}/a")
    assert not caught.value.transient


def test_a_host_inside_is_read_and_may_lead_to_others_there(web, names, monkeypatch):
    monkeypatch.setattr(web_client, "is_public", lambda host: host != "127.0.0.1")
    names["nas.example"] = names["store.example"] = ["127.0.0.1"]
    port = web.server.server_port
    web.answer |= {"/a": leading_to(f"http://store.example:{port}/b"), "/b": (200, b"file")}
    assert storage.read(f"http://nas.example:{port}/a") == b"file"
    assert storage.read(f"{web.url}/a") == b"file"


def test_a_name_that_leads_elsewhere_the_next_moment_wins_nothing(web, names):
    port = web.server.server_port
    names["evil.example"] = ["127.0.0.1", "127.0.0.2"]
    web.answer |= {"/a": leading_to(f"http://evil.example:{port}/b"), "/b": (200, b"from the same server")}
    assert storage.read(f"http://evil.example:{port}/a") == b"from the same server"


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("example.org", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.0.1", False),
        ("100.64.0.1", False),
        ("169.254.169.254", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("::", False),
        ("fe80::1%eth0", False),
        ("fd00:ec2::254", False),
        ("::ffff:127.0.0.1", False),
    ],
)
def test_what_is_public(address, public):
    assert web_client.is_public(address) is public
