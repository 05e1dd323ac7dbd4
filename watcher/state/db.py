"""The ledger's engine: SQLite in WAL mode by default, PostgreSQL by setting; migrations."""

from __future__ import annotations

import fcntl
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, OperationalError
from sqlalchemy.orm import Session, sessionmaker

from watcher.errors import ExitCode, LedgerAway, UserError, WatcherError

MIGRATIONS = Path(__file__).parent / "migrations"
BUSY_MS = 15_000


class Database:
    """One engine per process; make it after a fork, never before.

    ``session()`` is one transaction: committed on a clean exit, rolled back on an error.
    """

    def __init__(self, url: str) -> None:
        try:
            self._url = make_url(url)
        except ArgumentError as error:
            raise UserError(
                "WATCHER_DATABASE_URL is not a SQLAlchemy URL",
                next_step="e.g. postgresql+psycopg://watcher@127.0.0.1/watcher",
            ) from error
        self.is_sqlite = self._url.get_backend_name() == "sqlite"
        self.engine = _sqlite(url) if self.is_sqlite else _server(url)
        self._sessions = sessionmaker(self.engine, expire_on_commit=False)

    def __repr__(self) -> str:
        return f"Database({self._url.render_as_string(hide_password=True)})"

    @contextmanager
    def session(self) -> Iterator[Session]:
        """One transaction. Raises ``LedgerAway`` when the database is away."""
        try:
            with self._sessions.begin() as session:
                yield session
        except OperationalError as error:
            # The statement's parameters may hold secrets: only the driver's own words go out.
            reason = str(error.orig).splitlines()[0] if error.orig else "no answer"
            raise LedgerAway(f"the ledger did not answer: {reason}") from None

    def now_epoch(self, session: Session) -> float:
        """Epoch seconds by the database's clock: leases of several machines agree on it."""
        statement = (
            "SELECT (julianday('now') - 2440587.5) * 86400.0"
            if self.is_sqlite
            else "SELECT extract(epoch from clock_timestamp())"
        )
        return float(session.execute(text(statement)).scalar_one())

    def migrate(self) -> None:
        """Bring the ledger to this version; two processes at once don't race.

        Raises ``UserError`` when the ledger is newer than this program.
        """
        if self.revision() == _head():
            return
        with self._migration_lock() as connection:
            config = _alembic()
            _refuse_newer(connection)
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    def revision(self) -> str | None:
        try:
            with self.engine.connect() as connection:
                return MigrationContext.configure(connection).get_current_revision()
        except OperationalError as error:
            reason = str(error.orig).splitlines()[0] if error.orig else "no answer"
            raise WatcherError(
                f"cannot open the ledger: {reason}",
                next_step="check WATCHER_DATABASE_URL and that the database runs",
                exit_code=ExitCode.UNAVAILABLE,
            ) from None

    @contextmanager
    def _migration_lock(self) -> Iterator[Connection]:
        """SQLite's own transactions do not cover Alembic's DDL batches, hence a file lock."""
        if not self.is_sqlite:
            with self.engine.connect() as connection:
                connection.execute(text("SELECT pg_advisory_lock(723010)"))
                connection.commit()
                try:
                    with connection.begin():
                        yield connection
                finally:
                    connection.execute(text("SELECT pg_advisory_unlock(723010)"))
                    connection.commit()
            return
        lock = Path(str(self._url.database) + ".migrate.lock")
        with lock.open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            with self.engine.begin() as connection:
                yield connection

    def dispose(self) -> None:
        self.engine.dispose()


def _sqlite(url: str) -> Engine:
    database = make_url(url).database
    if database and database != ":memory:":
        Path(database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, connect_args={"timeout": BUSY_MS / 1000}, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def _pragmas(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves, see below
        cursor = connection.cursor()
        for pragma in ("synchronous=FULL", "foreign_keys=ON", f"busy_timeout={BUSY_MS}"):
            cursor.execute(f"PRAGMA {pragma}")
        _use_wal(cursor)
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A transaction that reads first and writes later would fail with "database is locked"
        # at once (SQLITE_BUSY_SNAPSHOT); taking the write lock first makes it wait instead.
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _use_wal(cursor: sqlite3.Cursor) -> None:
    """The one statement that does not wait for a lock: on a new file, when several processes
    begin together, it is asked for again."""
    deadline = time.monotonic() + BUSY_MS / 1000
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


def _server(url: str) -> Engine:
    return create_engine(
        url,
        pool_pre_ping=True,
        pool_size=5,
        hide_parameters=True,
        connect_args={"connect_timeout": 5},
    )


def _alembic() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config


def _head() -> str | None:
    return ScriptDirectory.from_config(_alembic()).get_current_head()


def _refuse_newer(connection: Connection) -> None:
    current = MigrationContext.configure(connection).get_current_revision()
    known = {s.revision for s in ScriptDirectory.from_config(_alembic()).walk_revisions()}
    if current is not None and current not in known:
        raise UserError(
            f"the ledger was written by a newer Watcher (revision {current})",
            next_step="install that version again, or restore a backup of the ledger",
        )
