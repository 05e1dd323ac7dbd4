"""How long a notification waits for the ledger: alone, and while another process works in it.

The other process makes the status document, or has every calendar owe a look (as at a start of the
web server), over and over. All are measured in turns in one run, on the same ledger: medians, the
worst, and the ratio of the medians to those of a notification that is alone. Machines are noisy;
compare within a run only. How long one status document and one ``owe_all`` take is printed too.

    .venv/bin/python benchmarks/ledger_locks.py [calendars ...]
"""

from __future__ import annotations

import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from multiprocessing.synchronize import Event
from pathlib import Path

from sqlalchemy import update

from watcher.ledger import inbox, overview, owing
from watcher.ledger.db import Database
from watcher.ledger.models import Account, Calendar, Channel
from watcher.ledger.secrets import digest

ROUNDS, NOTIFICATIONS, PAUSE = 3, 20, 0.2


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


WORK: dict[str, Callable[[Database], None]] = {"status": make_status, "owe_all": owe_all}


def other_process(url: str, name: str, started: Event, stop: Event) -> None:
    db = Database(url)
    while not stop.is_set():
        time.sleep(PAUSE)  # as in life: SQLite hands its lock to whoever asks first, not longest
        started.set()
        WORK[name](db)


def notify(db: Database, many: int) -> list[float]:
    took = []
    for n in range(NOTIFICATIONS):
        time.sleep(0.05)
        message = inbox.Message(
            channel_id=f"channel-{1 + n % many}", token="token", resource_id="resource", number=n
        )
        clock = time.perf_counter()
        with db.session() as session:
            inbox.record(session, message, datetime.now(UTC))
        took.append(time.perf_counter() - clock)
    return took


def beside(db: Database, url: str, name: str, many: int) -> list[float]:
    context = multiprocessing.get_context("spawn")
    started, stop = context.Event(), context.Event()
    other = context.Process(target=other_process, args=(url, name, started, stop))
    other.start()
    try:
        started.wait(60)
        return notify(db, many)
    finally:
        stop.set()
        other.join(60)


def measure(many: int, url: str) -> None:
    """Print milliseconds."""
    db = Database(url)
    db.migrate()
    fill(db, many)
    alone: list[float] = []
    found: dict[str, list[float]] = {name: [] for name in WORK}
    own: dict[str, list[float]] = {name: [] for name in WORK}
    for _ in range(ROUNDS):
        alone += notify(db, many)
        for name, work in WORK.items():
            make_clean(db)
            clock = time.perf_counter()
            work(db)
            own[name].append(time.perf_counter() - clock)
            found[name] += beside(db, url, name, many)
    base = statistics.median(alone)
    print(f"{many} calendars: a notification alone {base * 1e3:.1f} ms, worst {worst(alone)}")
    for name, took in found.items():
        middle = statistics.median(took)
        print(
            f"  beside {name:8} {middle * 1e3:8.1f} ms ({middle / base:.1f} times), "
            f"worst {worst(took)}; one {name} takes {statistics.median(own[name]) * 1e3:.0f} ms"
        )
    db.dispose()


def worst(took: list[float]) -> str:
    return f"{max(took) * 1e3:.1f} ms"


if __name__ == "__main__":
    for given in sys.argv[1:] or ["2000", "5000"]:
        with tempfile.TemporaryDirectory(prefix="watcher-benchmark-") as folder:
            measure(int(given), f"sqlite:///{Path(folder) / 'ledger.sqlite3'}")
