"""Requests to web servers. No redirect leads from a public host into a network that only this host is in.

A URL is fetched wherever its own host is: who wrote it meant it. But a public server must not be able to have us
ask what listens on this host (127.0.0.1), in its network (10.0.0.0/8, ...) or at its cloud (169.254.169.254).
Addresses are checked where connections are made, and those of the URL's own host are looked up once for all hops.
So a name that leads elsewhere from one moment to the next wins nothing.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from ipaddress import ip_address
from typing import Final
from urllib.request import getproxies

import aiohttp
from aiohttp.abc import ResolveResult
from yarl import URL

from styletransfer.storage import filesystems
from styletransfer.storage.faults import Refused

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS: Final = 10

# GET, its body perhaps left unread: presigned URLs and some servers refuse HEAD. Not packed: the size told is that
# of the file then.
_HEADERS: Final = {"Accept-Encoding": "identity"}


@asynccontextmanager
async def answer_to(url: str) -> AsyncIterator[aiohttp.ClientResponse]:
    """The answer at the end of the URL's redirects, its body not yet read. Raises Refused, and aiohttp's errors."""
    start = URL(url)
    resolver = _Resolver(start.raw_host or "")
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(resolver=resolver),
        timeout=aiohttp.ClientTimeout(
            sock_connect=filesystems.CONNECT_TIMEOUT_S, sock_read=filesystems.READ_TIMEOUT_S
        ),
        trust_env=True,  # the usual proxy variables
    )
    async with session, await filesystems.answered(_follow(session, start, resolver)) as response:
        yield response


async def _follow(session: aiohttp.ClientSession, start: URL, resolver: _Resolver) -> aiohttp.ClientResponse:
    url = start
    for _ in range(_MOST_REDIRECTS + 1):
        response = await session.get(url, headers=_HEADERS, allow_redirects=False)
        location = response.headers.get("Location")
        if response.status not in _REDIRECTS or location is None:
            return response
        response.close()
        url = _next(url, location, start)
        resolver.check(url.raw_host or "", [url.raw_host or ""])  # an address is not looked up
    raise Refused(f"it is redirected more than {_MOST_REDIRECTS} times")


def _next(url: URL, location: str, start: URL) -> URL:
    """Where a redirect leads. The own host is told its credentials again, no other is."""
    found = url.join(URL(location))
    if found.scheme not in ("http", "https") or not found.raw_host:
        raise Refused("it is redirected to something that is no web address")
    if found.origin() == start.origin() and found.user is None:
        return found.with_user(start.user).with_password(start.password)
    return found


class _Resolver(aiohttp.ThreadedResolver):
    """Looks up names: that of the URL's own host once, whatever it is; a proxy's; others if they may be reached."""

    def __init__(self, own_host: str) -> None:
        super().__init__()
        self._own_host = own_host
        self._own: list[ResolveResult] = []
        self._proxies = {URL(proxy).raw_host for proxy in getproxies().values() if "://" in proxy}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        if host == self._own_host:
            self._own = self._own or await super().resolve(host, port, family)
            return [ResolveResult({**found, "port": port}) for found in self._own]
        found = await super().resolve(host, port, family)
        if host not in self._proxies:
            self.check(host, [each["host"] for each in found])
        return found

    def check(self, host: str, addresses: Iterable[str]) -> None:
        """Raises Refused for a host that has other than public addresses, unless the own host has none but such.

        A name instead of an address counts as public: it has yet to be looked up.
        """
        own = [each["host"] for each in self._own] or [self._own_host]
        if host != self._own_host and any(map(is_public, own)) and not all(map(is_public, addresses)):
            raise Refused(f"it is redirected to {host}, which is no public address", "name that URL if you mean it")


def is_public(host: str) -> bool:
    """False for an address of this host, of its network or its cloud; True for others, and for names."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return True
    address = getattr(address, "ipv4_mapped", None) or address
    return address.is_global and not address.is_multicast
