"""Ledgers for tests, copied from one that was migrated once in each test process: Alembic takes
longer than most tests."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import sqlalchemy
from sqlalchemy.orm import Session

from watcher.ledger import accounts, calendars, db, server, tables
from watcher.ledger.db import Database
from watcher.ledger.models import Base, Calendar
from watcher.ledger.states import AccountState, CalendarState

POSTGRES = os.environ.get("WATCHER_TEST_POSTGRES_URL", "")
"""A server on which databases may be made; WATCHER_ settings are taken away before a test."""


tables.names()  # loads the modules that have tables of their own
_engines: dict[str, sqlalchemy.Engine] = {}


def engine_that_knows_statements(*given: Any, **options: Any) -> sqlalchemy.Engine:
    """SQLAlchemy's ``create_engine``, for tests. An engine keeps each statement that it has once
    turned into SQL, and every test has a ledger and an engine of its own: without this they turned
    the same two hundred statements into SQL again and again, a fifth of the time of a test."""
    made = sqlalchemy.create_engine(*given, **options)
    first = _engines.setdefault(made.dialect.name, made)
    made.dialect, made._compiled_cache = first.dialect, first._compiled_cache
    return made


for room in (db, server):
    room.create_engine = engine_that_knows_statements  # type: ignore[attr-defined]


KEPT = 6
SHAPE = """
SELECT md5(concat(
  (SELECT version_num FROM alembic_version),
  (SELECT string_agg(concat(attrelid::regclass, attname, atttypid, attnotnull), ',' ORDER BY
     attrelid::regclass::text, attnum) FROM pg_attribute JOIN pg_class ON attrelid = pg_class.oid
   WHERE relnamespace = 'public'::regnamespace AND attnum > 0 AND NOT attisdropped),
  (SELECT string_agg(indexdef, ',' ORDER BY indexdef) FROM pg_indexes
   WHERE schemaname = 'public'),
  (SELECT string_agg(tgname, ',' ORDER BY tgname) FROM pg_trigger WHERE NOT tgisinternal),
  (SELECT string_agg(setconfig::text, ',') FROM pg_db_role_setting JOIN pg_database d
   ON setdatabase = d.oid WHERE d.datname = current_database())))
"""
"""What a database is beside its rows: its version, columns, indexes, triggers, settings."""


class Postgres:
    """Makes and drops databases on the server that the environment names."""

    def __init__(self) -> None:
        self.admin = sqlalchemy.create_engine(POSTGRES, isolation_level="AUTOCOMMIT")
        with self.admin.connect() as connection:
            version = connection.scalar(sqlalchemy.text("SHOW server_version_num"))
        self.copying = " STRATEGY file_copy" if int(str(version)) >= 150_000 else ""
        self._kept: list[str] = []
        self.migrated = f"watcher_{uuid.uuid4().hex[:12]}"
        self._do(f"CREATE DATABASE {self.migrated}")
        migrate(self.url(self.migrated))
        engine = sqlalchemy.create_engine(self.url(self.migrated), poolclass=sqlalchemy.NullPool)
        with engine.connect() as connection:
            self._shape = connection.scalar(sqlalchemy.text(SHAPE))

    def url(self, name: str) -> str:
        made = sqlalchemy.make_url(POSTGRES).set(database=name)
        return made.render_as_string(hide_password=False)

    @contextmanager
    def database(self, template: str) -> Iterator[str]:
        """A database of its own, as a URL; dropped afterwards."""
        name = f"watcher_{uuid.uuid4().hex[:12]}"
        # From version 15 on PostgreSQL writes each page of the copy into its log, unless it is told
        # not to: that took thirty times as long as copying the files.
        self._do(f"CREATE DATABASE {name} TEMPLATE {template}{self.copying}")
        yield self.url(name)
        self._do(f"DROP DATABASE {name} WITH (FORCE)")

    def ledger(self) -> str:
        """The URL of a migrated ledger with nothing in it. To make a database and to drop it costs
        PostgreSQL a checkpoint each, a fourth of the time of a run; so each test process has a few
        and takes them in turns, emptied. That they are several gives what a test has left running
        time to end before its database is another test's."""
        name = self._kept.pop(0) if len(self._kept) == KEPT else None
        if name is not None and not self._emptied(name):
            self._do(f"DROP DATABASE {name} WITH (FORCE)")
            name = None
        if name is None:
            name = f"watcher_{uuid.uuid4().hex[:12]}"
            self._do(f"CREATE DATABASE {name} TEMPLATE {self.migrated}{self.copying}")
        self._kept.append(name)
        return self.url(name)

    def _emptied(self, name: str) -> bool:
        """What a test before has left running is cut off, its rows go, and numbers begin anew.
        False where it has changed more than rows."""
        self._do(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            f"WHERE datname = '{name}' AND pid <> pg_backend_pid()"
        )
        engine = sqlalchemy.create_engine(self.url(name), poolclass=sqlalchemy.NullPool)
        tables = [table.name for table in reversed(Base.metadata.sorted_tables)]
        with engine.begin() as connection:
            found = connection.scalar(sqlalchemy.text(SHAPE))
            if found != self._shape:
                return False
            rows = " ".join(f"DELETE FROM {name};" for name in tables)
            connection.exec_driver_sql(f"DO $$ BEGIN {rows} END $$")
            connection.exec_driver_sql(
                "SELECT setval(seqrelid::regclass, seqstart, false) FROM pg_sequence"
            )
        return True

    def close(self) -> None:
        for name in (*self._kept, self.migrated):
            self._do(f"DROP DATABASE {name} WITH (FORCE)")
        self.admin.dispose()

    def _do(self, statement: str) -> None:
        with self.admin.connect() as connection:
            connection.execute(sqlalchemy.text(statement))


def migrate(url: str) -> None:
    """As `watcher init` and `watcher up` do, and nobody else."""
    ledger = Database(url)
    ledger.migrate()
    ledger.dispose()


def put_migrated(url: str, folder: Path) -> None:
    """Put a migrated ledger where ``url`` says, if that is a file. ``folder`` is one of this test
    process, in which the first one is kept."""
    place = sqlalchemy.make_url(url)
    if place.get_backend_name() != "sqlite" or place.database is None:
        migrate(url)
        return
    path = Path(place.database)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    shutil.copy(_migrated_file(folder), path)


@lru_cache(maxsize=1)
def _migrated_file(folder: Path) -> Path:
    path = folder / "migrated.sqlite3"
    migrate(f"sqlite:///{path}")
    # What is still in the WAL goes into the file with the last connection.
    assert not path.with_name(path.name + "-wal").exists()
    return path


def mirrored(session: Session, email: str, since: datetime) -> Calendar:
    """An account by delegation, and its calendar, which owes nothing."""
    account = accounts.add(
        session, email=email, source="service-account", state=AccountState.ACTIVE, now=since
    )
    calendar = calendars.add(session, account.id, account.email, since)
    calendar.state, calendar.synced_seq = CalendarState.OK, calendar.dirty_seq
    calendar.snapshot_seq = 0
    return calendar
