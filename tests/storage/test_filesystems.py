"""fsspec's file systems: what they are made of, when they are made anew, and their coroutines from any thread."""

import asyncio
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from styletransfer import storage
from styletransfer.errors import StorageError
from styletransfer.storage import filesystems
from styletransfer.storage.faults import Refused
from styletransfer.storage.filesystems import drain, filesystem_of, run
from tests.checkout import ROOT
from tests.storage.web_server import s3_error

# Made once, and anew


def test_all_threads_share_one_file_system(aws_environment):
    with ThreadPoolExecutor(8) as pool:
        assert len({id(found) for found in pool.map(filesystem_of, ["s3"] * 32)}) == 1
    assert filesystem_of("https") is not filesystem_of("s3")


def test_other_credentials_have_a_file_system_of_their_own(aws_environment, monkeypatch):
    before = filesystem_of("s3")
    monkeypatch.setenv("HOME", "/elsewhere")
    assert filesystem_of("s3") is before
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "another")
    assert filesystem_of("s3") is not before


def test_a_fork_has_a_connection_of_its_own(bucket):
    """fsspec's event loop runs in a thread, which a fork has not."""
    bucket.put("a", b"x")
    code = f"""if True:
        import os
        from styletransfer import storage
        from styletransfer.storage.filesystems import filesystem_of
        storage.read("{bucket.url}/a")
        before = filesystem_of("s3")
        child = os.fork()
        if not child:
            own = filesystem_of("s3") is not before
            os._exit(0 if own and storage.read("{bucket.url}/a") == b"x" else 1)
        raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=60)


# Where settings come from


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


def test_the_region_comes_from_the_variable_that_botocore_does_not_read(aws_environment, monkeypatch):
    monkeypatch.setenv("AWS_REGION", "eu-north-1")
    client = run(filesystem_of("s3").set_session())
    assert client.meta.region_name == "eu-north-1"


def test_an_endpoint_that_never_answers_is_given_up(broken_s3, monkeypatch):
    monkeypatch.setattr(filesystems, "READ_TIMEOUT_S", 0.2)
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


# Coroutines


def test_files_are_read_inside_another_event_loop_too(bucket):
    bucket.put("a", b"x")

    async def read():
        return storage.read(f"{bucket.url}/a")

    assert asyncio.run(read()) == b"x"


def test_what_a_coroutine_raises_comes_out(aws_environment):
    async def fail():
        raise KeyError("no such thing")

    with pytest.raises(KeyError, match="no such thing"):
        run(fail())


def test_chunks_are_joined_until_the_limit_is_passed():
    def source(*chunks):
        left = [*chunks, b""]

        async def read(most_bytes):
            return left.pop(0)

        return read, left

    read, _ = source(b"ab", b"c")
    assert asyncio.run(drain(read, 3)) == b"abc"
    read, left = source(b"ab", b"cd", b"ef")
    with pytest.raises(Refused, match="it has 4 bytes or more; at most 3 are read here"):
        asyncio.run(drain(read, 3))
    assert left == [b"ef", b""]  # no more than it takes is read
