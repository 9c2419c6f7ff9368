"""S3 over HTTP, and what each kind of error becomes."""

import os
import time

import pytest

from styletransfer import storage
from styletransfer.errors import StorageError
from styletransfer.storage import s3
from tests.storage.web_server import cut_short, hang_up, s3_error


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


def test_a_failed_upload_in_parts_leaves_the_old_object(bucket, monkeypatch):
    bucket.put("big.tif", b"old")
    monkeypatch.setattr(s3, "_PART_BYTES", 1000)  # S3 refuses parts under 5 MiB when they are put together
    with pytest.raises(StorageError, match="cannot write"):
        storage.write(f"{bucket.url}/big.tif", bytes(3000))
    assert bucket.get("big.tif") == b"old"
    assert "Uploads" not in bucket.client.list_multipart_uploads(Bucket=bucket.name)
