"""fsspec's file systems: one a protocol, with timeouts and without caches; coroutines from any thread.

S3 takes endpoint, credentials and region from the usual places: AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL,
AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_PROFILE, AWS_REGION, AWS_DEFAULT_REGION,
AWS_CA_BUNDLE, `~/.aws/config`, and the host's role.
"""

from __future__ import annotations

import asyncio
import io
import os
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import fsspec
import fsspec.asyn

from styletransfer.limits import ANSWER_S, FETCH_S, PATIENCE_S, SLOWEST_BYTES_PER_S
from styletransfer.storage.faults import Refused
from styletransfer.storage.stats import check_size

_T = TypeVar("_T")

CONNECT_TIMEOUT_S = 5
READ_TIMEOUT_S = 30  # without a single byte, not for the whole object
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


def run(work: Awaitable[_T]) -> _T:
    """Result of a coroutine on fsspec's own event loop, from any thread, inside or outside another loop."""

    async def waiting() -> _T:
        return await work

    result: _T = fsspec.asyn.sync(fsspec.asyn.get_loop(), waiting)
    return result


async def answered(work: Awaitable[_T]) -> _T:
    """What is answered, unless nothing is for ANSWER_S."""
    return await asyncio.wait_for(work, ANSWER_S)


async def drain(read_chunk: Callable[[int], Awaitable[bytes]], limit_bytes: int) -> bytes:
    """All chunks as one bytes object, without a second copy: BytesIO hands over its own buffer."""
    buffer, began = io.BytesIO(), time.monotonic()
    while chunk := await read_chunk(_CHUNK_BYTES):
        buffer.write(chunk)
        check_size(buffer.tell(), limit_bytes)
        _check_pace(buffer.tell(), time.monotonic() - began)
    return buffer.getvalue()


def _check_pace(received: int, seconds: float) -> None:
    if seconds > FETCH_S or (seconds > PATIENCE_S and received < seconds * SLOWEST_BYTES_PER_S):
        least = f"{SLOWEST_BYTES_PER_S:,} bytes a second, and {FETCH_S:,.0f} s in all"
        raise Refused(
            f"it comes too slowly: {received:,} bytes in {seconds:,.0f} s; must be at least {least}",
            "try again later",
            transient=True,
        )


def _make_filesystem(protocol: str) -> Any:
    if protocol == "s3":
        filesystem = fsspec.filesystem("s3", **_uncached(), **_s3_options())
        filesystem.retries = 1  # botocore has tried three times by then
        return filesystem
    return fsspec.filesystem(protocol, **_uncached())


def _uncached() -> dict[str, object]:
    return {"skip_instance_cache": True, "use_listings_cache": False}


def _s3_options() -> dict[str, object]:
    """Timeouts, few retries, and AWS_REGION, which botocore does not read (only AWS_DEFAULT_REGION)."""
    config: dict[str, object] = {
        "connect_timeout": CONNECT_TIMEOUT_S,
        "read_timeout": READ_TIMEOUT_S,
        "max_pool_connections": 32,
    }
    if not os.environ.keys() & {"AWS_MAX_ATTEMPTS", "AWS_RETRY_MODE"}:
        config["retries"] = {"mode": "standard", "total_max_attempts": _S3_ATTEMPTS}
    region = os.environ.get("AWS_REGION")
    return {"config_kwargs": config, "client_kwargs": {"region_name": region} if region else {}}
