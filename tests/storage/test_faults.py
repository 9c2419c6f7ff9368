"""What errors of the operating system and of the libraries below storage mean."""

import errno

import aiohttp
import botocore.exceptions as boto
import pytest

from styletransfer.redaction import redacted
from styletransfer.storage.faults import Refused, explain

URL = "https://user:pw@host/key?signature=s3cret"


@pytest.mark.parametrize(
    ("error", "what", "transient"),
    [
        (FileNotFoundError(errno.ENOENT, "x"), "there is no such file", False),
        (PermissionError(errno.EACCES, "x"), "permission denied", False),
        (IsADirectoryError(errno.EISDIR, "x"), "it is a folder", False),
        (OSError(errno.ENOSPC, "x"), "the disk is full", False),
        (OSError(errno.ENAMETOOLONG, "x"), "file name too long", False),
        (OSError(errno.ESTALE, "x"), "stale file handle", True),
        (OSError(errno.EIO, "x"), "input/output error", True),
        (ConnectionResetError(errno.ECONNRESET, "reset"), "no connection", True),
        (TimeoutError(), "no answer in time", True),
        (boto.EndpointConnectionError(endpoint_url=URL), "no connection", True),
        (boto.ConnectTimeoutError(endpoint_url=URL), "no answer in time", True),
        (boto.ReadTimeoutError(endpoint_url=URL), "no answer in time", True),
        (boto.ConnectionClosedError(endpoint_url=URL), "no connection", True),
        (boto.ProxyConnectionError(proxy_url=URL), "no connection", True),
        (boto.SSLError(endpoint_url=URL, error="bad certificate"), "SSL validation failed", False),
        (boto.ParamValidationError(report="bad bucket"), "ParamValidationError", False),
        (aiohttp.ServerDisconnectedError(), "no connection", True),
        (aiohttp.ClientPayloadError("cut"), "no connection", True),
        (aiohttp.InvalidURL(URL), "InvalidUrl", False),
        (ModuleNotFoundError("Install gcsfs"), "a package for it is missing", False),
        (KeyError("surprise"), "KeyError", False),
    ],
)
def test_errors_are_explained(error, what, transient):
    explanation = explain(error)
    assert explanation.what.lower().startswith(what.lower())
    assert explanation.transient is transient
    assert "s3cret" not in f"{explanation}"
    assert "pw@" not in f"{explanation}"


def answer(code):
    return boto.ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": 400}}, "GetObject")


def refusal(status):
    return aiohttp.ClientResponseError(None, (), status=status)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("error", "of_host"),
    [
        (FileNotFoundError(errno.ENOENT, "x"), True),
        (OSError(errno.ENOSPC, "x"), True),
        (ModuleNotFoundError("Install gcsfs"), True),
        (boto.NoCredentialsError(), True),
        (answer("InvalidAccessKeyId"), True),
        (answer("RequestTimeTooSkewed"), True),
        (answer("NoSuchKey"), False),
        (refusal(404), False),
        (refusal(403), False),
        (Refused("it is larger than 2 GB"), False),
    ],
)
def test_what_another_host_may_find_otherwise(error, of_host):
    """Its mounts, disks, libraries, keys and clock are its own; what a server says of itself it says to all."""
    assert explain(error).of_host is of_host


def test_redacted_text_keeps_the_rest():
    assert redacted(f'cannot reach "{URL}", why?') == 'cannot reach "https://host/key", why?'
