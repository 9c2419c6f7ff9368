"""Bytes in and out, by URL: local paths, `s3://`, `http(s)://` (to read), `memory://`, others fsspec knows.

The only module that sees fsspec. A URL here is a plain string: an absolute local path, or `scheme://...`. In
local paths and S3 keys every character stands for itself (`#`, `%` and `?` too), while `http` and `file` URLs
are percent-encoded, as their standards have it.

Nothing is cached between calls: what another host has just written is seen. Every function may be called from
any thread. Every error leaves as a `StorageError`; its `transient` says whether another try can help. Retries
with growing delays are the caller's business, so in here an S3 request is tried three times at most.

S3 takes endpoint, credentials and region from the usual places: AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL,
AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_PROFILE, AWS_REGION, AWS_DEFAULT_REGION,
AWS_CA_BUNDLE, `~/.aws/config`, and the host's role.
"""

from __future__ import annotations

import errno
import fnmatch
import glob as local_glob
import io
import mimetypes
import os
import posixpath
import re
import secrets
import stat as stat_flags
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import fsspec
import fsspec.asyn

from styletransfer.errors import StorageError
from styletransfer.storage.faults import Refused, explain

PARTIAL_SUFFIX = ".partial"
"""Ends the hidden name of a local file that is still being written; only a killed process leaves one."""

_T = TypeVar("_T")

_MIB = 2**20
_CONNECT_TIMEOUT_S = 5
_READ_TIMEOUT_S = 30  # without a single byte, not for the whole object
_S3_ATTEMPTS = 3
_S3_PART_BYTES = 32 * _MIB  # objects of two parts and more go up as a multipart upload, four parts at once
_S3_PARTS_AT_ONCE = 4
_CHUNK_BYTES = 4 * _MIB

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]+)://")
_MAGIC = re.compile(r"[*?\[]")
_ESCAPED = re.compile(r"\[([*?\[])\]")
_LOOKS_LIKE_QUERY = re.compile(r"\?[\w.%\-]+=.*", re.DOTALL)


@dataclass(frozen=True)
class Stat:
    """What is known of a stored file without reading it: two equal ones mean unchanged contents.

    size in bytes, -1 where a web server does not tell; etag: S3's or the web server's, for a local file its
    change time (it moves even where a copy keeps the modification time), else None; modified: UTC, or None.
    """

    size: int
    etag: str | None
    modified: datetime | None


# Names and places. Nothing below reads or writes, but `resolve` needs to know the home folder.


def scheme(url: str) -> str:
    """`s3`, `https`, ... in lower case; `file` for a local path."""
    match = _SCHEME.match(url)
    return match[1].lower() if match else "file"


def is_local(url: str) -> bool:
    return scheme(url) == "file"


def is_pattern(url: str) -> bool:
    """Whether the URL is meant as a pattern: it holds `*`, `?` or `[`, in a web URL `*`."""
    return "*" in _without_query(url) if _is_web(url) else local_glob.has_magic(url)


def escape(url: str) -> str:
    """The URL as a pattern that matches nothing else."""
    return _MAGIC.sub(r"[\g<0>]", url)


def resolve(base: str, location: str) -> str:
    """Absolute URL of `location`, which may be relative to the folder `base`.

    `file://` becomes a local path, `~` the home folder, `..` is worked out. Raises StorageError for a scheme
    that nothing here can read, and for `..` beyond the root of a bucket.
    """
    if _SCHEME.match(location):
        return _absolute(location)
    if location.startswith("~"):
        location = os.path.expanduser(location)  # noqa: PTH111  (Path raises for an unknown ~user)
    if is_local(base) or location.startswith("/"):
        return os.path.normpath(Path.cwd() / base / location)
    return _join_remote(base, location)


def join(base: str, *parts: str) -> str:
    """`base` with `parts` below it; the parts are taken literally and must be relative."""
    if is_local(base):
        return str(Path(base, *parts))
    if _is_web(base):
        parts = tuple(quote(part, safe="/") for part in parts)
        base = _without_query(base)
    return "/".join([base.rstrip("/"), *(part.strip("/") for part in parts)])


def parent(url: str) -> str:
    """The folder a URL lies in."""
    if is_local(url):
        return str(Path(url).parent)
    head, _, path = _split_remote(url)
    return f"{head}/{posixpath.dirname(path)}".rstrip("/")


def name(url: str) -> str:
    """Last part of the URL: the file's name, decoded if the URL is encoded."""
    if is_local(url):
        return Path(url).name
    last = posixpath.basename(_split_remote(url)[2])
    return unquote(last) if _is_web(url) else last


def public(url: str) -> str:
    """The URL without credentials and query string: fit for records, logs and messages."""
    if is_local(url):
        return url
    match = _SCHEME.match(url)
    assert match is not None
    host, slash, path = url[match.end() :].partition("/")
    shown = f"{match[1].lower()}://{host.rpartition('@')[2]}{slash}{path}"
    return _without_query(shown) if _is_web(url) else _LOOKS_LIKE_QUERY.sub("", shown)


# Reading and writing


def read(url: str, *, limit_bytes: int | None = None) -> bytes:
    """The whole file. Raises StorageError, also when it is larger than `limit_bytes`."""
    with _translated("read", url):
        return _read(url, limit_bytes)


def read_if_exists(url: str, *, limit_bytes: int | None = None) -> bytes | None:
    """The whole file, or None when there is none. Raises StorageError for anything else."""
    with _translated("read", url):
        try:
            return _read(url, limit_bytes)
        except (FileNotFoundError, NotADirectoryError):
            return None


def write(url: str, contents: bytes | bytearray | memoryview) -> None:
    """Store `contents` under `url`, in place of what was there, making folders as needed.

    Appears whole or not at all: a reader never sees a part, and a failure leaves the old file as it was.
    """
    with _translated("write", url):
        if is_local(url):
            _write_local(Path(url), contents)
        elif _is_web(url):
            raise Refused("web servers are only read from", "write to a path or to s3://")
        elif _is_s3(url):
            _write_s3(url, contents)
        else:
            filesystem = _filesystem(scheme(url))
            filesystem.makedirs(parent(url), exist_ok=True)
            filesystem.pipe_file(url, bytes(contents))


def delete(url: str) -> None:
    """Remove the file; nothing happens when there is none."""
    with _translated("delete", url), suppress(FileNotFoundError, NotADirectoryError):
        if is_local(url):
            Path(url).unlink()
        elif _is_web(url):
            raise Refused("web servers are only read from")
        else:
            _filesystem(scheme(url)).rm_file(url)


def stat(url: str) -> Stat:
    """Size, ETag and time of change. Raises StorageError when there is no such file."""
    with _translated("look at", url):
        return _stat(url)


def exists(url: str) -> bool:
    """Whether the file is there. Raises StorageError where that cannot be told (no access, no connection)."""
    with _translated("look at", url):
        try:
            _stat(url)
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True


def glob(pattern: str) -> list[str]:
    """URLs of the files that match, sorted: `*`, `?`, `[...]` within a name, `**` for any folders.

    As in a shell, hidden names match only a pattern that begins with a dot itself. A pattern that matches
    nothing but is itself a file's name (`photo [2].jpg`) gives that file. No match at all gives [].
    """
    with _translated("list", pattern):
        if _is_web(pattern):
            raise Refused("a web server cannot be listed", "name each file")
        found = _glob(pattern) if is_pattern(pattern) else []
        if not found:
            literal = _ESCAPED.sub(r"\1", pattern)
            with suppress(FileNotFoundError, NotADirectoryError):
                _stat(literal)
                found = [literal]
        return sorted(found)


def _glob(pattern: str) -> list[str]:
    if is_local(pattern):
        paths = local_glob.iglob(pattern, recursive=True)  # noqa: PTH207  (Path.glob takes no absolute pattern)
        return [path for path in paths if Path(path).is_file()]
    filesystem = _filesystem(scheme(pattern))
    host, _, path = _SCHEME.sub("", pattern, count=1).lstrip("/").partition("/")
    if _is_s3(pattern):
        keys = _run(filesystem, _glob_s3(filesystem, host, "", path.split("/")))
        return [f"s3://{host}/{key}" for key in keys]
    names = [found.lstrip("/") for found in filesystem.find(_literal_folder(pattern))]
    wanted = [host, *path.split("/")]
    return [f"{scheme(pattern)}://{found}" for found in names if _matches(found.split("/"), wanted)]


def _literal_folder(pattern: str) -> str:
    """The folder that holds everything a pattern can match."""
    while is_pattern(pattern):
        pattern = parent(pattern)
    return pattern


def _matches(parts: list[str], wanted: list[str]) -> bool:
    """Whether a path, as its parts, matches a pattern, as its parts."""
    if not wanted or not parts:
        return wanted == parts or wanted == ["**"]
    if wanted[0] == "**":
        below = not parts[0].startswith(".") and _matches(parts[1:], wanted)
        return below or _matches(parts, wanted[1:])
    return _name_matches(parts[0], wanted[0]) and _matches(parts[1:], wanted[1:])


def _name_matches(name: str, wanted: str) -> bool:
    hidden = name.startswith(".") and not wanted.startswith(".")
    return not hidden and fnmatch.fnmatchcase(name, wanted)


# Local files


def _read(url: str, limit_bytes: int | None) -> bytes:
    if is_local(url):
        return _read_local(Path(url), limit_bytes)
    filesystem = _filesystem(scheme(url))
    if _is_s3(url):
        bucket, key = _bucket_and_key(url)
        return _run(filesystem, _get_s3(filesystem, bucket, key, limit_bytes))
    if _is_web(url):
        return _run(filesystem, _get_web(filesystem, url, limit_bytes))
    _check_size(int(filesystem.info(url)["size"] or 0), limit_bytes)
    return bytes(filesystem.cat_file(url))


def _read_local(path: Path, limit_bytes: int | None) -> bytes:
    status = path.stat()
    if stat_flags.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, "is a folder", str(path))
    if not stat_flags.S_ISREG(status.st_mode):  # reading a pipe or a device might never end
        raise Refused("it is not a regular file", "name a file")
    _check_size(status.st_size, limit_bytes)
    return path.read_bytes()


def _write_local(path: Path, contents: bytes | bytearray | memoryview) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # In the same folder, since a rename is atomic only within a file system; hidden from patterns.
    partial = path.parent / f".{secrets.token_hex(8)}{PARTIAL_SUFFIX}"
    try:
        with partial.open("xb") as file:
            file.write(contents)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make a rename survive a power cut, where the file system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _stat(url: str) -> Stat:
    if is_local(url):
        return _stat_local(Path(url))
    filesystem = _filesystem(scheme(url))
    if _is_s3(url):
        bucket, key = _bucket_and_key(url)
        head: dict[str, Any] = _run(filesystem, filesystem._call_s3("head_object", Bucket=bucket, Key=key))
        return Stat(head["ContentLength"], head.get("ETag"), head.get("LastModified"))
    if _is_web(url):
        return _run(filesystem, _head_web(filesystem, url))
    info = filesystem.info(url)
    if info["type"] != "file":
        raise FileNotFoundError(errno.ENOENT, "no such file", url)
    return Stat(int(info["size"] or 0), info.get("ETag") or info.get("etag"), _modified(filesystem, url))


def _stat_local(path: Path) -> Stat:
    status = path.stat()
    if stat_flags.S_ISDIR(status.st_mode):
        raise FileNotFoundError(errno.ENOENT, "is a folder", str(path))
    modified = datetime.fromtimestamp(status.st_mtime_ns // 1000 / 1e6, UTC)
    return Stat(status.st_size, f"ctime-{status.st_ctime_ns:x}", modified)


def _modified(filesystem: Any, url: str) -> datetime | None:
    try:
        moment = filesystem.modified(url)
    except NotImplementedError:
        return None
    return moment.astimezone(UTC) if isinstance(moment, datetime) else None


def _check_size(size: int, limit_bytes: int | None) -> None:
    if limit_bytes is not None and size > limit_bytes:
        raise Refused(f"it has {size:,} bytes or more; at most {limit_bytes:,} are read here")


# S3


def _is_s3(url: str) -> bool:
    return scheme(url) == "s3"


def _bucket_and_key(url: str) -> tuple[str, str]:
    bucket, _, key = url.removeprefix("s3://").partition("/")
    if not bucket or not key or key.endswith("/"):
        raise Refused("it names no object", "write s3://BUCKET/KEY")
    return bucket, key


async def _get_s3(filesystem: Any, bucket: str, key: str, limit_bytes: int | None) -> bytes:
    """One GET, so that the bytes are of one version of the object, and the size is known before reading."""
    response = await filesystem._call_s3("get_object", Bucket=bucket, Key=key)
    body = response["Body"]
    try:
        _check_size(response["ContentLength"], limit_bytes)
        return await _drain(body.read, limit_bytes)
    finally:
        body.close()


def _write_s3(url: str, contents: bytes | bytearray | memoryview) -> None:
    """A single PUT, or a multipart upload: either way S3 shows the object when it is complete."""
    _bucket_and_key(url)
    kind, _ = mimetypes.guess_type(url)
    kind = f"{kind}; charset=utf-8" if kind in ("text/html", "application/json") else kind
    _filesystem("s3").pipe_file(
        url,
        bytes(contents),
        chunksize=_S3_PART_BYTES,
        max_concurrency=_S3_PARTS_AT_ONCE,
        **({"ContentType": kind} if kind else {}),  # browsers show the contact sheet instead of saving it
    )


async def _glob_s3(filesystem: Any, bucket: str, folder: str, wanted: list[str]) -> list[str]:
    """Keys below `folder` ('' or 'a/b/') that match, listing only folders that can hold a match.

    fsspec's own glob takes a failed listing for an empty one.
    """
    first, rest = wanted[0], wanted[1:]
    if first == "**":
        keys, _ = await _list_s3(filesystem, bucket, folder, "")
        return [key for key in keys if _matches(key.removeprefix(folder).split("/"), wanted)]
    if rest and not local_glob.has_magic(first):
        return await _glob_s3(filesystem, bucket, f"{folder}{first}/", rest)
    keys, folders = await _list_s3(filesystem, bucket, folder + _MAGIC.split(first)[0], "/")
    if not rest:
        return [key for key in keys if _name_matches(key.removeprefix(folder), first)]
    found: list[str] = []
    for below in folders:
        if _name_matches(below.removeprefix(folder).rstrip("/"), first):
            found += await _glob_s3(filesystem, bucket, below, rest)
    return found


async def _list_s3(filesystem: Any, bucket: str, prefix: str, delimiter: str) -> tuple[list[str], list[str]]:
    """Keys that begin with `prefix`; with the delimiter '/', those of one folder and the folders in it."""
    keys: list[str] = []
    folders: list[str] = []
    more: dict[str, str] = {}
    while True:
        page = await filesystem._call_s3(
            "list_objects_v2", Bucket=bucket, Prefix=prefix, Delimiter=delimiter, **more
        )
        keys += [found["Key"] for found in page.get("Contents", []) if not found["Key"].endswith("/")]
        folders += [found["Prefix"] for found in page.get("CommonPrefixes", [])]
        if not page.get("IsTruncated"):
            return keys, folders
        more = {"ContinuationToken": page["NextContinuationToken"]}


async def _drain(read_chunk: Callable[[int], Awaitable[bytes]], limit_bytes: int | None) -> bytes:
    """All chunks as one bytes object, without a second copy: BytesIO hands over its own buffer."""
    buffer = io.BytesIO()
    while chunk := await read_chunk(_CHUNK_BYTES):
        buffer.write(chunk)
        _check_size(buffer.tell(), limit_bytes)
    return buffer.getvalue()


# The web


def _is_web(url: str) -> bool:
    return scheme(url) in ("http", "https")


async def _get_web(filesystem: Any, url: str, limit_bytes: int | None) -> bytes:
    session = await filesystem.set_session()
    async with session.get(filesystem.encode_url(url)) as response:
        _raise_for_status(response, url)
        _check_size(response.content_length or 0, limit_bytes)
        return await _drain(response.content.read, limit_bytes)


async def _head_web(filesystem: Any, url: str) -> Stat:
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


def _without_query(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc, parts.path, "", ""))


# File systems

_filesystems: dict[str, tuple[object, Any]] = {}
_filesystems_lock = threading.Lock()


def _filesystem(protocol: str) -> Any:
    """The file system of a protocol: one for all threads, made anew after a fork or when AWS_* have changed.

    fsspec's own cache of instances is left out: it would hold on to old credentials and to old listings.
    """
    made_for = (os.getpid(), tuple(sorted(item for item in os.environ.items() if item[0].startswith("AWS_"))))
    with _filesystems_lock:
        if protocol not in _filesystems or _filesystems[protocol][0] != made_for:
            _filesystems[protocol] = (made_for, _make_filesystem(protocol))
        return _filesystems[protocol][1]


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


def _run(filesystem: Any, work: Awaitable[_T]) -> _T:
    """Result of a coroutine on fsspec's own event loop, from any thread, inside or outside another loop."""

    async def waiting() -> _T:
        return await work

    result: _T = fsspec.asyn.sync(filesystem.loop, waiting)
    return result


# URLs, taken apart


def _absolute(url: str) -> str:
    match = _SCHEME.match(url)
    assert match is not None
    protocol = {"s3a": "s3"}.get(match[1].lower(), match[1].lower())
    rest = url[match.end() :]
    if protocol == "file":
        host, _, path = rest.partition("/")
        if host not in ("", "localhost"):
            raise StorageError(f"cannot reach {url}: file:// names files of this host; write file:///{path}")
        return os.path.normpath("/" + unquote(path))
    if protocol not in fsspec.available_protocols():
        raise StorageError(
            f"cannot reach {public(url)}: nothing here reads {protocol}://; use a path, s3://, http:// or https://"
        )
    return f"{protocol}://{rest}"


def _split_remote(url: str) -> tuple[str, str, str]:
    """('scheme://host', 'host', 'path/without/leading/slash'), the query of a web URL left out."""
    if _is_web(url):
        url = _without_query(url)
    match = _SCHEME.match(url)
    assert match is not None
    host, _, path = url[match.end() :].partition("/")
    return url[: match.end()] + host, host, path


def _join_remote(base: str, location: str) -> str:
    if _is_web(base):
        location = quote(location, safe="/%")
    head, _, folder = _split_remote(base)
    path = posixpath.normpath(posixpath.join(folder, location))
    if path == ".." or path.startswith("../"):
        raise StorageError(f"{location} leaves {public(head)}, seen from {public(base)}")
    return head if path == "." else f"{head}/{path}"


@contextmanager
def _translated(action: str, url: str) -> Iterator[None]:
    """Turns whatever a backend raises into a StorageError that names the URL and says what to do."""
    try:
        yield
    except (StorageError, MemoryError):
        raise
    except Exception as error:
        what, advice, transient = explain(error)
        message = f"cannot {action} {public(url)}: {what}" + (f"; {advice}" if advice else "")
        raise StorageError(message, transient=transient) from error
