"""What cron and the status document ask of a ledger with many calendars; and how long a
notification waits while another process makes that document, or has every calendar owe a look."""

from __future__ import annotations

import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import sqlalchemy
from sqlalchemy import event, text, update
from sqlalchemy.orm import Session

from benchmarks.company import postgres
from benchmarks.rows import NOT_ASKED, Options, Row
from benchmarks.table import Figure, Goal, between, number
from watcher.ledger import (
    accounts,
    aside,
    budget,
    counters,
    due,
    inbox,
    late,
    marks,
    opening,
    overview,
    owing,
    renewals,
)
from watcher.ledger.db import Database
from watcher.ledger.models import Account, Calendar, Channel
from watcher.ledger.secrets import digest

GROWING = ("accounts", "calendars", "channels", "runs")
RUNS_EACH = 20
NOTIFICATIONS, PAUSE = 20, 0.2
FILL = """
INSERT INTO accounts (id, email, source, state, cause, since, granted_scopes, on_disconnect,
                      created_at, refresh_claimed_until, access_expires_at, informed_at)
SELECT n, 'employee' || n || '@scoopjoy.test', 'service-account',
       CASE WHEN n % 500 = 0 THEN 'needs_reconnect' ELSE 'active' END, '', :now, '', '', :now, 0,
       CAST(:now AS timestamptz) + interval '1 second' * (600 + n % 3000),
       CASE WHEN n % 400 <> 0 THEN CAST(:now AS timestamptz) END
FROM generate_series(1, :many) n;
INSERT INTO calendars (id, account_id, google_id, query_fingerprint, time_zone, policy_fingerprint,
                       sync_token, dirty_seq, synced_seq, dirty_reason, snapshot_seq, lease_until,
                       fence, state, cause, message, step, since, failures, watch_failures, removed,
                       rows_seen, last_success_at, next_poll_at, next_reconcile_at, retry_at,
                       watch_due_at)
SELECT n, n, 'employee' || n || '@scoopjoy.test', '', 'UTC', '', 'token',
       CASE WHEN n % 400 = 0 THEN 8 ELSE 7 END, 7, '', 0, 0, 0,
       CASE WHEN n % 400 = 0 THEN 'retrying' ELSE 'ok' END, '', '', '', :now,
       CASE WHEN n % 400 = 0 THEN 1 ELSE 0 END, 0, false, '',
       CAST(:now AS timestamptz) - interval '1 second' * (n % 1800),
       CAST(:now AS timestamptz) + interval '1 second' * (1800 - n % 1810),
       CAST(:now AS timestamptz) + interval '1 second' * (86400 - n % 86500),
       CASE WHEN n % 400 = 0 THEN CAST(:now AS timestamptz) + interval '30 seconds' END,
       CAST(:now AS timestamptz) - interval '1 second' * (n % 500000) + interval '6 days'
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
INSERT INTO marks (calendar_id, how, since, after)
SELECT n, 'set', CAST(:now AS timestamptz) - interval '2 days', ''
FROM generate_series(500, :many, 500) n;
VACUUM ANALYZE;
"""


# --- what is asked of many calendars ------------------------------------------------------


@dataclass
class Asked:
    """What one piece of work asked the ledger; milliseconds."""

    took: list[float] = field(default_factory=list)
    statements: int = 0
    scanned: set[str] = field(default_factory=set)


@contextmanager
def filled(options: Options, many: int) -> Iterator[Database]:
    """A ledger of ``many`` calendars that are up to date, but for one in a hundred that is due or
    in trouble."""
    with postgres(options) as url:
        db = Database(url)
        db.migrate()
        fill_up(url, many, RUNS_EACH)
        try:
            yield db
        finally:
            db.dispose()


def fill_up(url: str, many: int, each: int) -> None:
    """``each``: passes of a calendar that the diary has."""
    values = {"now": datetime.now(UTC), "many": many, "each": each}
    engine = sqlalchemy.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in FILL.split(";\n"):
            if statement.strip():
                wanted = {k: v for k, v in values.items() if f":{k}" in statement}
                connection.execute(text(statement), wanted)
    engine.dispose()


STATUS = "the status document"
Work = Callable[[Database, Session, datetime], object]
WORKS: dict[str, Work] = {
    "work that waits for no worker": lambda db, session, now: due.to_ring(db, session, now, ()),
    "polls that are due": lambda _, session, now: due.due_for_poll(session, now, 500, 30),
    "daily listings that are due": lambda _, session, now: due.due_for_reconcile(session, now, 500),
    "events to be tried again": lambda _, session, now: aside.due(session, now, 500),
    "writes that were not answered": lambda _, session, now: late.due(session, now, 500),
    "how often is polled": lambda _, session, now: budget.poll_minutes(
        session, 30, budget.DAY_LINE, now
    ),
    "channels to be renewed or opened": lambda _, session, now: renewals.calendars_due(
        session, now
    ),
    "channels that have ended": lambda _, session, now: renewals.expire(session, now),
    "channels to be stopped": lambda _, session, now: renewals.to_stop(session, now),
    "channels asked for within a minute": lambda _, session, now: opening.asked_within_a_minute(
        session, now
    ),
    "rows that are not kept current": lambda _, session, now: marks.due(session, now, 50),
    "employees to be told": lambda _, session, __: accounts.to_inform(session, 50),
    "access tokens that end": lambda _, session, now: accounts.due_for_refresh(
        session, now + timedelta(minutes=10), now
    ),
    "counters for the metrics": lambda _, session, __: counters.read(session),
    STATUS: lambda db, session, now: overview.status(db, session, now, {"live": 0, "backfill": 0}),
}
"""What is asked of the ledger, again and again."""


def asked(db: Database, work: Work, rounds: int) -> Asked:
    found = Asked()
    sent: list[tuple[str, Any]] = []

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        sent.append((statement, parameters))

    for _ in range(rounds):
        sent.clear()
        event.listen(db.engine, "before_cursor_execute", note)
        began = time.perf_counter()
        with db.session() as session:
            work(db, session, datetime.now(UTC))
        found.took.append((time.perf_counter() - began) * 1000)
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


def queries(options: Options) -> Iterator[Figure]:
    """On PostgreSQL, whatever Watcher's ledger is in the other rows."""
    few, many = 5_000, options.pick(100_000, 20_000)
    found: dict[str, dict[int, Asked]] = {}
    for size in (few, many):
        with filled(options, size) as db:
            for name, work in WORKS.items():
                found.setdefault(name, {})[size] = asked(db, work, options.rounds(5, 3))
    for name, by_size in found.items():
        last = by_size[many]
        whole = ", ".join(sorted(last.scanned)) or "none"
        yield Figure(
            what=f"{name}, {number(many)} calendars in PostgreSQL",
            values=last.took,
            unit="ms",
            goal=Goal(limit=100, noise=0.2),
            beside=f"{number(few)} calendars {between(by_size[few].took, 'ms')}; "
            f"{last.statements} statements; tables read from end to end: {whole}",
        )
    yield Figure(
        what=f"{STATUS}, {number(few)} calendars in PostgreSQL",
        values=found[STATUS][few].took,
        unit="ms",
        goal=Goal(limit=150, noise=0.2),
    )


# --- who waits for whom -------------------------------------------------------------------


def fill(db: Database, many: int) -> None:
    """A ledger of ``many`` accounts with one calendar and one live channel each."""
    now = datetime.now(UTC)
    with db.session() as session:
        for n in range(1, many + 1):
            email, ends = f"employee{n}@scoopjoy.test", now + timedelta(days=7)
            row = {"source": "service-account", "state": "active", "cause": "", "since": now}
            words = {"granted_scopes": "", "on_disconnect": ""}
            session.add(Account(id=n, email=email, created_at=now, **row, **words))
            session.add(Calendar(id=n, account_id=n, google_id=email, since=now))
            session.add(
                Channel(
                    id=f"channel-{n}",
                    calendar_id=n,
                    token_hash=digest("token"),
                    resource_id="resource",
                    state="live",
                    requested_at=now,
                    opened_at=now,
                    expires_at=ends,
                    renew_at=ends,
                    error="",
                )
            )
            if n % 500 == 0:
                session.flush()


def make_status(db: Database) -> None:
    with db.reading() as session:
        overview.status(db, session, datetime.now(UTC), {"live": 0, "backfill": 0})


def owe_all(db: Database) -> None:
    owing.owe_all(db, "restart", datetime.now(UTC))


def make_clean(db: Database) -> None:
    with db.session() as session:
        session.execute(update(Calendar).values(synced_seq=Calendar.dirty_seq, rung_at=None))


AT_ONCE: dict[str, Callable[[Database], None]] = {
    STATUS: make_status,
    "every calendar is made to owe a look": owe_all,
}


def _other_process(url: str, name: str, started: Event, stop: Event) -> None:
    db = Database(url)
    while not stop.is_set():
        time.sleep(PAUSE)  # as in life: SQLite hands its lock to whoever asks first, not longest
        started.set()
        AT_ONCE[name](db)


def notify(db: Database, many: int) -> list[float]:
    """Milliseconds of each of some notifications."""
    took = []
    for n in range(NOTIFICATIONS):
        time.sleep(0.05)
        message = inbox.Message(
            channel_id=f"channel-{1 + n % many}", token="token", resource_id="resource", number=n
        )
        clock = time.perf_counter()
        inbox.record(db, message, datetime.now(UTC))
        took.append((time.perf_counter() - clock) * 1000)
    return took


def _beside(db: Database, url: str, name: str, many: int) -> list[float]:
    context = multiprocessing.get_context("spawn")
    started, stop = context.Event(), context.Event()
    other = context.Process(target=_other_process, args=(url, name, started, stop))
    other.start()
    try:
        started.wait(60)
        return notify(db, many)
    finally:
        stop.set()
        other.join(60)


def waits(options: Options) -> Iterator[Figure]:
    """On SQLite, which has one writer at a time."""
    many, rounds = 5_000, options.rounds(3, 1)
    with tempfile.TemporaryDirectory(prefix="watcher-bench-") as folder:
        url = f"sqlite:///{Path(folder) / 'ledger.sqlite3'}"
        db = Database(url)
        db.migrate()
        fill(db, many)
        alone: list[float] = []
        found: dict[str, list[float]] = {name: [] for name in AT_ONCE}
        own: dict[str, list[float]] = {name: [] for name in AT_ONCE}
        for _ in range(rounds):
            alone += notify(db, many)
            for name, work in AT_ONCE.items():
                make_clean(db)
                clock = time.perf_counter()
                work(db)
                own[name].append((time.perf_counter() - clock) * 1000)
                found[name] += _beside(db, url, name, many)
        db.dispose()
    base = statistics.median(alone)
    for name, took in found.items():
        yield Figure(
            what=f"{name}, {number(many)} calendars in SQLite",
            values=own[name],
            unit="ms",
            goal=Goal(limit=150, noise=0.3) if name == STATUS else None,
            beside=f"a notification meanwhile {between(took, 'ms')}, "
            f"{statistics.median(took) / base:.1f} x one that is alone {between(alone, 'ms')}",
        )


ROWS = (
    Row("queries", "what cron and status ask of 5,000 and 100,000 calendars", queries, NOT_ASKED),
    Row("waits", "a notification beside a status document", waits, NOT_ASKED),
)
