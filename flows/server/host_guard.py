"""A guard before a server of one's own: it answers to its own names, and of web pages to its own alone.

A browser lets any page send requests to any address, this host's included, and shows the page the answer where the
page's own name is made to lead here. What tells such requests apart are two headers that no page can set: `Host`,
the name that was asked for, and `Origin`, where the page comes from. Prefect looks at neither.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK: Final = ("127.0.0.1", "localhost")

_HOST: Final = re.compile(r"(\[[0-9a-f:.]+\]|[^:/?#@\\\s]+)(:\d+)?", re.IGNORECASE)
_FRAMED: Final = (b"x-frame-options", b"DENY")
"""No page may lay the dashboard under its own, for clicks that were meant for something else."""


def own_origins(port: int) -> str:
    """Where the dashboard of a server on this host comes from, as Prefect's setting has it."""
    return ",".join(f"http://{name}:{port}" for name in LOOPBACK)


def names_with(outside_url: str | None) -> frozenset[str]:
    """The names of a server on this host, and that of the proxy before it, if there is one."""
    outside = urlsplit(outside_url or "").hostname
    return frozenset({*LOOPBACK, *filter(None, [outside])})


class HostGuard:
    """An ASGI application that passes on what is asked under one of `names`, by no page of another origin."""

    def __init__(self, app: ASGIApp, names: Iterable[str]) -> None:
        self._app = app
        self._names = frozenset(name.lower() for name in names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
        elif not self._own(scope["headers"]):
            await _refuse(scope, send)
        else:
            await self._app(scope, receive, _unframed(send))

    def _own(self, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        hosts = [value.decode("latin-1") for name, value in headers if name == b"host"]
        origins = [value.decode("latin-1") for name, value in headers if name == b"origin"]
        ports = {self._port(host) for host in hosts}
        if len(hosts) != 1 or None in ports:
            return False
        # The page of another server on this host has the same name, and another port.
        return all(self._port(_without_scheme(origin)) in ports for origin in origins)

    def _port(self, host: str) -> str | None:
        """The port, with its colon, of one of our names; None for any other name."""
        found = _HOST.fullmatch(host)
        return (found[2] or "") if found and found[1].lower() in self._names else None


def _without_scheme(origin: str) -> str:
    scheme, _, host = origin.partition("://")
    return host if scheme in ("http", "https") else ""


async def _refuse(scope: Scope, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})  # before it is accepted: HTTP's 403
        return
    body = b"This server answers to its own names and pages alone.\n"
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _unframed(send: Send) -> Send:
    async def send_unframed(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), _FRAMED]}
        await send(message)

    return send_unframed
