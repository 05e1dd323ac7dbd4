"""Calendars that are no longer kept current, and how far their rows in ERPNext say so.

A calendar is let go (``LET_GO``) when nobody wants it any more, its account is paused, or Google
takes the permission for dead: that does not pass by itself, and an hour's patience spares the rows
of who is back at once. A calendar that fails may yet succeed: it counts as out of date a day after
its last good pass. Where ERPNext is what fails, nothing could be written there, and nothing is to
be: what it holds is still what was read.

    (no mark) --> SETTING --> SET --> CLEARING --> (no mark)

A good pass turns SETTING and SET into CLEARING; CLEARING goes to its end before anything else.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    ColumnElement,
    ForeignKey,
    Select,
    String,
    and_,
    delete,
    or_,
    select,
    union,
    update,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from watcher.ledger.calendars import locked
from watcher.ledger.causes import AT_ERPNEXT
from watcher.ledger.columns import BigId, UtcDateTime
from watcher.ledger.leases import CalendarLease, held
from watcher.ledger.models import Account, Base, Calendar
from watcher.ledger.standing import is_restless
from watcher.ledger.states import AccountState

CERTAIN_AFTER = timedelta(hours=1)
UNSURE_AFTER = timedelta(hours=24)
LET_GO = (AccountState.PAUSED, AccountState.NEEDS_RECONNECT, AccountState.DISCONNECTED)


class How(StrEnum):
    """How far the rows of a calendar bear the mark."""

    SETTING = "setting"
    SET = "set"
    CLEARING = "clearing"


class Mark(Base):
    """A calendar whose rows bear a mark, or are to. ``since``: they say, or are to say, that they
    are not kept current since then, which is when the last good pass was. ``after``: only rows
    whose names come later are still to be looked at."""

    __tablename__ = "marks"

    calendar_id: Mapped[int] = mapped_column(BigId, ForeignKey("calendars.id"), primary_key=True)
    how: Mapped[str] = mapped_column(String(10))
    since: Mapped[datetime] = mapped_column(UtcDateTime)
    after: Mapped[str] = mapped_column(String(140), default="")


@dataclass(frozen=True, kw_only=True, slots=True)
class Marking:
    """What is to be done with the rows of one calendar. ``since``: they are to say that they are
    not kept current since then; None: they are to say it no more. ``after``: as in ``Mark``.
    ``rows_seen``: as in ``debts.Work``."""

    calendar_id: int
    account: str
    google_id: str
    since: datetime | None
    after: str
    rows_seen: str


def due(session: Session, now: datetime, most: int) -> list[int]:
    """Ids of the calendars whose rows do not say what they should, ``most`` of them. By a query for
    each reason: there are few calendars that are let go, that fail or that bear a mark, and an
    index has each of these; asked for any of the reasons, the database would read all calendars."""
    reasons = [*(and_(_is_unmarked(), reason) for reason in _not_current(now)), _to_clear()]
    found = union(*(_which(reason) for reason in reasons))
    return sorted(session.scalars(found))[:most]


def _which(condition: ColumnElement[bool]) -> Select[Any]:
    return (
        select(Calendar.id)
        .join(Account)
        .outerjoin(Mark, Mark.calendar_id == Calendar.id)
        .where(condition)
    )


def _to_set(now: datetime) -> ColumnElement[bool]:
    return and_(_is_unmarked(), or_(*_not_current(now)))


def _is_unmarked() -> ColumnElement[bool]:
    return and_(
        or_(Mark.how.is_(None), Mark.how == How.SETTING), Calendar.last_success_at.is_not(None)
    )


def _not_current(now: datetime) -> tuple[ColumnElement[bool], ...]:
    """Why a calendar is not kept current, in the words of the indexes: it is removed, its account
    is let go, or it fails."""
    account_let_go = and_(Account.state.in_(LET_GO), Account.since <= now - CERTAIN_AFTER)
    fails = and_(
        Account.is_active,
        is_restless(),
        Calendar.failures > 0,
        Calendar.cause.not_in(AT_ERPNEXT),
        Calendar.last_success_at <= now - UNSURE_AFTER,
    )
    return Calendar.removed.is_(True), account_let_go, fails


def _to_clear() -> ColumnElement[bool]:
    is_current = and_(
        Account.is_active,
        Calendar.removed.is_(False),
        Calendar.failures == 0,
        Calendar.last_success_at != Mark.since,
    )
    marked = Mark.how.in_((How.SETTING, How.SET))
    return and_(Mark.calendar_id.is_not(None), or_(Mark.how == How.CLEARING, marked & is_current))


def begin(session: Session, lease: CalendarLease, now: datetime) -> Marking | None:
    """What is due now of a leased calendar, and from now on under way; None when nothing is."""
    calendar = locked(session, lease.calendar_id)
    mark = session.get(Mark, calendar.id)
    if _is(session, calendar, _to_clear()):
        mark = _under_way(session, calendar, mark, How.CLEARING)
    elif _is(session, calendar, _to_set(now)):
        mark = _under_way(session, calendar, mark, How.SETTING)
    else:
        return None
    return Marking(
        calendar_id=calendar.id,
        account=session.get_one(Account, calendar.account_id).email,
        google_id=calendar.google_id,
        since=mark.since if mark.how == How.SETTING else None,
        after=mark.after,
        rows_seen=calendar.rows_seen,
    )


def _is(session: Session, calendar: Calendar, condition: ColumnElement[bool]) -> bool:
    return session.scalar(_which(and_(Calendar.id == calendar.id, condition))) is not None


def _under_way(session: Session, calendar: Calendar, mark: Mark | None, how: How) -> Mark:
    if mark is None:
        since = calendar.last_success_at or calendar.since
        mark = Mark(calendar_id=calendar.id, how=how, since=since, after="")
        session.add(mark)
    elif mark.how != how:
        mark.how, mark.after = how, ""
    return mark


def went_on(session: Session, lease: CalendarLease, after: str, rows_seen: str) -> None:
    """Some rows are as wanted, if the lease still holds."""
    kept = update(Calendar).where(held(lease)).values(rows_seen=rows_seen).returning(Calendar.id)
    if session.scalar(kept) is not None:
        mine = Mark.calendar_id == lease.calendar_id
        session.execute(update(Mark).where(mine).values(after=after))


def ended(session: Session, lease: CalendarLease, marking: Marking) -> None:
    """All rows are as wanted, if the lease still holds."""
    if session.scalar(select(Calendar.id).where(held(lease))) is None:
        return
    mine = Mark.calendar_id == lease.calendar_id
    if marking.since is None:
        session.execute(delete(Mark).where(mine))
    else:
        session.execute(update(Mark).where(mine).values(how=How.SET, after=""))
