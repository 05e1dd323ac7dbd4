"""One budget of Google calls for the whole project, shared by all processes through the ledger.

Google allows 10,000 calls a minute per project and 600 per user, in a sliding window
(https://developers.google.com/workspace/calendar/api/guides/quota), and bills beyond 1,000,000
a day. Pushes may use nearly all of it, polls less, backfill least, so that bulk work can never
starve a push.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import delete, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from watcher.errors import Transient
from watcher.state.db import Database
from watcher.state.models import Account, Calendar, Usage

Purpose = Literal["push", "poll", "backfill"]

PROJECT_PER_MINUTE: dict[Purpose, int] = {
    "push": 9_000,
    "poll": 6_500,
    "backfill": 4_500,
}
ACCOUNT_PER_MINUTE: dict[Purpose, int] = {"push": 540, "poll": 450, "backfill": 400}
DAY_LINE = 1_000_000
STRETCH_FROM = 0.6


def spend(db: Database, account_id: int, purpose: Purpose, now: datetime) -> None:
    """Count one call. Raises ``Transient`` with the seconds to wait when the share is used up."""
    minute = int(now.timestamp()) // 60
    with db.session() as session:
        project = _add(db, session, f"minute:{minute}", now + timedelta(minutes=10))
        account = _add(db, session, f"minute:{minute}:{account_id}", now + timedelta(minutes=10))
        _add(db, session, f"day:{now:%Y-%m-%d}", now + timedelta(days=40))
    if project > PROJECT_PER_MINUTE[purpose] or account > ACCOUNT_PER_MINUTE[purpose]:
        whose = "project's" if project > PROJECT_PER_MINUTE[purpose] else "account's"
        raise Transient(
            f"the {whose} share of Google calls for {purpose} work is used up this minute",
            side="google",
            retry_after=60 - now.timestamp() % 60 + 0.5,
        )


def _add(db: Database, session: Session, bucket: str, expires_at: datetime) -> int:
    insert = sqlite.insert if db.is_sqlite else postgresql.insert
    return session.execute(
        insert(Usage)
        .values(bucket=bucket, calls=1, expires_at=expires_at)
        .on_conflict_do_update(index_elements=[Usage.bucket], set_={"calls": Usage.calls + 1})
        .returning(Usage.calls)
    ).scalar_one()


def today(session: Session, now: datetime) -> int:
    row = session.get(Usage, f"day:{now:%Y-%m-%d}")
    return 0 if row is None else row.calls


def forecast(session: Session, now: datetime) -> int:
    """Calls that today will have cost by midnight UTC if the day goes on as it did so far."""
    spent = today(session, now)
    passed = (now - now.replace(hour=0, minute=0, second=0, microsecond=0)).total_seconds()
    return int(spent * 86_400 / max(passed, 3_600))


def prune(session: Session, now: datetime) -> None:
    session.execute(delete(Usage).where(Usage.expires_at < now))


def poll_minutes(session: Session, wanted: float, unwatched: bool) -> float:
    """The poll interval, stretched when polling alone would pass 60 % of the billing line."""
    if unwatched:
        return wanted
    fleet = session.execute(
        select(func.count(Calendar.id))
        .join(Account)
        .where(Account.state == "active", Calendar.removed.is_(False))
    ).scalar_one()
    per_day = fleet * 1_440 / wanted
    return wanted * max(1.0, per_day / (DAY_LINE * STRETCH_FROM))
