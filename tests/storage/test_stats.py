"""What is known of a file without reading it, and the largest that is read."""

import time

import pytest

from styletransfer import storage
from styletransfer.errors import StorageError
from styletransfer.storage.faults import Refused
from styletransfer.storage.stats import check_size


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


def test_what_a_web_server_does_not_tell_is_left_open(web):
    def chunked(handler):
        handler.protocol_version = "HTTP/1.1"
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.write(b"3\r\none\r\n0\r\n\r\n")

    web.answer["/a"] = chunked
    assert storage.stat(f"{web.url}/a") == storage.Stat(-1, None, None)
    assert storage.read(f"{web.url}/a") == b"one"


def test_a_file_over_the_limit_is_refused(folder):
    url = storage.join(folder, "big.bin")
    storage.write(url, bytes(1001))
    assert len(storage.read(url, limit_bytes=1001)) == 1001
    with pytest.raises(StorageError, match="has 1,001 bytes or more; at most 1,000 are read here"):
        storage.read(url, limit_bytes=1000)


def test_a_limit_is_the_largest_size_that_passes():
    check_size(1000, 1000)
    with pytest.raises(Refused, match="it has 1,001 bytes or more; at most 1,000 are read here"):
        check_size(1001, 1000)
