"""The engine of a ledger in PostgreSQL, directly or through a pooler such as PgBouncer.

A pooler in transaction mode hands each transaction to any of its connections. What belongs to a
connection (a prepared statement, ``SET``) is then not there in the next one
(https://www.pgbouncer.org/features.html), so it is not relied on there.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event

STATEMENT_SECONDS = 30
"""How long one statement may take, waits for locks included; then the ledger counts as away.
Migrations have no limit."""
_POOLED = "behind a pooler"


def engine(url: str, **options: Any) -> Engine:
    """Nothing is compiled (``jit``): with many calendars PostgreSQL takes half a second to compile
    what it then does in a tenth. The connections find out by themselves whether they lead through a
    pooler: its answer to a new client names another process than the one that serves the
    statement."""
    made = create_engine(
        url,
        hide_parameters=True,
        connect_args={"connect_timeout": 5},
        **{"pool_pre_ping": True, "pool_size": 5, **options},
    )

    @event.listens_for(made, "connect")
    def _greet(connection: Any, record: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT pg_backend_pid(), set_config('jit', 'off', false),"
                f" set_config('statement_timeout', '{STATEMENT_SECONDS}s', false)"
            )
            served_by = cursor.fetchone()[0]
        connection.commit()
        record.info[_POOLED] = served_by != connection.info.backend_pid
        if record.info[_POOLED]:
            connection.prepare_threshold = None

    @event.listens_for(made, "begin")
    def _limit(connection: Connection) -> None:
        if connection.info.get(_POOLED):
            connection.exec_driver_sql(
                f"SET LOCAL jit = off; SET LOCAL statement_timeout = '{STATEMENT_SECONDS}s'"
            )

    return made
