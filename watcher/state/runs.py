"""The diary: what each sync did, when periodic work last ran."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import delete
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from watcher.state.db import Database
from watcher.state.models import Counter, OAuthFlow, Run, Tick

KEEP_RUNS = timedelta(days=14)


def add(session: Session, run: Run) -> None:
    session.add(run)


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
