"""Storage: local files, S3 over HTTP, the web, memory; and what each kind of error becomes."""

import http.server
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from styletransfer import storage
from styletransfer.errors import StorageError
from styletransfer.storage import files

ODD_NAMES = [
    "plain.png",
    "with space.png",
    "größe 日本.png",
    "a#b.png",
    "100%.png",
    "why?.png",
    "%20.png",
    "a'b\".png",
]


class Web:
    """A small web server: `answer[path]` is (status, body), or a function that is given the handler."""

    def __init__(self) -> None:
        self.answer: dict[str, tuple[int, bytes] | Callable] = {}
        self.requests: list[str] = []
        web = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                web.requests.append(f"{self.command} {self.path}")
                found = web.answer.get(self.path.partition("?")[0], (404, b""))
                if callable(found):
                    return found(self)
                status, body = found
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("ETag", '"e1"')
                self.end_headers()
                self.wfile.write(body)
                return None

            do_PUT = do_HEAD = do_GET  # noqa: N815

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def web(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    web = Web()
    thread = threading.Thread(target=web.server.serve_forever, args=(0.01,))
    thread.start()
    yield web
    web.server.shutdown()
    web.server.server_close()
    thread.join()


@pytest.fixture
def broken_s3(web, aws_environment, monkeypatch):
    """An S3 endpoint that answers as a test tells it."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", web.url)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    return web


@pytest.fixture(params=["local", "s3", "memory"])
def folder(request, tmp_path) -> str:
    """A fresh folder to write into, on each kind of storage."""
    if request.param == "s3":
        return f"{request.getfixturevalue('bucket').url}/out"
    return str(tmp_path) if request.param == "local" else f"memory://{tmp_path.name}"


def partials(folder: Path) -> list[Path]:
    return list(folder.rglob(f"*{storage.PARTIAL_SUFFIX}"))


# Everywhere


@pytest.mark.parametrize("name", ODD_NAMES)
def test_what_is_written_is_read_back_under_any_name(folder, name):
    url = storage.join(folder, "deep", name)
    storage.write(url, b"contents")
    assert storage.read(url) == b"contents"
    assert storage.exists(url)
    assert storage.stat(url).size == 8
    assert storage.name(url) == name
    assert storage.glob(storage.join(folder, "deep", "*")) == [url]


def test_writing_again_replaces(folder):
    url = storage.join(folder, "a.bin")
    storage.write(url, b"old and longer")
    storage.write(url, memoryview(b"new"))
    assert storage.read(url) == b"new"


def test_a_deleted_file_is_gone_and_deleting_it_again_does_nothing(folder):
    url = storage.join(folder, "a.bin")
    storage.write(url, b"x")
    storage.delete(url)
    storage.delete(url)
    assert not storage.exists(url)
    assert storage.read_if_exists(url) is None


def test_a_missing_file_is_a_lasting_error_that_names_it(folder):
    url = storage.join(folder, "none.bin")
    with pytest.raises(StorageError, match=r"cannot read .*none\.bin: there is no such") as caught:
        storage.read(url)
    assert not caught.value.transient
    assert caught.value.__cause__ is not None
    with pytest.raises(StorageError, match=r"cannot look at .*none\.bin: there is no such"):
        storage.stat(url)


def test_a_file_over_the_limit_is_refused(folder):
    url = storage.join(folder, "big.bin")
    storage.write(url, bytes(1001))
    assert len(storage.read(url, limit_bytes=1001)) == 1001
    with pytest.raises(StorageError, match="has 1,001 bytes or more; at most 1,000 are read here"):
        storage.read(url, limit_bytes=1000)


def test_stat_tells_a_changed_file(folder):
    url = storage.join(folder, "a.bin")
    storage.write(url, b"one")
    before = storage.stat(url)
    assert storage.stat(url) == before
    assert before.modified is not None
    assert before.modified.tzinfo is not None
    time.sleep(0.02)
    storage.write(url, b"two")
    assert storage.stat(url) != before


GLOBS = {
    "in/*.jpg": ["in/a.jpg", "in/b [2].jpg", "in/b.jpg"],
    "in/?.jpg": ["in/a.jpg", "in/b.jpg"],
    "in/[b-z].jpg": ["in/b.jpg"],
    "*/*.jpg": ["in/a.jpg", "in/b [2].jpg", "in/b.jpg", "x/a.jpg"],
    "in/**/*.jpg": ["in/a.jpg", "in/b [2].jpg", "in/b.jpg", "in/deep/er/c.jpg"],
    "**": ["in/a.jpg", "in/b [2].jpg", "in/b.jpg", "in/c.JPG", "in/deep/er/c.jpg", "x/a.jpg"],
    "in/.*.jpg": ["in/._a.jpg"],
    "in/a.jpg": ["in/a.jpg"],
    "in/b [2].jpg": ["in/b [2].jpg"],
    "in/b [[]2].jpg": ["in/b [2].jpg"],
    "i*/d*/e?/c.jpg": ["in/deep/er/c.jpg"],
    "in/*.png": [],
    "in/deep": [],
    "in/deep*": [],
    "none/*": [],
}


@pytest.mark.parametrize("pattern", GLOBS)
def test_globs_find_the_same_everywhere(folder, pattern):
    names = ["in/a.jpg", "in/b.jpg", "in/b [2].jpg", "in/c.JPG", "in/._a.jpg", "in/deep/er/c.jpg"]
    for name in [*names, "in/.hidden/d.jpg", "x/a.jpg"]:
        storage.write(storage.join(folder, name), b"")
    assert storage.glob(storage.join(folder, pattern)) == [
        storage.join(folder, name) for name in GLOBS[pattern]
    ]


def test_threads_share_one_storage(folder):
    def there_and_back(number: int) -> bool:
        url = storage.join(folder, f"{number}.bin")
        storage.write(url, bytes([number]) * 1000)
        return storage.read(url) == bytes([number]) * 1000 and storage.exists(url)

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(there_and_back, range(48)))


# Local files


def test_a_failed_write_leaves_the_old_file_and_no_partial_one(tmp_path):
    target = tmp_path / "picture.png"
    target.write_bytes(b"old")
    (tmp_path / "blocked").mkdir()
    (tmp_path / "blocked" / "x").touch()
    with pytest.raises(StorageError, match="cannot write"):
        storage.write(str(tmp_path / "blocked"), b"a file cannot replace a folder")
    with pytest.raises(StorageError, match="cannot write"):
        storage.write(str(target), object())  # type: ignore[arg-type]
    assert target.read_bytes() == b"old"
    assert partials(tmp_path) == []


def test_a_reader_never_sees_half_a_file(tmp_path):
    target = str(tmp_path / "a.bin")
    versions = [bytes([n]) * 3_000_000 for n in range(4)]
    storage.write(target, versions[0])
    stop = threading.Event()

    def keep_writing() -> None:
        while not stop.is_set():
            for version in versions:
                storage.write(target, version)

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(keep_writing)
        seen = [storage.read(target) for _ in range(40)]
        stop.set()
        writing.result()
    assert all(contents in versions for contents in seen)


def test_new_files_get_the_usual_permissions(tmp_path):
    storage.write(str(tmp_path / "a"), b"")
    (tmp_path / "b").touch()
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode


def test_a_copy_that_keeps_the_modification_time_is_told_apart(tmp_path):
    target = tmp_path / "a"
    target.write_bytes(b"one")
    before = storage.stat(str(target))
    times = target.stat()
    time.sleep(0.02)
    target.write_bytes(b"two")
    os.utime(target, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert storage.stat(str(target)).modified == before.modified
    assert storage.stat(str(target)) != before


def test_folders_pipes_and_devices_are_not_read(tmp_path):
    with pytest.raises(StorageError, match="it is a folder; name a file"):
        storage.read(str(tmp_path))
    with pytest.raises(StorageError, match="not a regular file"):
        storage.read("/dev/zero")
    assert not storage.exists(str(tmp_path))


def test_a_file_taken_for_a_folder(tmp_path):
    (tmp_path / "a").touch()
    assert not storage.exists(str(tmp_path / "a" / "b"))
    with pytest.raises(StorageError, match="there is no such file"):
        storage.read(str(tmp_path / "a" / "b"))


# S3


def test_what_another_host_writes_is_seen_at_once(bucket):
    url = f"{bucket.url}/in/a.jpg"
    assert storage.glob(f"{bucket.url}/in/*") == []
    assert not storage.exists(url)
    bucket.put("in/a.jpg", b"one")
    assert storage.exists(url)
    assert storage.glob(f"{bucket.url}/in/*") == [url]
    assert storage.stat(url).size == 3
    bucket.put("in/a.jpg", b"longer")
    assert (storage.stat(url).size, storage.read(url)) == (6, b"longer")
    bucket.client.delete_object(Bucket=bucket.name, Key="in/a.jpg")
    assert not storage.exists(url)
    assert storage.glob(f"{bucket.url}/in/*") == []


def test_large_objects_go_up_in_parts_and_come_back_whole(bucket):
    contents = os.urandom(2**20) * 70
    storage.write(f"{bucket.url}/big.tif", contents)
    assert bucket.client.head_object(Bucket=bucket.name, Key="big.tif")["ETag"].endswith('-3"')
    assert storage.read(f"{bucket.url}/big.tif") == contents


def test_all_pages_of_a_long_listing_are_read(broken_s3):
    def page(handler) -> None:
        last = "continuation-token=t2" in handler.path
        more = "" if last else "<NextContinuationToken>t2</NextContinuationToken>"
        keys = "".join(f"<Contents><Key>in/{n}.jpg</Key></Contents>" for n in ("34" if last else "12"))
        body = f"<R><IsTruncated>{str(not last).lower()}</IsTruncated>{keys}{more}</R>"
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body.encode())

    broken_s3.answer["/b"] = page
    assert storage.glob("s3://b/in/*.jpg") == [f"s3://b/in/{n}.jpg" for n in "1234"]


def test_objects_carry_the_type_that_browsers_need(bucket):
    storage.write(f"{bucket.url}/index.html", b"<p>")
    storage.write(f"{bucket.url}/a.png", b"")
    types = [
        bucket.client.head_object(Bucket=bucket.name, Key=key)["ContentType"]
        for key in ("index.html", "a.png")
    ]
    assert types == ["text/html; charset=utf-8", "image/png"]


@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_the_endpoint_comes_from_either_variable(bucket, monkeypatch, s3_endpoint, variable, host):
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.setenv(variable, s3_endpoint.replace("127.0.0.1", host))
    storage.write(f"{bucket.url}/a", b"x")
    assert bucket.get("a") == b"x"


def test_endpoint_and_credentials_come_from_a_profile(bucket, monkeypatch, s3_endpoint, tmp_path):
    config = tmp_path / "config"
    config.write_text(
        f"[profile studio]\nregion = eu-central-1\nendpoint_url = {s3_endpoint}\n"
        "aws_access_key_id = a\naws_secret_access_key = b\n"
    )
    for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_PROFILE", "studio")
    storage.write(f"{bucket.url}/a", b"x")
    assert bucket.get("a") == b"x"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"AWS_PROFILE": "nobody"}, r"profile \(nobody\) could not be found; check AWS_PROFILE"),
        (
            {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None},
            "no credentials for S3; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
        ),
    ],
)
def test_missing_credentials_say_what_to_set(bucket, monkeypatch, changes, message):
    for name, value in changes.items():
        monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name)
    with pytest.raises(StorageError, match=message) as caught:
        storage.read(f"{bucket.url}/a")
    assert not caught.value.transient


def test_a_missing_bucket_is_said(bucket):
    with pytest.raises(StorageError, match="no such bucket; check the name and AWS_ENDPOINT_URL") as caught:
        storage.write("s3://no-such-bucket-here/a", b"x")
    assert not caught.value.transient
    with pytest.raises(StorageError, match="no such bucket"):
        storage.glob("s3://no-such-bucket-here/*")


@pytest.mark.parametrize("url", ["s3://", "s3://bucket", "s3://bucket/", "s3://bucket/folder/"])
def test_a_url_without_a_key_is_refused(bucket, url):
    for attempt in (storage.read, storage.stat, lambda url: storage.write(url, b"")):
        with pytest.raises(StorageError, match="it names no object; write s3://BUCKET/KEY"):
            attempt(url)


def s3_error(status: int, code: str) -> tuple[int, bytes]:
    return status, f"<Error><Code>{code}</Code><Message>words</Message></Error>".encode()


def hang_up(handler) -> None:
    handler.close_connection = True


def cut_short(handler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b"only this")
    handler.close_connection = True


@pytest.mark.parametrize(
    ("answer", "transient", "message"),
    [
        (s3_error(503, "SlowDown"), True, "the storage answered SlowDown; try again later"),
        (s3_error(500, "InternalError"), True, "the storage answered InternalError"),
        (s3_error(503, "ServiceUnavailable"), True, "the storage answered ServiceUnavailable"),
        (s3_error(400, "RequestTimeout"), True, "no answer in time"),
        ((502, b"<html>bad gateway</html>"), True, "the storage answered 502"),
        (hang_up, True, "no connection"),
        (cut_short, True, "no connection"),
        (s3_error(404, "NoSuchKey"), False, "there is no such object; check the name"),
        (s3_error(404, "NoSuchBucket"), False, "there is no such bucket"),
        (
            s3_error(403, "AccessDenied"),
            False,
            "access denied; check the credentials and the bucket's policy",
        ),
        (s3_error(403, "InvalidAccessKeyId"), False, "the access key is unknown; check AWS_ACCESS_KEY_ID"),
        (s3_error(403, "SignatureDoesNotMatch"), False, "the secret key is wrong"),
        (s3_error(400, "ExpiredToken"), False, "the credentials have expired"),
        (s3_error(400, "InvalidArgument"), False, r"the storage answered InvalidArgument \(words\)"),
    ],
)
def test_s3_errors_say_what_happened_and_whether_to_try_again(broken_s3, answer, transient, message):
    broken_s3.answer["/b/k"] = answer
    with pytest.raises(StorageError, match=f"^cannot read s3://b/k: {message}") as caught:
        storage.read("s3://b/k")
    assert caught.value.transient is transient


def test_a_head_without_access_hints_at_the_right_to_list(broken_s3):
    broken_s3.answer["/b/k"] = (403, b"")
    with pytest.raises(StorageError, match="access denied; check the credentials and that they may list"):
        storage.exists("s3://b/k")


def test_a_failed_listing_is_no_empty_one(broken_s3):
    broken_s3.answer["/b"] = s3_error(403, "AccessDenied")
    with pytest.raises(StorageError, match=r"cannot list s3://b/in/\*\.jpg: access denied"):
        storage.glob("s3://b/in/*.jpg")


def test_an_endpoint_that_is_down_is_a_passing_error_found_quickly(aws_environment, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")  # the discard port: nobody listens
    began = time.monotonic()
    with pytest.raises(StorageError, match="no connection") as caught:
        storage.read("s3://b/k")
    assert caught.value.transient
    assert time.monotonic() - began < 15


def test_an_endpoint_that_never_answers_is_given_up(broken_s3, monkeypatch):
    monkeypatch.setattr(files, "_READ_TIMEOUT_S", 0.2)
    broken_s3.answer["/b/k"] = lambda handler: time.sleep(1)
    with pytest.raises(StorageError, match="no answer in time") as caught:
        storage.read("s3://b/k")
    assert caught.value.transient


def test_botocore_tries_three_times_unless_told_otherwise(broken_s3, monkeypatch):
    monkeypatch.delenv("AWS_MAX_ATTEMPTS")
    broken_s3.answer["/b/k"] = s3_error(503, "SlowDown")
    with pytest.raises(StorageError):
        storage.read("s3://b/k")
    assert len(broken_s3.requests) == 3


def test_a_failed_upload_in_parts_leaves_the_old_object(bucket, monkeypatch):
    bucket.put("big.tif", b"old")
    monkeypatch.setattr(
        files, "_S3_PART_BYTES", 1000
    )  # S3 refuses parts under 5 MiB when they are put together
    with pytest.raises(StorageError, match="cannot write"):
        storage.write(f"{bucket.url}/big.tif", bytes(3000))
    assert bucket.get("big.tif") == b"old"
    assert "Uploads" not in bucket.client.list_multipart_uploads(Bucket=bucket.name)


# The web


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


# Names


@pytest.mark.parametrize(
    ("base", "location", "url"),
    [
        ("/m", "a.png", "/m/a.png"),
        ("/m", "../s/./a.png", "/s/a.png"),
        ("/m", "/abs/a.png", "/abs/a.png"),
        ("/m", "a#b?c=%20.png", "/m/a#b?c=%20.png"),
        ("/m", "file:///abs/a%20b%23.png", "/abs/a b#.png"),
        ("/m", "file://localhost/abs/a.png", "/abs/a.png"),
        ("/m", "S3://Bucket/Key", "s3://Bucket/Key"),
        ("/m", "s3a://b/k", "s3://b/k"),
        ("/m", "C:", "/m/C:"),
        ("s3://b/m", "a.png", "s3://b/m/a.png"),
        ("s3://b/m", "../s/a.png", "s3://b/s/a.png"),
        ("s3://b", "a#b?c.png", "s3://b/a#b?c.png"),
        ("s3://b", ".", "s3://b"),
        ("s3://b/m", "/abs/a.png", "/abs/a.png"),
        ("s3://b/m", "memory://x", "memory://x"),
        ("https://h/m?token=1", "../a b.png", "https://h/a%20b.png"),
    ],
)
def test_locations_resolve_against_a_folder(base, location, url):
    assert storage.resolve(base, location) == url


def test_the_home_folder_and_the_working_folder_are_known(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert storage.resolve("s3://b/m", "~/a.png") == str(tmp_path / "a.png")
    assert storage.resolve("m", "a.png") == str(tmp_path / "m" / "a.png")


@pytest.mark.parametrize(
    ("base", "location", "message"),
    [
        ("s3://b/m", "../../a.png", "../../a.png leaves s3://b, seen from s3://b/m"),
        (
            "/m",
            "htp://h/a?k=secret",
            "cannot reach htp://h/a: nothing here reads htp://; use a path, s3://, ",
        ),
        (
            "/m",
            "file://other/a",
            "cannot reach file://other/a: file:// names files of this host; write file:///a",
        ),
    ],
)
def test_locations_that_lead_nowhere(base, location, message):
    with pytest.raises(StorageError) as caught:
        storage.resolve(base, location)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("/a/b?c=d.png", "/a/b?c=d.png"),
        ("https://user:pass@h/a%20b?X-Amz-Signature=1#f", "https://h/a%20b"),
        ("s3://key:secret@b/k", "s3://b/k"),
        ("s3://b/k?X-Amz-Signature=1", "s3://b/k"),
        ("s3://b/why?.png", "s3://b/why?.png"),
        ("s3://b/a@b.png", "s3://b/a@b.png"),
    ],
)
def test_public_urls_hold_no_secrets(url, shown):
    assert storage.public(url) == shown


@pytest.mark.parametrize(
    ("url", "parent"),
    [
        ("/a/b.yaml", "/a"),
        ("s3://b/m.yaml", "s3://b"),
        ("s3://b/x/m.yaml", "s3://b/x"),
        ("https://h/x/m?q", "https://h/x"),
    ],
)
def test_parent(url, parent):
    assert storage.parent(url) == parent


@given(st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=40))
def test_any_file_name_stays_one_part_of_a_url(name):
    if name in (".", ".."):
        return
    for folder in ("/a", "s3://b/a"):
        assert storage.join(folder, name) == f"{folder}/{name}"
        assert storage.name(storage.join(folder, name)) == name
        assert storage.parent(storage.join(folder, name)) == folder
