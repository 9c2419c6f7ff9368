"""URLs: absolute local paths or `scheme://...`, as plain strings. Nothing here reads or writes.

In local paths and S3 keys every character stands for itself (`#`, `%` and `?` too), while `http` and `file` URLs
are percent-encoded, as their standards have it.
"""

from __future__ import annotations

import os
import posixpath
import re
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from styletransfer.errors import StorageError
from styletransfer.limits import LOCATION_CHARACTERS
from styletransfer.redaction import public

SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*)://")

_OTHER_NAMES = {"s3a": "s3", "local": "file"}  # of protocols

_STORES = frozenset(
    {"abfs", "abfss", "adl", "az", "gcs", "gs", "hf", "http", "https", "memory", "oci", "oss", "s3", "tos"}
)
"""Those of fsspec's that lead to objects by URL alone; others need a host's name, unpack, or wrap others."""


def scheme(url: str) -> str:
    """`s3`, `https`, ... in lower case; `file` for a local path."""
    match = SCHEME.match(url)
    return match[1].lower() if match else "file"


def is_local(url: str) -> bool:
    return scheme(url) == "file"


def is_s3(url: str) -> bool:
    return scheme(url) == "s3"


def is_web(url: str) -> bool:
    return scheme(url) in ("http", "https")


def resolve(base: str, location: str) -> str:
    """Absolute URL of `location`, which may be relative to the folder `base`.

    `file://` becomes a local path, `~` the home folder, `..` is worked out. Raises StorageError for a scheme
    that nothing here can read, for what names no bucket or host, for `..` beyond the root of a bucket, and for
    a name that is not UTF-8.
    """
    if len(location) > LOCATION_CHARACTERS:
        shown = f"{public(location)[:80]}..."
        raise StorageError(f"cannot reach {shown}: it is longer than {LOCATION_CHARACTERS:,} characters")
    if not location:
        raise StorageError("cannot reach '': it names nothing; write a path or a URL")
    url = _resolved(base, location)
    if "\0" in url:
        raise StorageError(f"cannot reach {public(location)}: it holds a NUL character, as no name of a file does")
    check_utf8(url)
    return url


def _resolved(base: str, location: str) -> str:
    if SCHEME.match(location):
        return _checked(_absolute(location))
    if location.startswith("~"):
        location = os.path.expanduser(location)  # noqa: PTH111  (Path raises for an unknown ~user)
    if location.startswith("/"):
        return _checked(os.path.normpath(location))
    if is_local(base):
        return _checked(os.path.normpath(_working_folder() / base / location))
    return _checked(_join_remote(base, location))


def _working_folder() -> Path:
    try:
        return Path.cwd()
    except OSError:
        raise StorageError("the working folder is gone; change to another, or begin paths with /") from None


def join(base: str, *parts: str) -> str:
    """`base` with `parts` below it; the parts are taken literally and must be relative."""
    if is_local(base):
        return str(Path(base, *parts))
    if is_web(base):
        parts = tuple(quote(part, safe="/") for part in parts)
        base = without_query(base)
    return "/".join([base.rstrip("/"), *(part.strip("/") for part in parts)])


def parent(url: str) -> str:
    """The folder a URL lies in."""
    if is_local(url):
        return str(Path(url).parent)
    head, path = _split_remote(url)
    return f"{head}/{posixpath.dirname(path)}".rstrip("/")


def name(url: str) -> str:
    """Last part of the URL: the file's name, decoded if the URL is encoded."""
    if is_local(url):
        return Path(url).name
    last = posixpath.basename(_split_remote(url)[1])
    return unquote(last) if is_web(url) else last


def check_utf8(url: str) -> None:
    """Raises StorageError for a file name that is not UTF-8, which no record, page or bucket can hold."""
    try:
        url.encode()
    except UnicodeEncodeError:
        raise StorageError(f"cannot use {public(url)}: its name is not UTF-8; rename it") from None


def without_query(url: str) -> str:
    return re.split(r"[?#]", url, maxsplit=1)[0]


def _checked(url: str) -> str:
    """The URL, if it is one that can lead anywhere."""
    if is_web(url):
        try:
            host, _ = urlsplit(url).hostname, urlsplit(url).port
        except ValueError:  # `http://[::1/a`, `http://host:one/`
            host = None
        if not host:
            raise StorageError(f"cannot reach {public(url)}: it names no host")
    if is_s3(url):
        bucket = SCHEME.sub("", url).partition("/")[0]
        if "@" in bucket or (":" in bucket and not bucket.startswith("arn:")):
            advice = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
            raise StorageError(f"cannot reach {public(url)}: credentials are not taken from a URL; {advice}")
    return url


def _absolute(url: str) -> str:
    match = SCHEME.match(url)
    assert match is not None
    protocol = _OTHER_NAMES.get(match[1].lower(), match[1].lower())
    rest = url[match.end() :]
    if protocol == "file":
        host, _, path = rest.partition("/")
        if host not in ("", "localhost"):
            meant = public(f"file:///{path}")
            raise StorageError(f"cannot reach {public(url)}: file:// names files of this host; write {meant}")
        return os.path.normpath("/" + unquote(path))
    if protocol not in _STORES:
        raise StorageError(
            f"cannot reach {public(url)}: nothing here reads {protocol}://; use a path, s3://, http:// or https://"
        )
    if not rest.strip("/") or (protocol in ("s3", "http", "https") and rest.startswith("/")):
        what = "bucket" if protocol == "s3" else "host"
        raise StorageError(f"cannot reach {public(url)}: it names no {what}")
    return f"{protocol}://{rest}"


def _split_remote(url: str) -> tuple[str, str]:
    """('scheme://host', 'path/without/leading/slash'), the query of a web URL left out."""
    if is_web(url):
        url = without_query(url)
    match = SCHEME.match(url)
    assert match is not None
    host, _, path = url[match.end() :].partition("/")
    return url[: match.end()] + host, path


def _join_remote(base: str, location: str) -> str:
    if is_web(base):
        location = quote(location, safe="/%")
    head, folder = _split_remote(base)
    path = posixpath.normpath(posixpath.join(folder, location))
    if path == ".." or path.startswith("../"):
        raise StorageError(f"{location} leaves {public(head)}, seen from {public(base)}")
    return head if path == "." else f"{head}/{path}"
