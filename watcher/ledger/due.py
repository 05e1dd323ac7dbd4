"""When work is due: what owes work and is to be rung, the polls, the daily listings, the pauses."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, select, union_all
from sqlalchemy.orm import InstrumentedAttribute, Session

from watcher.ledger.calendars import RECONCILE_EVERY, clean_and_active, in_lock_order
from watcher.ledger.db import Database
from watcher.ledger.leases import is_free
from watcher.ledger.models import Account, Calendar
from watcher.ledger.standing import is_restless
from watcher.ledger.when import LONGEST_RETRY, come, is_ahead, still_to_come

LONGEST_PACE = timedelta(seconds=20)
"""So long a calendar that is told of again and again waits for its next pass at the most."""


def pauses(now: datetime) -> ColumnElement[bool]:
    """The last pass failed, and the time of the next try has not come. Nothing is begun before, nor
    is anybody rung, whatever tells of a change: the other side may have asked for that pause."""
    return still_to_come(Calendar.retry_at, now, LONGEST_RETRY)


def is_paced(paced_until: datetime | None, now: datetime) -> bool:
    """Whether no pass is to begin yet since the calendar, as it was just read, is told of without
    end."""
    return is_ahead(paced_until, now, LONGEST_PACE)


def _paced(now: datetime) -> ColumnElement[bool]:
    return still_to_come(Calendar.paced_until, now, LONGEST_PACE)


def is_pausing(retry_at: datetime | None, now: datetime) -> bool:
    """As ``pauses``, of a calendar that was just read."""
    return is_ahead(retry_at, now, LONGEST_RETRY)


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
            Account.is_active,
            is_restless(),
            Calendar.owes,
            is_free(epoch),
            ~pauses(now),
            ~_paced(now),
        )
        .order_by(Calendar.last_success_at)
    )
    return [row for row in rows if row.id not in queued]


def due_for_poll(session: Session, now: datetime, most: int, minutes: float) -> list[int]:
    """Ids of the ``most`` clean calendars whose poll is due the longest, in lock order. ``minutes``
    is the longest interval between two polls as of now."""
    longest = timedelta(minutes=2 * minutes + 5)  # it may have been longer a little while ago
    came = come(Calendar.next_poll_at, now, longest)
    return _longest_due(session, Calendar.next_poll_at, came, most)


def due_for_reconcile(session: Session, now: datetime, most: int) -> list[int]:
    """As ``due_for_poll``, of the daily reconcile."""
    came = come(Calendar.next_reconcile_at, now, RECONCILE_EVERY * 1.2)
    return _longest_due(session, Calendar.next_reconcile_at, came, most)


def _longest_due(
    session: Session,
    when: InstrumentedAttribute[Any],
    came: Iterable[ColumnElement[bool]],
    most: int,
) -> list[int]:
    """``came``: each condition is of one stretch of the moments, which the database reads from its
    beginning to its end. Told to look for either it may go through the moments of all calendars."""
    asked = select(Calendar.id, when.label("at")).join(Account).where(*clean_and_active())
    stretches = (asked.where(each).order_by(when).limit(most).subquery().select() for each in came)
    found = union_all(*stretches).subquery()
    return in_lock_order(session.scalars(select(found.c.id).order_by(found.c.at).limit(most)))
