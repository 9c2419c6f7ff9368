"""A server whose database is held: found out, and started again, with real processes."""

import sqlite3
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from flows.server.local_server import LocalServer, answers
from flows.server.watchdog import Limits, ServerWatchdog, can_write
from styletransfer.errors import StyleTransferError
from tests.ports import free_port

HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""

QUICK = Limits(period=0.2, patience=3, failing=3)


@contextmanager
def held(database):
    """The database is another process's, as if it were one of the server's own connections that never commits."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(database)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == "held\n"
            yield
        finally:
            process.kill()


@pytest.fixture
def server(tmp_path, monkeypatch):
    """One of this test's own: it does not survive."""
    monkeypatch.delenv("PREFECT_API_DATABASE_CONNECTION_URL", raising=False)
    server = LocalServer(tmp_path, free_port())
    server.start()
    try:
        server.wait()
        yield server
    finally:
        server.stop()


@pytest.mark.slow
def test_a_server_that_can_not_write_is_started_again(server, tmp_path):
    told: list[str] = []
    watch = ServerWatchdog(server, told.append, QUICK)
    try:
        watch.keep()
        assert told == []
        with held(tmp_path / "prefect/prefect.db"):
            assert not can_write(server, 1)
            assert answers(server.api_url)  # it does not know
            end = time.monotonic() + 60
            while not told and time.monotonic() < end:
                time.sleep(0.1)
                watch.keep()
        assert told == ["Prefect's server can't write to its database any more; starting it again"]
    finally:
        watch.close()
    server.wait()
    assert can_write(server, 30)
    assert "Thread 0x" in server.log.read_text()  # where it was
    with sqlite3.connect(tmp_path / "prefect/prefect.db") as connection:
        assert connection.execute("SELECT count(*) FROM variable").fetchone() == (0,)


def test_a_server_that_ends_at_once_is_not_started_for_ever(tmp_path):
    server = LocalServer(tmp_path, free_port())
    server.log.write_text("it has its reasons\n")
    watch = ServerWatchdog(server, pytest.fail)
    try:
        with pytest.raises(
            StyleTransferError, match=r"^Prefect's server ended: it has its reasons \(.*server\.log\)$"
        ):
            watch.keep()
    finally:
        watch.close()


def test_nobody_writes_where_nobody_is(tmp_path):
    assert not can_write(LocalServer(tmp_path, free_port()), 1)
