"""Which requests pass the guard before a server, by the two headers that no web page can set."""

import asyncio

import httpx
import pytest

from flows.server.host_guard import LOOPBACK, HostGuard, names_with, own_origins

NAMES = names_with("https://farm.example/api")


async def inside(scope, receive, send):
    """What is behind the guard."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
    else:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": b"inside"})


async def nothing(*_):
    """Is never called."""
    raise AssertionError


def sent(kind, headers):
    """What is answered to a request with these headers."""
    said = []

    async def send(message):
        said.append(message)

    scope = {"type": kind, "headers": [(name.encode(), value.encode()) for name, value in headers]}
    asyncio.run(HostGuard(inside, NAMES)(scope, nothing, send))
    return said


PASS = [
    ("127.0.0.1:4200", None),
    ("localhost:4200", None),
    ("LOCALHOST:4200", None),
    ("localhost", None),
    ("127.0.0.1:4200", "http://127.0.0.1:4200"),
    ("127.0.0.1:4200", "http://localhost:4200"),
    ("localhost:5000", "http://localhost:5000"),  # a tunnel's other end
    ("farm.example", "https://farm.example"),
]

REFUSED = [
    ("evil.example:4200", None),  # a name that its owner made to lead here
    ("evil.example:4200", "http://evil.example:4200"),
    ("127.0.0.1.evil.example:4200", None),
    ("localhost.:4200", None),
    ("evil.example@127.0.0.1:4200", None),
    ("127.0.0.1:4200/evil.example", None),
    ("127.0.0.1:evil.example", None),
    ("127.0.0.1:4200:80", None),
    ("127.1:4200", None),
    ("[::1]:4200", None),  # it does not listen there: another may
    ("", None),
    ("127.0.0.1:4200", "http://evil.example"),
    ("127.0.0.1:4200", "http://evil.example:4200"),
    ("127.0.0.1:4200", "http://127.0.0.1:3000"),  # another server's page
    ("127.0.0.1:4200", "http://127.0.0.1"),
    ("127.0.0.1:4200", "http://127.0.0.2:4200"),
    ("127.0.0.1:4200", "https://farm.example"),
    ("127.0.0.1:4200", "null"),  # a file, or a frame in a sandbox
    ("127.0.0.1:4200", ""),
    ("127.0.0.1:4200", "file://127.0.0.1:4200"),
    ("127.0.0.1:4200", "http://127.0.0.1:4200@evil.example"),
]


def headers_of(host, origin):
    return [("host", host), *([] if origin is None else [("origin", origin)])]


@pytest.mark.parametrize(("host", "origin"), PASS)
def test_own_names_and_pages_pass(host, origin):
    start, body = sent("http", headers_of(host, origin))
    assert (start["status"], body["body"]) == (200, b"inside")
    assert sent("websocket", headers_of(host, origin)) == [{"type": "websocket.accept"}]


@pytest.mark.parametrize(("host", "origin"), REFUSED)
def test_other_names_and_pages_are_refused(host, origin):
    start, body = sent("http", headers_of(host, origin))
    assert start["status"] == 403
    assert b"inside" not in body["body"]
    assert sent("websocket", headers_of(host, origin)) == [{"type": "websocket.close", "code": 1008}]


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("host", "127.0.0.1:4200"), ("host", "evil.example")],
        [("host", "127.0.0.1:4200"), ("origin", "http://127.0.0.1:4200"), ("origin", "http://evil.example")],
    ],
)
def test_who_says_nothing_or_two_things_is_refused(headers):
    assert sent("http", headers)[0]["status"] == 403


def test_no_page_may_frame_it():
    start, _ = sent("http", headers_of("127.0.0.1:4200", None))
    assert start["headers"] == [(b"content-type", b"text/plain"), (b"x-frame-options", b"DENY")]


def test_its_start_and_end_pass():
    passed = []

    async def app(scope, receive, send):
        passed.append(scope["type"])

    asyncio.run(HostGuard(app, LOOPBACK)({"type": "lifespan"}, nothing, nothing))
    assert passed == ["lifespan"]


def test_a_refusal_is_whole():
    async def ask():
        transport = httpx.ASGITransport(HostGuard(inside, NAMES))
        async with httpx.AsyncClient(transport=transport, base_url="http://evil.example") as client:
            return await client.get("/")

    answer = asyncio.run(ask())
    assert (answer.status_code, answer.text) == (403, "This server answers to its own names and pages alone.\n")


def test_names_are_the_loopbacks_and_the_proxys():
    assert names_with(None) == names_with("/api") == {"127.0.0.1", "localhost"}
    assert {*LOOPBACK, "farm.example"} == NAMES


def test_origins_are_in_the_form_of_prefects_setting():
    assert own_origins(4200) == "http://127.0.0.1:4200,http://localhost:4200"
