"""SQLite under Prefect's server: transactions wait their turn, and no failed statement holds the event loop up.

Two things make "database is locked" of a loaded server with Prefect 3.9.1, SQLAlchemy 2.0.58 and aiosqlite 0.22.1.
Six clients that wrote without a pause for 60 s (runs, states, events, heartbeats), twice each, on a busy machine of
two cores: without this module 73 and 74 answers, 38 and 40 of them refusals (503), the slowest after 63 and 68 s;
with it 518 and 392 answers, no refusal, the slowest after 13 and 12 s.

- Most transactions of Prefect begin deferred, read, and then write; those that set states or evaluate triggers
  begin as writers. If another one has written in between, SQLite refuses that write at once, however long it was
  told to wait. Begun as a writer, a transaction waits.
- A `sqlite3.Cursor` whose statement failed keeps the statement, and letting go of it takes the lock of its
  connection. SQLAlchemy leaves such a cursor to Python's garbage collector, which runs in the event loop's thread.
  If the connection's own thread waits for the database by then (up to 60 s, as Prefect sets it), the event loop
  waits with it, and whoever holds the database can't go on to its commit. For a minute nothing is answered, then
  all who waited fail. Their failures leave cursors again: so it goes on until the server is started anew.
"""

from __future__ import annotations

import sqlite3
from typing import Any, Final, Self

_BEGINNINGS: Final = {"BEGIN DEFERRED": "BEGIN IMMEDIATE"}


class OrderlyCursor(sqlite3.Cursor):
    """Closes itself where a statement fails: in the thread that ran it, which is not waiting for anything then."""

    def execute(self, sql: str, *parameters: Any) -> Self:
        try:
            return super().execute(_BEGINNINGS.get(sql, sql), *parameters)
        except sqlite3.Error:
            self.close()
            raise

    def executemany(self, sql: str, rows: Any, /) -> Self:
        try:
            return super().executemany(sql, rows)
        except sqlite3.Error:
            self.close()
            raise


class OrderlyConnection(sqlite3.Connection):
    """Its cursors are orderly ones."""

    def cursor(self, factory: Any = OrderlyCursor) -> Any:
        return super().cursor(factory)


def use_orderly_cursors() -> None:
    """For every SQLite database that SQLAlchemy opens in this process from now on."""
    from sqlalchemy import Dialect, Engine, event

    def choose(dialect: Dialect, _record: object, _arguments: object, options: dict[str, Any]) -> None:
        if dialect.name == "sqlite":
            options["factory"] = OrderlyConnection

    event.listen(Engine, "do_connect", choose)
