"""Prefect's transactions on SQLite: they wait for each other, and what fails holds nobody up."""

import sqlite3
import subprocess
import sys
import threading
import time

import pytest

from flows.server.sqlite_cursors import OrderlyConnection

PATIENCE_S = 5
"""Of a connection that waits for the database."""

READ_THEN_WRITE = """
import asyncio, sys
import sqlalchemy as sa
from flows.server.sqlite_cursors import use_orderly_cursors

use_orderly_cursors()
from prefect.server.database.configurations import AioSqliteConfiguration

async def main():
    database = AioSqliteConfiguration("sqlite+aiosqlite:///" + sys.argv[1])
    engine = await database.engine()

    async def raise_it():
        async with await database.session(engine) as session, database.begin_transaction(session):
            known = (await session.execute(sa.text("SELECT x FROM t"))).scalar_one()
            await asyncio.sleep(0.1)
            await session.execute(sa.text("UPDATE t SET x = :x"), {"x": known + 1})

    async with engine.begin() as connection:
        await connection.execute(sa.text("CREATE TABLE t (x INTEGER)"))
        await connection.execute(sa.text("INSERT INTO t VALUES (0)"))
    await asyncio.gather(*(raise_it() for _ in range(4)))
    async with engine.connect() as connection:
        print((await connection.execute(sa.text("SELECT x FROM t"))).scalar_one())
    await engine.dispose()

asyncio.run(main())
"""


@pytest.fixture
def writer(tmp_path):
    """A connection that has the database `tmp_path/db` to itself."""
    connection = sqlite3.connect(tmp_path / "db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE t (x INTEGER UNIQUE)")
    connection.execute("INSERT INTO t VALUES (1)")
    connection.execute("BEGIN IMMEDIATE")
    yield connection
    connection.close()


@pytest.mark.parametrize(("kind", "held_up"), [(OrderlyConnection, False), (sqlite3.Connection, True)])
def test_letting_go_of_what_failed_takes_no_time(tmp_path, writer, kind, held_up):
    """Python's own cursors take theirs: once they don't, ours are not needed."""
    path = tmp_path / "db"
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, factory=kind)
    connection.execute("PRAGMA busy_timeout = 0")
    cursor = connection.cursor()
    with pytest.raises(sqlite3.OperationalError, match="database is locked"):
        cursor.execute("INSERT INTO t VALUES (2)")
    connection.execute(f"PRAGMA busy_timeout = {PATIENCE_S * 1000:.0f}")

    def wait_for_the_database():
        with pytest.raises(sqlite3.OperationalError, match="database is locked"):
            connection.execute("BEGIN IMMEDIATE")

    waiting = threading.Thread(target=wait_for_the_database)
    waiting.start()
    time.sleep(PATIENCE_S / 10)
    began = time.monotonic()
    del cursor
    took = time.monotonic() - began
    waiting.join()
    connection.close()
    assert (took > PATIENCE_S / 3) == held_up


def test_many_rows_are_written_and_a_wrong_one_is_said(tmp_path):
    connection = sqlite3.connect(tmp_path / "db", factory=OrderlyConnection)
    connection.execute("CREATE TABLE t (x INTEGER UNIQUE)")
    connection.executemany("INSERT INTO t VALUES (?)", [(1,), (2,)])
    with pytest.raises(sqlite3.IntegrityError):
        connection.executemany("INSERT INTO t VALUES (?)", [(3,), (2,)])
    assert connection.execute("SELECT count(*) FROM t").fetchone() == (3,)
    connection.close()


def test_transactions_that_read_and_then_write_wait_for_each_other(tmp_path):
    command = [sys.executable, "-c", READ_THEN_WRITE, str(tmp_path / "db")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.stdout == "4\n", done.stderr
