"""Objects of S3 and of what speaks its protocol."""

from __future__ import annotations

import mimetypes
from glob import has_magic
from typing import Any

from styletransfer.storage.faults import Refused
from styletransfer.storage.filesystems import answered, drain, filesystem_of, run
from styletransfer.storage.patterns import MAGIC, check_listed, matches, name_matches
from styletransfer.storage.stats import Stat, check_size

_PART_BYTES = 32 * 2**20  # objects of two parts and more go up as a multipart upload, four parts at once
_PARTS_AT_ONCE = 4


def read(url: str, limit_bytes: int) -> bytes:
    filesystem = filesystem_of("s3")
    bucket, key = _bucket_and_key(url)
    return run(_get(filesystem, bucket, key, limit_bytes))


def write(url: str, contents: bytes | bytearray | memoryview) -> None:
    """A single PUT, or a multipart upload: either way S3 shows the object when it is complete."""
    _bucket_and_key(url)
    kind, _ = mimetypes.guess_type(url)
    kind = f"{kind}; charset=utf-8" if kind in ("text/html", "application/json") else kind
    filesystem_of("s3").pipe_file(
        url,
        bytes(contents),
        chunksize=_PART_BYTES,
        max_concurrency=_PARTS_AT_ONCE,
        **({"ContentType": kind} if kind else {}),  # browsers show the contact sheet instead of saving it
    )


def stat(url: str) -> Stat:
    filesystem = filesystem_of("s3")
    bucket, key = _bucket_and_key(url)
    head: dict[str, Any] = run(answered(filesystem._call_s3("head_object", Bucket=bucket, Key=key)))
    return Stat(head["ContentLength"], head.get("ETag"), head.get("LastModified"))


def glob(bucket: str, path: str) -> list[str]:
    """URLs of the bucket's objects whose keys match the pattern `path`."""
    filesystem = filesystem_of("s3")
    keys = run(_glob(filesystem, bucket, "", path.split("/")))
    return [f"s3://{bucket}/{key}" for key in keys]


def _bucket_and_key(url: str) -> tuple[str, str]:
    bucket, _, key = url.removeprefix("s3://").partition("/")
    if not bucket or not key or key.endswith("/"):
        raise Refused("it names no object", "write s3://BUCKET/KEY")
    return bucket, key


async def _get(filesystem: Any, bucket: str, key: str, limit_bytes: int) -> bytes:
    """One GET, so that the bytes are of one version of the object, and the size is known before reading."""
    response = await answered(filesystem._call_s3("get_object", Bucket=bucket, Key=key))
    body = response["Body"]
    try:
        check_size(response["ContentLength"], limit_bytes)
        return await drain(body.read, limit_bytes)
    finally:
        body.close()


async def _glob(filesystem: Any, bucket: str, folder: str, wanted: list[str]) -> list[str]:
    """Keys below `folder` ('' or 'a/b/') that match, listing only folders that can hold a match.

    fsspec's own glob takes a failed listing for an empty one.
    """
    first, rest = wanted[0], wanted[1:]
    if first == "**":
        keys, _ = await _list(filesystem, bucket, folder, "")
        return [key for key in keys if matches(key.removeprefix(folder).split("/"), wanted)]
    if rest and not has_magic(first):
        return await _glob(filesystem, bucket, f"{folder}{first}/", rest)
    keys, folders = await _list(filesystem, bucket, folder + MAGIC.split(first)[0], "/")
    if not rest:
        return [key for key in keys if name_matches(key.removeprefix(folder), first)]
    found: list[str] = []
    for below in folders:
        if name_matches(below.removeprefix(folder).rstrip("/"), first):
            found += await _glob(filesystem, bucket, below, rest)
    return found


async def _list(filesystem: Any, bucket: str, prefix: str, delimiter: str) -> tuple[list[str], list[str]]:
    """Keys that begin with `prefix`; with the delimiter '/', those of one folder and the folders in it."""
    keys: list[str] = []
    folders: list[str] = []
    more: dict[str, str] = {}
    while True:
        asked = filesystem._call_s3("list_objects_v2", Bucket=bucket, Prefix=prefix, Delimiter=delimiter, **more)
        page = await answered(asked)
        keys += [found["Key"] for found in page.get("Contents", []) if not found["Key"].endswith("/")]
        folders += [found["Prefix"] for found in page.get("CommonPrefixes", [])]
        check_listed(len(keys) + len(folders))
        if not page.get("IsTruncated"):
            return keys, folders
        more = {"ContinuationToken": page["NextContinuationToken"]}
