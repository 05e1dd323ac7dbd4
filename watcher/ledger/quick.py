"""What is asked of the ledger, and written, a hundred times a second: by the database's driver
itself, on connections of its own, whose statements are a transaction each unless one is begun.

SQLAlchemy puts each statement together anew, makes a session and a transaction of objects, and asks
first whether a connection of the pool still stands: that takes several times as long as the
database takes. So it is called here only when the driver fails.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import Engine

from watcher.ledger.prepared import Prepared, Query

T = TypeVar("T")
Row = Sequence[Any]
"""As the driver gives it: words for enums, numbers for truth values."""
Ask = Callable[[Query, Mapping[str, Any]], Row | None]
"""Carries out one statement; gives the first of its rows."""

AUTOCOMMIT: dict[str, Any] = {
    "isolation_level": "AUTOCOMMIT",
    "pool_reset_on_return": None,
    "pool_size": 8,
}
"""Options of the engine: nothing is begun or ended by itself."""


class Stale(Exception):
    """The connection broke before anything was written: once more on another one."""


class Quick:
    """``make`` makes the engine when it is first needed; ``begin`` has the words that begin a
    transaction on a connection of which this is the ``info``. Thread-safe."""

    def __init__(
        self, make: Callable[[], Engine], begin: Callable[[Mapping[str, Any]], str]
    ) -> None:
        self._make, self._begin = make, begin
        self._lock = threading.Lock()
        self._engine: Engine | None = None
        self._prepared: dict[Query, Prepared] = {}

    def look(self, statement: Query, values: Mapping[str, Any]) -> Row | None:
        """The first row of a statement that only reads. When the driver fails, the statement is
        made once more on a new connection, by SQLAlchemy, which has a name for what is wrong."""
        engine, query = self.engine, self._of(statement)
        connection = engine.raw_connection()
        try:
            cursor = connection.cursor()
            cursor.execute(query.sql, query.given(values))
            row: Row | None = cursor.fetchone()
            cursor.close()
        except engine.dialect.loaded_dbapi.Error:
            connection.invalidate()
        else:
            return row
        finally:
            connection.close()
        with engine.connect() as again:
            return again.exec_driver_sql(query.sql, query.given(values)).first()

    def write(self, act: Callable[[Ask], T]) -> T:
        """What ``act`` returns, which is handed the way to ask: all of it is one transaction, and
        committed when this returns. Raises the driver's own errors, and ``Stale``."""
        engine = self.engine
        connection = engine.raw_connection()
        is_ending = False
        try:
            cursor = connection.cursor()

            def ask(statement: Query, values: Mapping[str, Any]) -> Row | None:
                query = self._of(statement)
                cursor.execute(query.sql, query.given(values))
                row: Row | None = cursor.fetchone()
                return row

            cursor.execute(self._begin(connection.info))
            done = act(ask)
            is_ending = True
            cursor.execute("COMMIT")
            cursor.close()
        except BaseException as error:
            is_gone = isinstance(error, engine.dialect.loaded_dbapi.Error) and (
                engine.dialect.is_disconnect(error, connection.dbapi_connection, None)
            )
            connection.invalidate()  # which also rolls back
            if is_gone and not is_ending:
                raise Stale from error
            raise
        finally:
            connection.close()
        return done

    @property
    def engine(self) -> Engine:
        with self._lock:
            if self._engine is None:
                self._engine = self._make()
            return self._engine

    def _of(self, statement: Query) -> Prepared:
        known = self._prepared.get(statement)
        if known is None:
            known = self._prepared[statement] = Prepared.of(statement, self.engine)
        return known

    def dispose(self) -> None:
        with self._lock:
            if self._engine is not None:
                self._engine.dispose()
