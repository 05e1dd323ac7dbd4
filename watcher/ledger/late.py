"""Writes that ERPNext did not answer: it may still carry them out, after Watcher has gone on. When
it can no longer be at it, the calendar is listed anew."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from watcher.ledger.models import Account, Calendar
from watcher.ledger.when import has_come

AT_IT = timedelta(seconds=180)
"""gunicorn ends a request of Frappe's after 120 seconds by default, and a proxy has given up
before; Watcher itself waits for 60."""


def note_unanswered(session: Session, calendar_id: int, now: datetime) -> None:
    session.execute(update(Calendar).where(Calendar.id == calendar_id).values(look_at=now + AT_IT))


def due(session: Session, now: datetime, most: int) -> list[int]:
    """Ids of calendars to be listed anew; from now on they are not due any more."""
    found = session.scalars(
        select(Calendar.id)
        .join(Account)
        .where(
            has_come(Calendar.look_at, now, AT_IT),
            Calendar.removed.is_(False),
            Account.is_active,
        )
        .order_by(Calendar.look_at)
        .limit(most)
    )
    ids = sorted(found)
    session.execute(update(Calendar).where(Calendar.id.in_(ids)).values(look_at=None))
    return ids
