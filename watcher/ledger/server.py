"""The engine of a ledger in PostgreSQL, directly or through a pooler such as PgBouncer.

A pooler in transaction mode hands each transaction to any of its connections. What belongs to a
connection (a prepared statement, ``SET``) is then not there in the next one
(https://www.pgbouncer.org/features.html), so it is not relied on there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url

STATEMENT_SECONDS = 30
"""How long one statement may take, waits for locks included; then the ledger counts as away.
Migrations have no limit."""
SILENT_SECONDS = 15
"""How long a transaction may wait for its next statement. A machine that is cut off between two
statements would else keep what it has locked from all others until PostgreSQL misses it, which
takes two hours by default: each pass counts in the same few rows. Shorter than
``STATEMENT_SECONDS``, so that those who wait go on."""
REACH: Mapping[str, int] = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
"""For libpq, where the URL says nothing of it: so soon a PostgreSQL that no longer answers counts
as away, here by seconds and last by milliseconds."""
_SILENT = "idle_in_transaction_session_timeout"
NO_LIMITS = f"SET LOCAL statement_timeout = 0; SET LOCAL {_SILENT} = 0"
_POOLED = "behind a pooler"


def engine(url: str, **options: Any) -> Engine:
    """Nothing is compiled (``jit``): with many calendars PostgreSQL takes half a second to compile
    what it then does in a tenth. The connections find out by themselves whether they lead through a
    pooler: its answer to a new client names another process than the one that serves the
    statement."""
    made = create_engine(
        url,
        hide_parameters=True,
        connect_args={k: v for k, v in REACH.items() if k not in make_url(url).query},
        **{"pool_pre_ping": True, "pool_size": 5, **options},
    )

    @event.listens_for(made, "connect")
    def _greet(connection: Any, record: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT pg_backend_pid(), set_config('jit', 'off', false),"
                f" set_config('statement_timeout', '{STATEMENT_SECONDS}s', false),"
                f" set_config('{_SILENT}', '{SILENT_SECONDS * 1000:.0f}', false)"
            )
            served_by = cursor.fetchone()[0]
        connection.commit()
        record.info[_POOLED] = served_by != connection.info.backend_pid
        if record.info[_POOLED]:
            connection.prepare_threshold = None

    @event.listens_for(made, "begin")
    def _limit(connection: Connection) -> None:
        if connection.info.get(_POOLED):
            connection.exec_driver_sql(_limits())

    return made


def begin(info: Mapping[str, Any]) -> str:
    """The words that begin a transaction on a connection of which this is the ``info``."""
    return f"BEGIN; {_limits()}" if info.get(_POOLED) else "BEGIN"


def _limits() -> str:
    return (
        f"SET LOCAL jit = off; SET LOCAL statement_timeout = '{STATEMENT_SECONDS}s'; "
        f"SET LOCAL {_SILENT} = '{SILENT_SECONDS * 1000:.0f}'"
    )
