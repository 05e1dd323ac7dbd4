"""Leases by the database's clock, claimed by compare-and-set: a row count tells who won."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, bindparam, or_, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from watcher.errors import LeaseLost
from watcher.ledger import often
from watcher.ledger.clock import epoch_now
from watcher.ledger.db import Database
from watcher.ledger.models import Account, Calendar, Lease
from watcher.ledger.states import LEAVING
from watcher.ledger.upsert import Change, upsert

CALENDAR_LEASE_SECONDS = 60.0


STEP_SECONDS = 60.0
"""A database's clock that is put right may go back by so much without ending leases."""
Moment = float | ColumnElement[float]


def lapsed(until: InstrumentedAttribute[float], now: Moment, seconds: float) -> ColumnElement[bool]:
    """Whether a lease that is taken for ``seconds`` has ended. One that lies further ahead was
    taken while the database's clock ran ahead: nobody prolongs it, else it would not."""
    return or_(until < now, until > now + seconds + STEP_SECONDS)


def is_free(now: Moment) -> ColumnElement[bool]:
    """Whether nobody works on a calendar; ``now`` by the database's clock."""
    return or_(
        Calendar.lease_owner.is_(None), lapsed(Calendar.lease_until, now, CALENDAR_LEASE_SECONDS)
    )


def another_works(db: Database, session: Session, calendar: Calendar, owner: str) -> bool:
    """Whether another than ``owner`` works on a calendar, as its row was read."""
    return calendar.lease_until > db.now_epoch(session) and calendar.lease_owner != owner


@dataclass(frozen=True, slots=True)
class CalendarLease:
    """Proof that this process works on a calendar; ``fence`` grows with every take-over."""

    calendar_id: int
    owner: str
    fence: int


_TAKE = (
    update(often.table(Calendar))
    .where(Calendar.id == bindparam("calendar"), is_free(epoch_now()))
    .values(
        lease_owner=bindparam("taker"),
        lease_until=epoch_now() + CALENDAR_LEASE_SECONDS,
        fence=often.table(Calendar).c.fence + 1,
    )
    .returning(often.table(Calendar).c.fence)
)


def take_calendar(session: Session, calendar_id: int, owner: str) -> CalendarLease | None:
    """Lease a calendar for 60 s, or None while another process holds it. When it is taken, its row
    is kept from others until the transaction ends."""
    fence = often.run(session, _TAKE, {"calendar": calendar_id, "taker": owner}).scalar()
    return None if fence is None else CalendarLease(calendar_id, owner, fence)


def extend_calendar(db: Database, session: Session, lease: CalendarLease) -> None:
    """Hold on for another 60 s. Raises ``LeaseLost`` when another process took over, or the
    calendar is being let go."""
    now = db.now_epoch(session)
    leaving = select(Account.id).where(Account.state.in_(LEAVING))
    kept = session.execute(
        update(Calendar)
        .where(held(lease), Calendar.removed.is_(False), Calendar.account_id.not_in(leaving))
        .values(lease_until=now + CALENDAR_LEASE_SECONDS)
        .returning(Calendar.id)
    ).scalar_one_or_none()
    if kept is None:
        raise LeaseLost


def release_calendar(session: Session, lease: CalendarLease) -> None:
    session.execute(update(Calendar).where(held(lease)).values(lease_owner=None, lease_until=0.0))


def held(lease: CalendarLease) -> ColumnElement[bool]:
    """Whether the lease still holds."""
    return and_(
        Calendar.id == lease.calendar_id,
        Calendar.lease_owner == lease.owner,
        Calendar.fence == lease.fence,
    )


def take(db: Database, session: Session, name: str, owner: str, seconds: float) -> bool:
    """Take or prolong the named lease for ``seconds``; False while another owner holds it."""
    now = db.now_epoch(session)
    ours = {"owner": owner, "until": now + seconds}
    free = or_(Lease.owner == owner, lapsed(Lease.until, now, seconds))
    return upsert(session, Lease, {"name": name, **ours}, Change(ours, free))


def drop(session: Session, name: str, owner: str) -> None:
    session.execute(update(Lease).where(Lease.name == name, Lease.owner == owner).values(until=0.0))
