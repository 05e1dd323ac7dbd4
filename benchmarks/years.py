"""What a ledger looks like after years: rows as passes, channels and calls leave them, and the
pruning that cron does, with a clock that moves. And how many calls of Google an employee costs."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import time_machine
from sqlalchemy import func as counted
from sqlalchemy import insert, select, text, update

from benchmarks.company import Wanted, postgres, settled
from benchmarks.rows import Options, Row
from benchmarks.table import Figure, Goal, number
from benchmarks.writing import calendar_of
from watcher.accounts.verbs import add_delegated
from watcher.channels.renewal import renew_due
from watcher.jobs.timetable import poll, reconcile
from watcher.ledger import budget, owing, runs
from watcher.ledger.db import Database
from watcher.ledger.models import Account, Base, Calendar, Channel, Run, Usage
from watcher.ledger.secrets import digest
from watcher.services import Services
from watcher.sync.work import work_off

CHANGES, POLLS = 20, 48
"""Of one calendar a day."""
CHANNEL_DAYS = 5
BEGINS = datetime(2026, 12, 1, tzinfo=UTC)


def years(options: Options) -> Iterator[Figure]:
    """Three years of a few employees, which shows that nothing goes on growing; then so many days
    of 5,000 as fill what is bounded."""
    for name in ("SQLite", "PostgreSQL"):
        with _ledger(options, name) as db:
            few, year = options.pick(10, 3), options.pick(365, 60)
            _people(db, few)
            sizes = []
            for day in range(3 * year):
                _day(db, few, day, times=1)
                if day % 30 == 29:
                    _prune(db, day)
                if day % year == year - 1:
                    _prune(db, day)
                    sizes.append(_rows(db))
            yield Figure(
                what=f"rows of a ledger of {few} employees after {3 * year} days, against {year} "
                f"({name})",
                values=[sum(sizes[2].values()) / sum(sizes[0].values())],
                unit="x",
                goal=Goal(limit=1.05),
                beside=_told(sizes[2]),
            )
        with _ledger(options, name) as db:
            many = options.pick(5_000, 500)
            _people(db, many)
            for day in range(options.pick(3, 2)):
                _day(db, many, day, times=4)
            began = time.perf_counter()
            _prune(db, day)
            took = time.perf_counter() - began
            yield Figure(
                what=f"a ledger of {number(many)} employees, when it no longer grows ({name})",
                values=[_size(db) / 2**20],
                unit="MiB",
                goal=Goal(limit=200),
                beside=f"{_told(_rows(db))}; the last pruning took {number(took)} s",
            )


@contextmanager
def _ledger(options: Options, name: str) -> Iterator[Database]:
    if name == "PostgreSQL":
        with postgres(options) as url:
            db = Database(url)
            db.migrate()
            yield db
            db.dispose()
        return
    with tempfile.TemporaryDirectory(prefix="watcher-bench-") as folder:
        db = Database(f"sqlite:///{Path(folder) / 'ledger.sqlite3'}")
        db.migrate()
        yield db
        db.dispose()


def _people(db: Database, many: int) -> None:
    with db.session() as session:
        common = {"since": BEGINS, "created_at": BEGINS, "cause": "", "granted_scopes": "[]"}
        session.execute(
            insert(Account),
            [
                {
                    "id": n,
                    "email": f"employee{n}@scoopjoy.test",
                    "source": "service-account",
                    "state": "active",
                    "on_disconnect": "",
                    "access_token": os.urandom(1_100),
                    **common,
                }
                for n in range(1, many + 1)
            ],
        )
        session.execute(
            insert(Calendar),
            [
                {
                    "id": n,
                    "account_id": n,
                    "google_id": f"employee{n}@scoopjoy.test",
                    "sync_token": "t" * 60,
                    "since": BEGINS,
                    "state": "ok",
                }
                for n in range(1, many + 1)
            ],
        )


def _day(db: Database, many: int, day: int, *, times: int) -> None:
    """What passes, channels and calls of one day leave, in ``times`` parts with a pruning after
    each but the last."""
    begins = BEGINS + timedelta(days=day)
    for part in range(times):
        hours = 24 / times
        since = begins + timedelta(hours=part * hours)
        rows: list[dict[str, object]] = [
            {
                "calendar_id": calendar,
                "kind": "delta",
                "reason": reason,
                "started_at": since + timedelta(hours=hours * (turn + 0.5) / each),
                "seconds": 0.12,
                "pages": 1,
                "items": int(reason == "push"),
                "updated": int(reason == "push"),
                "lag_received": 0.4 if reason == "push" else None,
                "lag_google": 0.9 if reason == "push" else None,
                "error": "",
            }
            for reason, each in (("push", CHANGES // times), ("poll", POLLS // times))
            for turn in range(each)
            for calendar in range(1, many + 1)
        ]
        rows.sort(key=lambda row: row["started_at"])  # type: ignore[arg-type,return-value]
        _insert(db, Run, rows)
        if part < times - 1:
            runs.prune(db, since + timedelta(hours=hours))
    _insert(db, Channel, [_channel(n, day, begins) for n in range(1, many + 1) if _opens(n, day)])
    minute = int(begins.timestamp()) // 60
    names = [f"minute:{minute}:{n}" for n in range(1, many + 1)] + [f"day:{begins:%Y-%m-%d}"]
    soon = {name: begins + timedelta(minutes=10) for name in names[:-1]}
    ends = {**soon, names[-1]: begins + timedelta(days=40)}
    _insert(db, Usage, [{"bucket": b, "calls": 3, "expires_at": at} for b, at in ends.items()])


def _opens(calendar: int, day: int) -> bool:
    return (calendar + day) % CHANNEL_DAYS == 0


def _channel(calendar: int, day: int, now: datetime) -> dict[str, object]:
    ends = now + timedelta(days=CHANNEL_DAYS)
    return {
        "id": f"00000000-0000-4000-8000-{calendar:06d}{day:06d}",
        "calendar_id": calendar,
        "resource_id": "resource" * 4,
        "token_hash": digest("token"),
        "state": "stopped",
        "requested_at": now,
        "opened_at": now,
        "heard_at": now,
        "expires_at": now + timedelta(days=7),
        "closed_at": ends,
        "error": "",
    }


def _insert(db: Database, table: type[Base], rows: Sequence[dict[str, object]]) -> None:
    for first in range(0, len(rows), 20_000):
        with db.session() as session:
            session.execute(insert(table), rows[first : first + 20_000])


def _prune(db: Database, day: int) -> None:
    """What ``cleaning.prune`` does of it, at the end of that day."""
    now = BEGINS + timedelta(days=day + 1)
    budget.prune(db, now)
    runs.prune(db, now)


def _rows(db: Database) -> dict[str, int]:
    with db.reading() as session:
        return {
            table.__tablename__: session.scalar(select(counted.count()).select_from(table)) or 0
            for table in (Account, Calendar, Channel, Run, Usage)
        }


def _told(rows: dict[str, int]) -> str:
    return ", ".join(f"{name} {many:,}" for name, many in rows.items())


def _size(db: Database) -> float:
    """Bytes, as they are: no vacuum by hand."""
    if db.is_sqlite:
        path = Path(str(db.engine.url.database))
        return sum(each.stat().st_size for each in path.parent.glob(f"{path.name}*"))
    with db.reading() as session:
        return float(session.scalar(text("SELECT pg_database_size(current_database())")) or 0)


def calls(options: Options) -> Iterator[Figure]:
    """Some days of one employee, with the clock of this process moved: changes, polls, the daily
    listing, new channels and the stops of the old ones."""
    days = options.pick(7, 2)
    with (
        settled(options, Wanted(events=10)) as company,
        time_machine.travel(datetime.now(UTC)) as clock,
    ):
        [ann] = company.people
        services = company.services
        add_delegated(services, ann)
        calendar = calendar_of(services, ann)
        work_off(services, calendar, "added")
        _hear(services)
        before, tokens = company.calls(), company.google.log.counts().get("token", 0)
        for turn in range(days * POLLS):
            clock.shift(timedelta(minutes=30))
            if turn % POLLS < CHANGES:
                company.edit(ann)
                with services.db.session() as session:
                    session.execute(update(Channel).values(last_message_at=services.clock()))
                    owing.owe_looks(session, [calendar], "push", services.clock())
                work_off(services, calendar, "push", "live")
            if poll(services) or reconcile(services):
                work_off(services, calendar, "poll")
            renew_due(services)
            _hear(services)
            if company.busy():
                work_off(services, calendar, "channel")
        made = (company.calls() - before) / days
        fetched = (company.google.log.counts().get("token", 0) - tokens) / days
        wrong = company.wrong()
        routes = company.google.log.counts()
    yield Figure(
        what=f"calls of Google's for an employee and day, {CHANGES} changes",
        values=[round(made, 1)],
        goal=Goal(limit=CHANGES + POLLS + 4),
        beside=f"in {days} days {routes}; {number(fetched)} access tokens a day; {wrong} events "
        "wrong at the end",
    )


def _hear(services: Services) -> None:
    """No web server takes Google's first message of a channel here."""
    with services.db.session() as session:
        unheard = update(Channel).where(Channel.heard_at.is_(None))
        session.execute(unheard.values(heard_at=services.clock()))


SIMULATED = "its days are simulated, and no real site has their clock"
ROWS = (
    Row("calls", "Google's calls for an employee and day", calls, SIMULATED),
    Row("years", "a ledger after three years", years, SIMULATED, minutes=15),
)
