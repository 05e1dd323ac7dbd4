"""Calendars that are no longer kept current, and how far their rows in ERPNext say so.

A calendar is let go (``LET_GO``) when nobody wants it any more, its account is paused, or Google
takes the permission for dead: that does not pass by itself, and an hour's patience spares the rows
of who is back at once. A calendar that fails may yet succeed: it counts as out of date a day after
its last good pass. Where ERPNext is what fails, nothing could be written there, and nothing is to
be: what it holds is still what was read.

    NONE --> SETTING --> SET --> CLEARING --> NONE

A good pass turns SETTING and SET into CLEARING; CLEARING goes to its end before anything else.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import ColumnElement, and_, or_, select, update
from sqlalchemy.orm import Session

from watcher.ledger.calendars import locked
from watcher.ledger.causes import AT_ERPNEXT
from watcher.ledger.leases import CalendarLease, held
from watcher.ledger.models import Account, Calendar
from watcher.ledger.states import AccountState

CERTAIN_AFTER = timedelta(hours=1)
UNSURE_AFTER = timedelta(hours=24)
LET_GO = (AccountState.PAUSED, AccountState.NEEDS_RECONNECT, AccountState.DISCONNECTED)


class Mark(StrEnum):
    """How far the rows of a calendar bear the mark."""

    NONE = ""
    SETTING = "setting"
    SET = "set"
    CLEARING = "clearing"


@dataclass(frozen=True, kw_only=True, slots=True)
class Marking:
    """What is to be done with the rows of one calendar. ``since``: they are to say that they are
    not kept current since then; None: they are to say it no more. ``after``: only rows whose names
    come later are still to be looked at. ``rows_seen``: as in ``calendars.Work``."""

    calendar_id: int
    account: str
    google_id: str
    since: datetime | None
    after: str
    rows_seen: str


def due(session: Session, now: datetime, most: int) -> list[int]:
    """Ids of the calendars whose rows do not say what they should, ``most`` of them."""
    wanted = select(Calendar.id).join(Account).where(or_(_to_set(now), _to_clear()))
    return list(session.scalars(wanted.order_by(Calendar.id).limit(most)))


def _to_set(now: datetime) -> ColumnElement[bool]:
    account_let_go = and_(Account.state.in_(LET_GO), Account.since <= now - CERTAIN_AFTER)
    fails = and_(
        Account.is_active,
        Calendar.failures > 0,
        Calendar.cause.not_in(AT_ERPNEXT),
        Calendar.last_success_at <= now - UNSURE_AFTER,
    )
    return and_(
        Calendar.mark.in_((Mark.NONE, Mark.SETTING)),
        Calendar.last_success_at.is_not(None),
        or_(Calendar.removed, account_let_go, fails),
    )


def _to_clear() -> ColumnElement[bool]:
    is_current = and_(
        Account.is_active,
        Calendar.removed.is_(False),
        Calendar.failures == 0,
        Calendar.last_success_at != Calendar.mark_since,
    )
    return or_(
        Calendar.mark == Mark.CLEARING,
        and_(Calendar.mark.in_((Mark.SETTING, Mark.SET)), is_current),
    )


def begin(session: Session, lease: CalendarLease, now: datetime) -> Marking | None:
    """What is due now of a leased calendar, and from now on under way; None when nothing is."""
    calendar = locked(session, lease.calendar_id)
    if _is(session, calendar, _to_clear()):
        wanted = Mark.CLEARING
    elif _is(session, calendar, _to_set(now)):
        wanted = Mark.SETTING
    else:
        return None
    if calendar.mark != wanted:
        calendar.mark, calendar.mark_after = wanted, ""
        if wanted == Mark.SETTING:
            calendar.mark_since = calendar.last_success_at
    return Marking(
        calendar_id=calendar.id,
        account=session.get_one(Account, calendar.account_id).email,
        google_id=calendar.google_id,
        since=calendar.mark_since if wanted == Mark.SETTING else None,
        after=calendar.mark_after,
        rows_seen=calendar.rows_seen,
    )


def _is(session: Session, calendar: Calendar, condition: ColumnElement[bool]) -> bool:
    found = select(Calendar.id).join(Account).where(Calendar.id == calendar.id, condition)
    return session.scalar(found) is not None


def went_on(session: Session, lease: CalendarLease, after: str, rows_seen: str) -> None:
    """Some rows are as wanted, if the lease still holds."""
    values = {"mark_after": after, "rows_seen": rows_seen}
    session.execute(update(Calendar).where(held(lease)).values(values))


def ended(session: Session, lease: CalendarLease, marking: Marking) -> None:
    """All rows are as wanted, if the lease still holds."""
    if marking.since is None:
        values: dict[str, object] = {"mark": Mark.NONE, "mark_since": None}
    else:
        values = {"mark": Mark.SET}
    session.execute(update(Calendar).where(held(lease)).values({**values, "mark_after": ""}))
