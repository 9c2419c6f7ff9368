"""The web is read, and neither written nor listed."""

import pytest

from styletransfer import storage
from styletransfer.errors import StorageError
from tests.storage.web_server import cut_short, hang_up


def test_the_web_is_read(web):
    web.answer["/a b.jpg"] = web.answer["/a%20b.jpg"] = (200, b"picture")
    url = f"{web.url}/a%20b.jpg?token=secret"
    assert storage.read(url) == b"picture"
    assert web.requests == ["GET /a%20b.jpg?token=secret"]
    assert storage.exists(url)
    assert storage.stat(url) == storage.Stat(7, '"e1"', None)
    assert storage.name(url) == "a b.jpg"
    with pytest.raises(StorageError, match="at most 3 are read here"):
        storage.read(url, limit_bytes=3)


@pytest.mark.parametrize(
    ("answer", "transient", "message"),
    [
        ((404, b""), False, "there is no such file; check the name"),
        ((403, b""), False, r"the server refuses access \(status 403\)"),
        ((418, b""), False, "the server answered with status 418"),
        ((503, b""), True, "the server answered with status 503; try again later"),
        ((429, b""), True, "the server answered with status 429"),
        (hang_up, True, "no connection"),
        (cut_short, True, "no connection"),
    ],
)
def test_web_errors_hide_the_query(web, answer, transient, message):
    web.answer["/w.pth"] = answer
    with pytest.raises(StorageError, match=message) as caught:
        storage.read(web.url.replace("://", "://user:password@") + "/w.pth?signature=s3cret")
    assert caught.value.transient is transient
    assert str(caught.value).startswith(f"cannot read {web.url}/w.pth: ")
    assert "s3cret" not in str(caught.value)
    assert "password" not in str(caught.value)


def test_the_web_is_neither_written_nor_listed(web):
    with pytest.raises(StorageError, match="web servers are only read from; write to a path or to s3://"):
        storage.write(f"{web.url}/a", b"")
    with pytest.raises(StorageError, match="web servers are only read from"):
        storage.delete(f"{web.url}/a")
    with pytest.raises(StorageError, match="a web server cannot be listed; name each file"):
        storage.glob(f"{web.url}/*.jpg")
    assert web.requests == []
