"""The diary: what each sync did, which events stand aside, when periodic work last ran."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from watcher.state.db import Database
from watcher.state.models import (
    Account,
    Calendar,
    Counter,
    OAuthFlow,
    Quarantined,
    Run,
    Tick,
)

KEEP_RUNS = timedelta(days=14)


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """An event that stands aside: the key it would have, and the reason in its words."""

    key: str
    event_id: str
    message: str


def add(session: Session, run: Run) -> None:
    session.add(run)


def quarantine(
    session: Session, calendar_id: int, refusals: Iterable[Refusal], now: datetime
) -> None:
    for refusal in refusals:
        row = session.execute(
            select(Quarantined).where(
                Quarantined.calendar_id == calendar_id,
                Quarantined.sync_key == refusal.key,
            )
        ).scalar_one_or_none()
        if row is None:
            row = Quarantined(
                calendar_id=calendar_id, sync_key=refusal.key, event_id=refusal.event_id[:1024],
                message="", first_at=now, last_at=now, attempts=0,
            )  # fmt: skip
            session.add(row)
        row.message, row.last_at = refusal.message[:2000], now
        row.attempts += 1
        session.flush()


def release(session: Session, calendar_id: int, keys: Sequence[str]) -> None:
    """Events that went through (or are gone) stand aside no longer."""
    for start in range(0, len(keys), 500):
        session.execute(
            delete(Quarantined).where(
                Quarantined.calendar_id == calendar_id,
                Quarantined.sync_key.in_(keys[start : start + 500]),
            )
        )


def release_others(session: Session, calendar_id: int, keys: Collection[str]) -> None:
    """After a full listing only what it set aside (``keys``) stands aside: the rest is gone."""
    rows = session.scalars(select(Quarantined).where(Quarantined.calendar_id == calendar_id))
    for row in rows:
        if row.sync_key not in keys:
            session.delete(row)


def quarantined(session: Session) -> list[tuple[Quarantined, Calendar, Account]]:
    rows = session.execute(
        select(Quarantined, Calendar, Account)
        .join(Calendar, Quarantined.calendar_id == Calendar.id)
        .join(Account, Calendar.account_id == Account.id)
        .order_by(Quarantined.last_at.desc())
    )
    return [(row[0], row[1], row[2]) for row in rows]


def tick(session: Session, name: str, now: datetime, error: str = "") -> None:
    """Note that periodic work ``name`` ran; ``error`` is empty when it ended well."""
    row = session.get(Tick, name)
    if row is None:
        row = Tick(name=name, last_run_at=now, error="")
        session.add(row)
    row.last_run_at, row.error = now, error[:500]
    if not error:
        row.last_ok_at = now


def count(db: Database, session: Session, name: str, by: int = 1) -> None:
    insert = sqlite.insert if db.is_sqlite else postgresql.insert
    session.execute(
        insert(Counter)
        .values(name=name, value=by)
        .on_conflict_do_update(index_elements=[Counter.name], set_={"value": Counter.value + by})
    )


def prune(session: Session, now: datetime) -> int:
    """Forget old runs and consents that were never finished."""
    gone = session.execute(
        delete(Run).where(Run.started_at < now - KEEP_RUNS).returning(Run.id)
    ).all()
    session.execute(delete(OAuthFlow).where(OAuthFlow.created_at < now - timedelta(hours=1)))
    return len(gone)
