"""What people read when the ledger's database fails: no sentence of a driver's."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from watcher.errors import LedgerAway, UserError, WatcherError
from watcher.ledger.db import Database
from watcher.ledger.refusals import FULL, NO_WRITES, why

AT = 'connection failed: connection to server at "127.0.0.1", port 5432 failed: '


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (f"{AT}Connection refused\n\tIs the server running?", "it refuses connections"),
        (f'{AT}FATAL:  database "x" does not exist', "it has no database of that name"),
        (f'{AT}FATAL:  role "x" does not exist', "it knows no user of that name"),
        (f'{AT}FATAL:  password authentication failed for user "x"', "it refuses the password"),
        ("failed to resolve host 'x': [Errno -2] Name or service", "DNS knows no address of it"),
        ("connection timeout expired", "no answer in time"),
        (f"{AT}FATAL:  the database system is starting up", "it is being started or stopped"),
        ("server closed the connection unexpectedly", "it broke off the connection"),
        ("something new\nwith more lines", "something new"),
    ],
)
def test_why_postgresql_was_not_reached(said: str, words: str) -> None:
    assert why(psycopg.OperationalError(said)) == words


def test_why_postgresql_refuses_a_statement() -> None:
    assert why(psycopg.errors.DiskFull("could not extend file: No space left")) == FULL
    assert why(psycopg.errors.ReadOnlySqlTransaction("cannot execute")) == NO_WRITES
    assert why(psycopg.errors.QueryCanceled("canceling statement")) == "it took too long"


def test_what_sqlite_refuses(tmp_path: Path) -> None:
    """A full disk, another's lock, a file that is none."""
    file = tmp_path / "ledger.sqlite3"
    with closing(sqlite3.connect(file, isolation_level=None)) as one:
        one.execute("CREATE TABLE t (x)")
        pages = one.execute("PRAGMA page_count").fetchone()[0]
        one.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(sqlite3.OperationalError) as full:
            one.execute("INSERT INTO t VALUES (zeroblob(100000))")
        assert why(full.value) == FULL
        one.execute("BEGIN IMMEDIATE")
        with closing(sqlite3.connect(file, timeout=0)) as other:
            with pytest.raises(sqlite3.OperationalError) as busy:
                other.execute("INSERT INTO t VALUES (1)")
            assert why(busy.value) == "another process has it locked"
            other.execute("PRAGMA query_only = 1")
            with pytest.raises(sqlite3.OperationalError) as read_only:
                other.execute("INSERT INTO t VALUES (1)")
            assert why(read_only.value) == NO_WRITES
    folder = Database(f"sqlite:///{tmp_path}")
    with pytest.raises(WatcherError, match="its file cannot be opened"):
        folder.revision()


def test_nothing_answers_and_an_address_that_is_none() -> None:
    away = Database("postgresql+psycopg://watcher@127.0.0.1:1/watcher")
    with pytest.raises(LedgerAway, match="the ledger did not answer: it refuses connections"):
        away.probe()
    with pytest.raises(UserError, match="is not a SQLAlchemy URL"):
        Database("postgresql+psycopg://127.0.0.1:54x/watcher")
