"""Files of web servers, to read."""

from __future__ import annotations

import errno
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from styletransfer.limits import UNTOLD_BYTES
from styletransfer.redaction import public
from styletransfer.storage.filesystems import drain, run
from styletransfer.storage.stats import Stat, check_size

if TYPE_CHECKING:
    import aiohttp


def read(url: str, limit_bytes: int) -> bytes:
    return run(_get(url, limit_bytes))


def stat(url: str) -> Stat:
    return run(_head(url))


async def _get(url: str, limit_bytes: int) -> bytes:
    from styletransfer.storage.web_client import answer_to  # aiohttp is slow to import

    async with answer_to(url) as response:
        _raise_for_status(response, url)
        size = response.content_length
        if size is None or "Content-Encoding" in response.headers:
            limit_bytes = min(limit_bytes, UNTOLD_BYTES)
        check_size(size or 0, limit_bytes)
        return await drain(response.content.read, limit_bytes)


async def _head(url: str) -> Stat:
    from styletransfer.storage.web_client import answer_to

    async with answer_to(url) as response:
        _raise_for_status(response, url)
        size = int(response.headers.get("Content-Length", -1))
        return Stat(size, response.headers.get("ETag"), _time(response.headers.get("Last-Modified")))


def _time(text: str | None) -> datetime | None:
    """The time in a header, if it is one."""
    try:
        return parsedate_to_datetime(text).astimezone(UTC) if text else None
    except (ValueError, OverflowError):
        return None


def _raise_for_status(response: aiohttp.ClientResponse, url: str) -> None:
    if response.status in (404, 410):
        raise FileNotFoundError(errno.ENOENT, "no such file", public(url))
    response.raise_for_status()
