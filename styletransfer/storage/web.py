"""Files of web servers, to read."""

from __future__ import annotations

import errno
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

from styletransfer.storage.filesystems import drain, filesystem_of, run
from styletransfer.storage.stats import Stat, check_size
from styletransfer.storage.urls import public, scheme


def read(url: str, limit_bytes: int | None) -> bytes:
    filesystem = filesystem_of(scheme(url))
    return run(filesystem, _get(filesystem, url, limit_bytes))


def stat(url: str) -> Stat:
    filesystem = filesystem_of(scheme(url))
    return run(filesystem, _head(filesystem, url))


async def _get(filesystem: Any, url: str, limit_bytes: int | None) -> bytes:
    session = await filesystem.set_session()
    async with session.get(filesystem.encode_url(url)) as response:
        _raise_for_status(response, url)
        check_size(response.content_length or 0, limit_bytes)
        return await drain(response.content.read, limit_bytes)


async def _head(filesystem: Any, url: str) -> Stat:
    session = await filesystem.set_session()
    # GET, its body left unread: presigned URLs and some servers refuse HEAD.
    async with session.get(filesystem.encode_url(url), headers={"Accept-Encoding": "identity"}) as response:
        _raise_for_status(response, url)
        modified = response.headers.get("Last-Modified")
        return Stat(
            int(response.headers.get("Content-Length", -1)),
            response.headers.get("ETag"),
            parsedate_to_datetime(modified).astimezone(UTC) if modified else None,
        )


def _raise_for_status(response: Any, url: str) -> None:
    if response.status in (404, 410):
        raise FileNotFoundError(errno.ENOENT, "no such file", public(url))
    response.raise_for_status()
