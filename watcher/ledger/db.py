"""The ledger's engine: SQLite in WAL mode by default, PostgreSQL by setting; migrations."""

from __future__ import annotations

import fcntl
import importlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import (
    Connection,
    Engine,
    create_engine,
    event,
    inspect,
    make_url,
    select,
    text,
)
from sqlalchemy.exc import ArgumentError, DatabaseError
from sqlalchemy.orm import Session, sessionmaker

from watcher import errors
from watcher.ledger import often, refusals, server
from watcher.ledger.clock import epoch_now
from watcher.ledger.ledger_file import LedgerFile, damage, damaged, private_opener
from watcher.ledger.prepared import Query
from watcher.ledger.quick import AUTOCOMMIT, Ask, Quick, Row, Stale
from watcher.ledger.together import Together

T = TypeVar("T")
MIGRATIONS = Path(__file__).parent / "migrations"
REVISIONS = sorted(path.name.partition("_")[0] for path in MIGRATIONS.glob("versions/[0-9]*_*.py"))
"""All that this version knows, oldest first: a migration's file begins with its revision."""
BUSY_MS = 15_000
LEAST_FREE_BYTES = 1_000_000
LOCKED: dict[str, Any] = {"key_share": True}
"""Options of ``with_for_update``: nobody else changes the row until the transaction ends, but rows
that point to it can be written. Without them PostgreSQL would lock the row's key as well, which it
shares whenever a calendar is changed twice in a transaction: it looks then whether the account is
there, with the calendar locked already, while others lock the account first."""


POSTGRESQL = ("postgresql", "postgresql+psycopg")
_NOW = select(epoch_now())


class Database:
    """One engine per process; make it after a fork, never before.

    ``session()`` is one transaction that may write: committed on a clean exit, rolled back on an
    error. ``reading()`` is one that only reads, and keeps no writer waiting.
    """

    def __init__(self, url: str) -> None:
        try:
            self._url = make_url(url)
        except (ArgumentError, ValueError) as error:  # the second of a port that is no number
            raise refusals.no_database(
                errors.sentence("WATCHER_DATABASE_URL is not a SQLAlchemy URL")
            ) from error
        self.is_sqlite = self._url.get_backend_name() == "sqlite"
        if not self.is_sqlite and self._url.drivername not in POSTGRESQL:
            raise refusals.no_database(
                errors.sentence(
                    "WATCHER_DATABASE_URL begins with %(kind)s://, which Watcher does not take",
                    kind=self._url.drivername,
                )
            )
        name = self._url.database if self.is_sqlite else None
        self._file = LedgerFile(Path(name)) if name and name != ":memory:" else None
        self.engine = _sqlite(url, self._file) if self.is_sqlite else server.engine(url)
        self._sessions = sessionmaker(self.engine, expire_on_commit=False)
        self._reader = self.engine.execution_options(reads_only=True, postgresql_readonly=True)
        self._readings = sessionmaker(self._reader, expire_on_commit=False)
        self._quick = Quick(self._quick_engine, self._begins)
        self._together: Together[Row | None] = Together()

    def __repr__(self) -> str:
        return f"Database({self._url.render_as_string(hide_password=True)})"

    @contextmanager
    def session(self) -> Iterator[Session]:
        """One transaction. Raises ``LedgerAway`` when the database is away, or its
        file is gone, replaced or damaged."""
        with self._transaction(self._sessions) as session:
            yield session

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """One transaction that only reads. On SQLite it takes no lock that a writer waits for, and
        it sees the ledger as of its first statement; PostgreSQL is told that it is ``READ ONLY``.

        Raises ``RuntimeError`` when it is asked to write, and ``LedgerAway`` as ``session`` does.
        """
        with self._transaction(self._readings) as session:
            try:
                yield session
                session.flush()
            except DatabaseError as error:
                if not _is_refused_write(error):
                    raise
                raise RuntimeError("Database.reading() is no place for a write") from error

    def glance(self, statement: Query, values: Mapping[str, Any], key: str = "") -> Row | None:
        """The first row of a statement that only reads, outside of any transaction, or None: for
        what is asked many times a second. It waits for no writer, and costs a tenth of ``reading``.
        With ``key`` threads that ask at once for the same, whatever the other values, share a look
        that is begun after each of them has come.
        The row is as the driver gives it: words for enums, numbers for truth values.

        Raises ``LedgerAway`` as ``session`` does.
        """
        with self._named():
            if key:
                ask = partial(self._quick.look, statement, values)
                return self._together.ask((statement, key), ask)
            return self._quick.look(statement, values)

    def at_once(self, act: Callable[[Ask], T]) -> T:
        """One transaction that may write, committed when this returns: for what is written many
        times a second. It costs a fifth of ``session``. ``act`` is handed the way to ask, and may
        be called twice. The rows are as those of ``glance``.

        Raises ``LedgerAway`` as ``session`` does.
        """
        try:
            with self._named():
                return self._quick.write(act)
        except Stale:
            with self.session() as session:
                return act(lambda query, values: often.run(session, query, values).first())

    def _quick_engine(self) -> Engine:
        """Nobody asks first whether a connection still stands: that would double what a look at
        PostgreSQL takes."""
        url = self._url.render_as_string(hide_password=False)
        if self.is_sqlite:
            return _sqlite_engine(url, self._file, **AUTOCOMMIT)
        return server.engine(url, pool_pre_ping=False, **AUTOCOMMIT)

    def _begins(self, info: Mapping[str, Any]) -> str:
        return "BEGIN IMMEDIATE" if self.is_sqlite else server.begin(info)

    @contextmanager
    def _transaction(self, sessions: sessionmaker[Session]) -> Iterator[Session]:
        with self._named(), sessions.begin() as session:
            yield session

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Raises ``LedgerAway`` for what the database or its driver raises within, unless it is an
        error of ours in a statement."""
        if self._file is not None:
            self._file.check()
        try:
            yield
        except (DatabaseError, self._driver.Error) as error:
            failure = self._failure(error.orig if isinstance(error, DatabaseError) else error)
            if failure is None:
                raise
            raise failure from None

    def _failure(self, error: BaseException | None) -> errors.LedgerAway | None:
        """What an error of the driver's comes to; None for an error of ours in a statement."""
        words = damage(error)
        if words and self._file is not None:
            return damaged(self._file.path, words)
        reason = refusals.why(error)
        if reason == refusals.NO_WRITES:
            return errors.LedgerAway(reason)
        if not isinstance(error, self._driver.OperationalError) and not self._is_broken_off(error):
            return None
        own = reason == refusals.FULL
        said = errors.sentence("the ledger did not answer: %(reason)s", reason=reason)
        return errors.LedgerAway(reason if own else said, reason=reason)

    def _is_broken_off(self, error: BaseException | None) -> bool:
        """The driver does not count it as the server's: by SQLSTATE, or, behind a pooler, none at
        all, since two answers came to one statement."""
        mine = isinstance(error, self._driver.InternalError) and not self.is_sqlite
        return mine and getattr(error, "sqlstate", None) in (None, refusals.BROKEN_OFF)

    @property
    def _driver(self) -> Any:
        """The module, by whose classes its errors are told apart."""
        return self.engine.dialect.loaded_dbapi

    def now_epoch(self, session: Session) -> float:
        """Epoch seconds by the database's clock: leases of several machines agree on it."""
        return float(session.connection().scalar(_NOW) or 0.0)

    def probe(self) -> None:
        """Find out whether the ledger takes a write, by one that changes nothing. Raises
        ``LedgerAway`` when it does not, or when the disk is full."""
        with self.session() as session:
            if not self.is_sqlite and session.scalar(text("SHOW transaction_read_only")) == "on":
                raise errors.LedgerAway(refusals.NO_WRITES)
            session.execute(text("DELETE FROM ticks WHERE name = ''"))
        if self.is_sqlite and self._url.database:
            disk = os.statvfs(Path(self._url.database).parent)
            if disk.f_bavail * disk.f_frsize < LEAST_FREE_BYTES:
                raise errors.LedgerAway(refusals.FULL)

    def migrate(self, *, make: bool = True) -> None:
        """Bring the ledger to this version; two processes at once don't race. Without ``make`` one
        that is not there is not made.

        Raises ``UserError`` when the ledger is newer than this program, ``WatcherError`` when there
        is none, ``LedgerAway`` when it takes no writes, as on a full disk.
        """
        try:
            self._migrate(make)
        except DatabaseError as error:
            failure = self._failure(error.orig)
            if failure is None:
                raise
            raise failure from None

    def _migrate(self, make: bool) -> None:
        if self._file is not None:
            if make:
                self._file.make()
            self._file.require()
        revision = self.revision()
        if revision == REVISIONS[-1]:
            return
        if revision is None and not make:
            raise refusals.none_yet(self._url.render_as_string(hide_password=True))
        with self._migration_lock() as connection:
            _refuse_newer(connection)
            # Alembic takes a tenth of a second to load and is needed once for each version.
            importlib.import_module("watcher.ledger.migrations.run").upgrade(connection)

    def revision(self) -> str | None:
        try:
            with self._reader.connect() as connection:
                return _current(connection)
        except DatabaseError as error:
            failure = self._failure(error.orig)
            if failure is None:
                raise
            raise refusals.not_opened(failure) from None

    def form(self) -> tuple[str | None, bool]:
        """The revision of the ledger, None where there is none yet; and whether it is the newest.

        Raises ``UserError`` when the ledger is newer than this program, ``WatcherError`` when it
        cannot be opened.
        """
        if self._file is not None and not self._file.path.exists():
            return None, False
        found = self.revision()
        with self._reader.connect() as connection:
            _refuse_newer(connection)
        return found, found == REVISIONS[-1]

    def examine(self) -> None:
        """Look through an SQLite file for damage. Raises ``Transient``."""
        if self._file is None:
            return
        with self.reading() as session:
            found = session.scalar(text("PRAGMA quick_check(1)"))
        if found != "ok":
            raise damaged(self._file.path, " ".join(str(found).split())[:200])

    @contextmanager
    def _migration_lock(self) -> Iterator[Connection]:
        """SQLite's own transactions do not cover Alembic's DDL batches, hence a file lock."""
        if not self.is_sqlite:
            with self.engine.begin() as connection:
                connection.execute(text(server.NO_LIMITS))
                connection.execute(text("SELECT pg_advisory_xact_lock(723010)"))
                yield connection
            return
        lock = Path(str(self._url.database) + ".migrate.lock")
        with open(lock, "w", opener=private_opener) as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            with self.engine.begin() as connection:
                yield connection

    def dispose(self) -> None:
        self.engine.dispose()
        self._quick.dispose()


def _sqlite_engine(url: str, file: LedgerFile | None, **options: Any) -> Engine:
    wait = {"timeout": BUSY_MS / 1000}
    engine = create_engine(url, connect_args=wait, hide_parameters=True, **options)

    if file is not None:

        @event.listens_for(engine, "do_connect")
        def _never_make(_dialect: Any, _record: Any, cargs: Any, cparams: Any) -> None:
            file.check()
            cargs[:], cparams["uri"] = [file.uri], True

    @event.listens_for(engine, "connect")
    def _pragmas(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves, see below
        cursor = connection.cursor()
        for pragma in ("synchronous=FULL", "foreign_keys=ON", f"busy_timeout={BUSY_MS}"):
            cursor.execute(f"PRAGMA {pragma}")
        _use_wal(cursor)
        cursor.close()

    return engine


def _sqlite(url: str, file: LedgerFile | None) -> Engine:
    engine = _sqlite_engine(url, file)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        reads_only = bool(connection.get_execution_options().get("reads_only"))
        # The connections of the pool serve both kinds, hence it is said whenever that changes.
        if connection.info.get("reads_only") is not reads_only:
            connection.info.pop("reads_only", None)
            connection.exec_driver_sql(f"PRAGMA query_only={'ON' if reads_only else 'OFF'}")
            connection.info["reads_only"] = reads_only
        # A transaction that reads first and writes later would fail with "database is locked"
        # at once (SQLITE_BUSY_SNAPSHOT); taking the write lock first makes it wait instead.
        connection.exec_driver_sql("BEGIN" if reads_only else "BEGIN IMMEDIATE")

    return engine


def _is_refused_write(error: DatabaseError) -> bool:
    """Whether a transaction that only reads was asked to write."""
    code = getattr(error.orig, "sqlite_errorcode", None)
    return code == sqlite3.SQLITE_READONLY or getattr(error.orig, "sqlstate", None) == "25006"


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


def _current(connection: Connection) -> str | None:
    """The ledger's revision, as Alembic notes it; None before the first migration."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return found


def _refuse_newer(connection: Connection) -> None:
    current = _current(connection)
    if current is not None and current not in REVISIONS:
        raise refusals.newer(current)
