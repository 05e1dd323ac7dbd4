"""When work is due: what owes work and is to be rung, the polls, the daily listings, the pauses."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from watcher.state.calendars import clean_and_active, in_lock_order
from watcher.state.db import Database
from watcher.state.models import Account, Calendar


def pauses(now: datetime) -> ColumnElement[bool]:
    """The last pass failed, and the time of the next try has not come. Nothing is begun before, nor
    is anybody rung, whatever tells of a change: the other side may have asked for that pause."""
    return func.coalesce(Calendar.retry_at > now, False)


def is_pausing(session: Session, calendar_id: int, now: datetime) -> bool:
    """As ``pauses``, of one calendar."""
    found = select(Calendar.id).where(Calendar.id == calendar_id, pauses(now))
    return session.scalar(found) is not None


def to_ring(
    db: Database, session: Session, now: datetime, queued: Collection[int]
) -> list[Calendar]:
    """Calendars that owe work while nobody works on them and no waiting job will.

    ``queued`` are the ids of calendars with a job waiting in Redis. A ring that Redis lost is
    noticed here, since its calendar is not among them.
    """
    epoch = db.now_epoch(session)
    rows = session.scalars(
        select(Calendar)
        .join(Account)
        .where(
            Calendar.removed.is_(False),
            Account.state == "active",
            Calendar.dirty_seq > Calendar.synced_seq,
            or_(Calendar.lease_owner.is_(None), Calendar.lease_until < epoch),
            ~pauses(now),
        )
        .order_by(Calendar.last_success_at)
    )
    return [row for row in rows if row.id not in queued]


def due_for_poll(session: Session, now: datetime, most: int) -> list[int]:
    """Ids of the ``most`` clean calendars whose poll is due the longest, in lock order."""
    return _longest_due(session, Calendar.next_poll_at, now, most)


def due_for_reconcile(session: Session, now: datetime, most: int) -> list[int]:
    """As ``due_for_poll``, of the daily reconcile."""
    return _longest_due(session, Calendar.next_reconcile_at, now, most)


def _longest_due(
    session: Session, when: InstrumentedAttribute[Any], now: datetime, most: int
) -> list[int]:
    found = (
        select(Calendar.id)
        .join(Account)
        .where(and_(*clean_and_active()), when <= now)
        .order_by(when)
        .limit(most)
    )
    return in_lock_order(session.scalars(found))
