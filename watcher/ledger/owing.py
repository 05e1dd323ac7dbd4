"""Calendars that come to owe work, many at a time."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, literal, select, update
from sqlalchemy.orm import Session

from watcher.ledger import audit, models
from watcher.ledger.acts import What
from watcher.ledger.batches import BATCH
from watcher.ledger.calendars import in_lock_order
from watcher.ledger.columns import UtcDateTime
from watcher.ledger.db import LOCKED, Database


def owe_looks(
    session: Session, calendar_ids: Iterable[int], reason: str, now: datetime
) -> list[int]:
    """Have each of these calendars owe a look at Google; returns their ids, in lock order."""
    return _change(session, calendar_ids, _look(reason, now))


def owe_looks_now(
    session: Session, calendar_ids: Iterable[int], reason: str, now: datetime
) -> list[int]:
    """As ``owe_looks``, for a person who waits for it: no pause is kept."""
    return _change(session, calendar_ids, _look(reason, now) | {"retry_at": None})


def owe_listings(
    session: Session, calendar_ids: Iterable[int], reason: str, now: datetime
) -> list[int]:
    """As ``owe_looks``, a full listing each."""
    return _change(session, calendar_ids, _listing(reason, now))


def owe_now(session: Session, calendar_ids: Iterable[int], reason: str, now: datetime) -> list[int]:
    """As ``owe_listings``, for a person who waits for it: no pause is kept. A consent to a mass
    cancellation that was given before ends."""
    at_once = {"retry_at": None, "sweep_allowed": None}
    return _change(session, calendar_ids, _listing(reason, now) | at_once)


def allow_sweeps(session: Session, calendar_ids: Iterable[int], now: datetime) -> None:
    """Confirm for each of these calendars the mass cancellation that was shown last, up to that
    number of rows and for one pass; where none was shown there is nothing to confirm."""
    changed = _change(session, calendar_ids, {"sweep_allowed": models.Calendar.sweep_shown})
    confirmed = (
        select(models.Account.email, models.Calendar.google_id, models.Calendar.sweep_shown)
        .join(models.Account, models.Calendar.account_id == models.Account.id)
        .where(models.Calendar.id.in_(changed), models.Calendar.sweep_shown.is_not(None))
    )
    for email, google_id, rows in session.execute(confirmed).all():
        subject, figures = audit.calendar(email, google_id), {"cancellations": rows or 0}
        audit.record(session, audit.Act(What.CANCELLATION_CONFIRM, subject, figures), now)


def owe_all(
    db: Database, reason: str, now: datetime, which: ColumnElement[bool] | None = None
) -> int:
    """Make every calendar of an active account owe a look at Google, or those of ``which``, also
    one that owes a look already: a pass may be under way that has read Google before. Each thousand
    has a transaction of its own. Returns how many there are."""
    wanted = [models.Calendar.removed.is_(False), models.Account.is_active]
    if which is not None:
        wanted.append(which)
    with db.reading() as session:
        ids = in_lock_order(
            session.scalars(select(models.Calendar.id).join(models.Account).where(*wanted))
        )
    for first in range(0, len(ids), BATCH):
        with db.session() as session:
            owe_looks(session, ids[first : first + BATCH], reason, now)
    return len(ids)


def _look(reason: str, now: datetime) -> dict[str, Any]:
    return {
        "dirty_seq": models.Calendar.dirty_seq + 1,
        "dirty_reason": reason,
        "dirty_at": func.coalesce(models.Calendar.dirty_at, literal(now, UtcDateTime())),
    }


def _listing(reason: str, now: datetime) -> dict[str, Any]:
    return _look(reason, now) | {"snapshot_seq": models.Calendar.dirty_seq + 1}


def _change(session: Session, calendar_ids: Iterable[int], values: dict[str, Any]) -> list[int]:
    """Two statements for each thousand calendars. A statement for each calendar would keep every
    other process from an SQLite ledger for seconds. The first of the two takes PostgreSQL's row
    locks in the order that all keep to; an UPDATE takes them in any order."""
    ordered = in_lock_order(calendar_ids)
    session.flush()
    for first in range(0, len(ordered), BATCH):
        chosen = models.Calendar.id.in_(ordered[first : first + BATCH])
        rows = select(models.Calendar.id).where(chosen).order_by(models.Calendar.id)
        session.execute(rows.with_for_update(**LOCKED))
        session.execute(update(models.Calendar).where(chosen).values(values))
    return ordered
