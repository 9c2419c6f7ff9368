"""fsspec's file systems: one a protocol, with timeouts and without caches; their coroutines from any thread.

S3 takes endpoint, credentials and region from the usual places: AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL,
AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_PROFILE, AWS_REGION, AWS_DEFAULT_REGION,
AWS_CA_BUNDLE, `~/.aws/config`, and the host's role.
"""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import fsspec
import fsspec.asyn

from styletransfer.storage.stats import check_size

_T = TypeVar("_T")

_CONNECT_TIMEOUT_S = 5
_READ_TIMEOUT_S = 30  # without a single byte, not for the whole object
_S3_ATTEMPTS = 3
_CHUNK_BYTES = 4 * 2**20

_filesystems: dict[str, tuple[object, Any]] = {}
_filesystems_lock = threading.Lock()


def filesystem_of(protocol: str) -> Any:
    """The file system of a protocol: one for all threads, made anew after a fork or when AWS_* have changed.

    fsspec's own cache of instances is left out: it would hold on to old credentials and to old listings.
    """
    made_for = (os.getpid(), tuple(sorted(item for item in os.environ.items() if item[0].startswith("AWS_"))))
    with _filesystems_lock:
        if protocol not in _filesystems or _filesystems[protocol][0] != made_for:
            _filesystems[protocol] = (made_for, _make_filesystem(protocol))
        return _filesystems[protocol][1]


def run(filesystem: Any, work: Awaitable[_T]) -> _T:
    """Result of a coroutine on fsspec's own event loop, from any thread, inside or outside another loop."""

    async def waiting() -> _T:
        return await work

    result: _T = fsspec.asyn.sync(filesystem.loop, waiting)
    return result


async def drain(read_chunk: Callable[[int], Awaitable[bytes]], limit_bytes: int | None) -> bytes:
    """All chunks as one bytes object, without a second copy: BytesIO hands over its own buffer."""
    buffer = io.BytesIO()
    while chunk := await read_chunk(_CHUNK_BYTES):
        buffer.write(chunk)
        check_size(buffer.tell(), limit_bytes)
    return buffer.getvalue()


def _make_filesystem(protocol: str) -> Any:
    if protocol == "s3":
        filesystem = fsspec.filesystem("s3", **_uncached(), **_s3_options())
        filesystem.retries = 1  # botocore has tried three times by then
        return filesystem
    if protocol in ("http", "https"):
        return fsspec.filesystem(protocol, **_uncached(), client_kwargs=_web_options())
    return fsspec.filesystem(protocol, **_uncached())


def _uncached() -> dict[str, object]:
    return {"skip_instance_cache": True, "use_listings_cache": False}


def _s3_options() -> dict[str, object]:
    """Timeouts, few retries, and AWS_REGION, which botocore does not read (only AWS_DEFAULT_REGION)."""
    config: dict[str, object] = {
        "connect_timeout": _CONNECT_TIMEOUT_S,
        "read_timeout": _READ_TIMEOUT_S,
        "max_pool_connections": 32,
    }
    if not os.environ.keys() & {"AWS_MAX_ATTEMPTS", "AWS_RETRY_MODE"}:
        config["retries"] = {"mode": "standard", "total_max_attempts": _S3_ATTEMPTS}
    region = os.environ.get("AWS_REGION")
    return {"config_kwargs": config, "client_kwargs": {"region_name": region} if region else {}}


def _web_options() -> dict[str, object]:
    import aiohttp  # comes with s3fs; slow to import, so only when a web URL is read

    timeout = aiohttp.ClientTimeout(sock_connect=_CONNECT_TIMEOUT_S, sock_read=_READ_TIMEOUT_S)
    return {"timeout": timeout, "trust_env": True}  # trust_env: the usual proxy variables
