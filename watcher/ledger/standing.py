"""How a calendar stands: one word for people, and since when it waits for a worker."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, literal_column, or_, select
from sqlalchemy.orm import Session

from watcher.ledger import leases, models, states
from watcher.ledger.db import Database

DELAYED_AFTER = timedelta(seconds=90)
LONGEST_LOOK_AROUND = timedelta(hours=1)
"""So long a calendar may wait for its turn while others of the bulk lane have theirs."""
FAILING_AFTER = 5
UNANSWERED_AFTER = timedelta(seconds=25)
AT_REST = (states.CalendarState.WAITING, states.CalendarState.OK, states.CalendarState.RETRYING)


@dataclass(frozen=True, slots=True)
class Moment:
    """``now`` by our clock, ``epoch`` by the database's (in seconds, for leases). ``bulk_moves``:
    some calendar of the bulk lane is being worked on, or was within the last 90 seconds."""

    now: datetime
    epoch: float
    bulk_moves: bool


def moment(db: Database, session: Session, now: datetime) -> Moment:
    """What ``calendar_status`` judges all calendars by."""
    epoch = db.now_epoch(session)
    begun = select(models.Run.id).where(
        models.Run.started_at.between(now - DELAYED_AFTER, now), models.Run.reason != "push"
    )
    leased = select(models.Calendar.id).where(
        ~leases.is_free(epoch), models.Calendar.dirty_reason != "push"
    )
    moves = any(session.scalar(found.limit(1)) is not None for found in (begun, leased))
    return Moment(now, epoch, moves)


def calendar_status(
    calendar: models.Calendar, account: models.Account, seen: Moment
) -> states.CalendarStatus:
    """The word for people."""
    if not account.is_active:
        return states.CalendarStatus.PAUSED
    if calendar.state in states.FOR_A_PERSON or calendar.failures >= FAILING_AFTER:
        return states.CalendarStatus.FAILING
    if not calendar.owes:
        return states.CalendarStatus.UP_TO_DATE
    # A try that hangs, as the one before did, is no sign that it works again.
    if calendar.failures > 0:
        return states.CalendarStatus.DELAYED
    if not is_worked_on(calendar, seen) and _waits_too_long(calendar, seen):
        return states.CalendarStatus.DELAYED
    return states.CalendarStatus.SYNCING


def is_worked_on(calendar: models.Calendar, seen: Moment) -> bool:
    return calendar.lease_owner is not None and calendar.lease_until > seen.epoch


def unanswered_since(calendar: models.Calendar, seen: Moment) -> datetime | None:
    """Since when the worker of the calendar has waited for one answer of Google's or ERPNext's: a
    worker prolongs its lease between two calls. None where that is not long."""
    if not is_worked_on(calendar, seen):
        return None
    kept = timedelta(seconds=seen.epoch - (calendar.lease_until - leases.CALENDAR_LEASE_SECONDS))
    return seen.now - kept if kept > UNANSWERED_AFTER else None


def is_failing() -> ColumnElement[bool]:
    """Whether a calendar of an active account is failing, in a query."""
    return or_(
        models.Calendar.state.in_(states.FOR_A_PERSON), models.Calendar.failures >= FAILING_AFTER
    )


def is_restless() -> ColumnElement[bool]:
    """Of all that are not at rest, and of a few that are: it says so in the words of an index of
    these rows, to be asked for beside the condition itself."""
    words: list[ColumnElement[str]] = [literal_column(f"'{state}'") for state in AT_REST]
    failing = models.Calendar.failures > literal_column("0")
    return or_(models.Calendar.owes, failing, models.Calendar.state.not_in(words))


def is_at_rest() -> ColumnElement[bool]:
    """Whether a calendar of an active account is up to date at any moment: what ``calendar_status``
    says as well, in a query."""
    return and_(
        models.Calendar.state.not_in(states.FOR_A_PERSON),
        models.Calendar.failures < FAILING_AFTER,
        ~models.Calendar.owes,
    )


def trouble(calendar: models.Calendar, status: states.CalendarStatus) -> str:
    """What the last pass met, as long as it has not been overcome: a sentence of an old failure is
    kept in the row until the next pass has gone through."""
    return (
        calendar.message
        if status in (states.CalendarStatus.FAILING, states.CalendarStatus.DELAYED)
        else ""
    )


def waiting_since(calendar: models.Calendar, seen: Moment) -> datetime | None:
    """Since when the calendar has owed work that nobody has begun, as far as the ledger knows: the
    change became known, a worker was rung, or the lease of the last worker ended. What a clock
    that ran ahead has dated into the future says nothing."""
    known = [calendar.dirty_at, calendar.rung_at]
    if calendar.lease_owner is not None:
        known.append(seen.now - timedelta(seconds=seen.epoch - calendar.lease_until))
    return min((at for at in known if at is not None and at <= seen.now), default=None)


def is_bulk(calendar: models.Calendar) -> bool:
    """Whether the work waits in the bulk lane: all but the changes that a notification told of,
    where these are read by the sync token."""
    listed = calendar.snapshot_seq > 0 or calendar.sync_token is None
    return listed or calendar.dirty_reason != "push"


def _waits_too_long(calendar: models.Calendar, seen: Moment) -> bool:
    """A change that was told of is to be begun within 90 seconds. Bulk work, such as the look at
    every calendar after a start, is done one calendar after the other: that a calendar waits for
    its turn says nothing as long as others have theirs."""
    since = waiting_since(calendar, seen)
    if since is None:
        return False
    moves = is_bulk(calendar) and seen.bulk_moves
    return seen.now - since > (LONGEST_LOOK_AROUND if moves else DELAYED_AFTER)
