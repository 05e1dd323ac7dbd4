"""What cron and the status document ask of a ledger with many calendars.

Fills a database of its own with calendars that are up to date, but for one in a hundred that is due
or in trouble, and calls what the ticker and ``watcher status`` call. For each: the time (median of
several), how many statements, and the tables that PostgreSQL reads from end to end although they
grow with the company. Machines are noisy: compare the sizes within one run.

    .venv/bin/python benchmarks/fleet_queries.py POSTGRES_URL [calendars ...]

The URL names a server on which a database may be made; it is dropped at the end.
"""

from __future__ import annotations

import statistics
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy
from sqlalchemy import event, text
from sqlalchemy.orm import Session

from watcher.ledger import accounts, aside, channels, due, late, overview, runs
from watcher.ledger.db import Database

ROUNDS = 5
GROWING = ("accounts", "calendars", "channels", "runs")
RUNS_EACH = 20
FILL = """
INSERT INTO accounts (id, email, source, state, cause, since, granted_scopes, on_disconnect,
                      created_at, refresh_claimed_until, access_expires_at)
SELECT n, 'employee' || n || '@scoopjoy.test', 'service-account',
       CASE WHEN n % 500 = 0 THEN 'needs_reconnect' ELSE 'active' END, '', :now, '', '', :now, 0,
       CAST(:now AS timestamptz) + interval '1 second' * (600 + n % 3000)
FROM generate_series(1, :many) n;
INSERT INTO calendars (id, account_id, google_id, query_fingerprint, time_zone, policy_fingerprint,
                       sync_token, dirty_seq, synced_seq, dirty_reason, snapshot_seq, lease_until,
                       fence, state, cause, message, step, since, failures, watch_failures, removed,
                       rows_seen, last_success_at, next_poll_at, next_reconcile_at, retry_at)
SELECT n, n, 'employee' || n || '@scoopjoy.test', '', 'UTC', '', 'token',
       CASE WHEN n % 400 = 0 THEN 8 ELSE 7 END, 7, '', 0, 0, 0,
       CASE WHEN n % 400 = 0 THEN 'retrying' ELSE 'ok' END, '', '', '', :now,
       CASE WHEN n % 400 = 0 THEN 1 ELSE 0 END, 0, false, '',
       CAST(:now AS timestamptz) - interval '1 second' * (n % 1800),
       CAST(:now AS timestamptz) + interval '1 second' * (1800 - n % 1810),
       CAST(:now AS timestamptz) + interval '1 second' * (86400 - n % 86500),
       CASE WHEN n % 400 = 0 THEN CAST(:now AS timestamptz) + interval '30 seconds' END
FROM generate_series(1, :many) n;
INSERT INTO channels (id, calendar_id, resource_id, token_hash, state, requested_at, opened_at,
                      expires_at, renew_at, heard_at, last_message_at, error)
SELECT 'channel-' || n || '-' || g, n, 'resource', 'hash',
       CASE WHEN g = 0 THEN 'live' ELSE 'stopped' END,
       opened, opened, opened + interval '7 days', opened + interval '6 days', opened, opened, ''
FROM generate_series(1, :many) n, generate_series(0, 2) g,
     LATERAL (SELECT CAST(:now AS timestamptz) - interval '7 days' * g
              - interval '1 second' * (n % 500000) AS opened) o;
INSERT INTO runs (calendar_id, kind, reason, started_at, seconds, pages, items, created, updated,
                  cancelled, unchanged, skipped, refused, lag_received, lag_google, error)
SELECT n, 'delta', 'push', CAST(:now AS timestamptz) - interval '1 second' * (g * 4000 + n % 4000),
       0.2, 1, 1, 0, 1, 0, 0, 0, 0, 0.3, 2.0, ''
FROM generate_series(1, :many) n, generate_series(1, :each) g;
ANALYZE;
"""


@dataclass
class Asked:
    """What one piece of work asked the ledger."""

    seconds: list[float] = field(default_factory=list)
    statements: int = 0
    scanned: set[str] = field(default_factory=set)


@contextmanager
def ledger(server: str, many: int) -> Iterator[Database]:
    """A ledger of ``many`` calendars."""
    admin = sqlalchemy.create_engine(server, isolation_level="AUTOCOMMIT")
    name = f"watcher_bench_{uuid.uuid4().hex[:8]}"
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    url = sqlalchemy.make_url(server).set(database=name).render_as_string(hide_password=False)
    db = Database(url)
    try:
        db.migrate()
        values = {"now": datetime.now(UTC), "many": many, "each": RUNS_EACH}
        with sqlalchemy.create_engine(url, isolation_level="AUTOCOMMIT").connect() as connection:
            for statement in FILL.split(";\n"):
                if statement.strip():
                    wanted = {k: v for k, v in values.items() if f":{k}" in statement}
                    connection.execute(text(statement), wanted)
            connection.engine.dispose()
        yield db
    finally:
        db.dispose()
        with admin.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        admin.dispose()


def works(db: Database) -> dict[str, Callable[[Session], object]]:
    """What is asked of the ledger, by who asks."""
    now = datetime.now(UTC)
    return {
        "sweep": lambda session: due.to_ring(db, session, now, ()),
        "poll": lambda session: due.due_for_poll(session, now, 500, 30),
        "reconcile": lambda session: due.due_for_reconcile(session, now, 500),
        "aside": lambda session: aside.due(session, now, 500),
        "late": lambda session: late.due(session, now, 500),
        "renew": lambda session: channels.calendars_due(session, now),
        "expire": lambda session: channels.expire(session, now),
        "stop": lambda session: channels.to_stop(session, now),
        "refresh": lambda session: accounts.due_for_refresh(
            session, now + timedelta(minutes=10), now
        ),
        "status": lambda session: overview.status(db, session, now, {"live": 0, "backfill": 0}),
    }


def measure(db: Database, work: Callable[[Session], object]) -> Asked:
    found = Asked()
    sent: list[tuple[str, Any]] = []

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        sent.append((statement, parameters))

    for _ in range(ROUNDS):
        sent.clear()
        event.listen(db.engine, "before_cursor_execute", note)
        begun = time.perf_counter()
        with db.session() as session:
            work(session)
        found.seconds.append(time.perf_counter() - begun)
        event.remove(db.engine, "before_cursor_execute", note)
    found.statements = len(sent)
    with db.engine.connect() as connection:
        for statement, parameters in sent:
            if statement.lstrip().upper().startswith(("SELECT", "UPDATE", "DELETE", "WITH")):
                plan = connection.exec_driver_sql(f"EXPLAIN {statement}", parameters)
                lines = " ".join(str(row[0]) for row in plan)
                found.scanned |= {table for table in GROWING if f"Seq Scan on {table}" in lines}
        connection.rollback()
    return found


def main() -> int:
    if len(sys.argv) < 2:
        print(__doc__)
        return 2
    server, sizes = sys.argv[1], [int(each) for each in sys.argv[2:]] or [5_000, 100_000]
    found: dict[str, dict[int, Asked]] = {}
    for many in sizes:
        with ledger(server, many) as db:
            for name, work in works(db).items():
                found.setdefault(name, {})[many] = measure(db, work)
            begun = time.perf_counter()
            pruned = runs.prune(db, datetime.now(UTC) + timedelta(days=1))
            print(f"{many:,} calendars: prune took {time.perf_counter() - begun:.2f} s ({pruned})")
    heads = "".join(f"{many:>14,} calendars" for many in sizes)
    print(f"{'':12}{heads}   statements, tables read from end to end")
    for name, by_size in found.items():
        medians = [statistics.median(asked.seconds) * 1000 for asked in by_size.values()]
        cells = "".join(f"{each:21,.1f} ms" for each in medians)
        last = by_size[sizes[-1]]
        print(f"{name:12}{cells}   {last.statements}, {', '.join(sorted(last.scanned)) or 'none'}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
