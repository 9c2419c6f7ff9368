"""What an error of a storage backend means: what happened, what to do, whether another try can help."""

from __future__ import annotations

import errno
import os
import re
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from styletransfer.hints import did_you_mean
from styletransfer.redaction import redacted


class Explanation(NamedTuple):
    """What happened, what to do (if that is not obvious), and whether trying again, or another host, can help."""

    what: str
    advice: str | None = None
    transient: bool = False
    of_host: bool = True


class Refused(Exception):  # noqa: N818  (never leaves this room)
    """What we do not do: the reason, what to do instead, and whether trying again can help."""

    def __init__(self, reason: str, advice: str | None = None, *, transient: bool = False) -> None:
        super().__init__(reason)
        self.advice, self.transient = advice, transient


_COMPARED_NAMES = 1000
"""Of a folder, with a name that is not there."""

_BARE_QUERY = re.compile(r"(?<=[\w/])\?[^\s'\",)]+")

_S3_CODES: dict[str, tuple[str, str | None]] = {
    "NoSuchKey": ("there is no such object", "check the name"),
    "NoSuchBucket": ("there is no such bucket", "check the name and AWS_ENDPOINT_URL"),
    "404": ("there is no such object or bucket", "check the name and AWS_ENDPOINT_URL"),
    "InvalidAccessKeyId": ("the access key is unknown", "check AWS_ACCESS_KEY_ID or AWS_PROFILE"),
    "SignatureDoesNotMatch": ("the secret key is wrong", "check AWS_SECRET_ACCESS_KEY or AWS_PROFILE"),
    "ExpiredToken": ("the credentials have expired", "get new ones"),
    "RequestTimeTooSkewed": ("this host's clock is wrong", "set it"),
    "AccessDenied": ("access denied", "check the credentials and the bucket's policy"),
    # A HEAD has no body to say more. Without the right to list, S3 says 403 for a missing object too.
    "403": ("access denied", "check the credentials and that they may list the bucket"),
}
_S3_MISSING = frozenset({"NoSuchKey", "NoSuchBucket", "404"})  # for every host
_S3_TRANSIENT = frozenset(
    {
        "BandwidthLimitExceeded",
        "InternalError",
        "OperationAborted",
        "RequestLimitExceeded",
        "RequestTimeout",
        "ServiceUnavailable",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequests",
    }
)
_STATUS_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
_OS_TRANSIENT = frozenset(  # network file systems have bad moments
    {errno.EAGAIN, errno.EBUSY, errno.EINTR, errno.EIO, errno.ESTALE, errno.ETIMEDOUT}
)


def explain(error: Exception, *, writing: bool = False) -> Explanation:
    """The meaning of whatever was raised, maybe while `writing`: by us, the operating system, botocore, aiohttp or
    another."""
    if isinstance(error, Refused):
        return Explanation(str(error), error.advice, error.transient, of_host=False)
    response = getattr(error, "response", None) or getattr(error.__cause__, "response", None)
    if isinstance(response, dict):
        return _explain_s3(response)
    status = getattr(error, "status", None)
    if isinstance(status, int):
        return _explain_status(status)
    if _is_network(error):
        return Explanation(
            _network_fault(error), "check the network and the address, or try again later", True
        )
    if isinstance(error, OSError):
        return _explain_os(error, writing=writing)
    return _explain_other(error)


def _explain_s3(response: dict[str, Any]) -> Explanation:
    code = str(response.get("Error", {}).get("Code", ""))
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in _S3_TRANSIENT or status in _STATUS_TRANSIENT:
        return Explanation(f"the storage answered {code or status}", "try again later", True)
    if code in _S3_CODES:
        return Explanation(*_S3_CODES[code], of_host=code not in _S3_MISSING)
    text = _foreign(str(response.get("Error", {}).get("Message", "")))
    return Explanation(f"the storage answered {code or status} ({text})")


def _explain_status(status: int) -> Explanation:
    if status in (401, 403):
        refused = f"the server refuses access (status {status})"
        return Explanation(refused, "check the address and its expiry", of_host=False)
    transient = status in _STATUS_TRANSIENT
    advice = "try again later" if transient else None
    return Explanation(f"the server answered with status {status}", advice, transient, of_host=False)


def _explain_os(error: OSError, *, writing: bool) -> Explanation:
    if isinstance(error, FileNotFoundError | NotADirectoryError) and writing:
        return Explanation("its folder can't be made", "check where it is, and what is mounted there")
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return Explanation("there is no such file", f"check the name{_nearest_name(error.filename)}")
    if isinstance(error, PermissionError):
        return Explanation("permission denied", "check who may read and write there")
    if isinstance(error, IsADirectoryError):
        return Explanation("it is a folder", "name a file")
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Explanation("the disk is full", "make room")
    what = os.strerror(error.errno).lower() if error.errno else _foreign(str(error))
    return Explanation(what, transient=error.errno in _OS_TRANSIENT)


def _nearest_name(path: object) -> str:
    """A hint at the file in the same folder whose name is nearly that."""
    if not isinstance(path, str) or not Path(path).is_absolute():  # else a key of S3, say
        return ""
    wanted = Path(path)
    try:
        with os.scandir(wanted.parent) as entries:
            names = {entry.name.casefold(): entry.name for entry in islice(entries, _COMPARED_NAMES)}
    except OSError:
        return ""
    same = names.get(wanted.name.casefold())
    return f" (did you mean {same!r}?)" if same else did_you_mean(wanted.name, names.values())


def _explain_other(error: Exception) -> Explanation:
    import botocore.exceptions as boto

    if isinstance(error, boto.NoCredentialsError | boto.PartialCredentialsError):
        return Explanation(
            "no credentials for S3", "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
        )
    if isinstance(error, boto.ProfileNotFound):
        return Explanation(_foreign(str(error)).rstrip("."), "check AWS_PROFILE")
    if isinstance(error, ImportError):
        return Explanation("a package for it is missing", _foreign(str(error)))
    return Explanation(_foreign(f"{type(error).__name__}: {error}"))


def _is_network(error: BaseException) -> bool:
    """Refused, reset, timed out, cut off: what another try may mend."""
    if isinstance(error, FileNotFoundError | PermissionError | IsADirectoryError):
        return False  # the common ones, without importing botocore
    import aiohttp
    import botocore.exceptions as boto

    never = (boto.SSLError, aiohttp.ClientSSLError, aiohttp.InvalidURL)
    network = (
        ConnectionError,
        TimeoutError,
        boto.ConnectionError,
        boto.HTTPClientError,
        boto.IncompleteReadError,
        boto.ChecksumError,
        boto.CredentialRetrievalError,  # the host's role service is down; its answer isn't wrong
        boto.MetadataRetrievalError,
        aiohttp.ClientConnectionError,
        aiohttp.ClientPayloadError,
    )
    unreadable_answer = type(error).__name__ == "ResponseParserError"  # a proxy's page instead of S3's XML
    return unreadable_answer or (isinstance(error, network) and not isinstance(error, never))


def _network_fault(error: BaseException) -> str:
    if "Timeout" in type(error).__name__:
        return "no answer in time"
    text = _foreign(str(error)).strip()
    return f"no connection ({text})" if text else "no connection"


def _foreign(text: str) -> str:
    """Text of another library's error without secrets; it may name a query without the URL that it belongs to."""
    return _BARE_QUERY.sub("", redacted(text))
