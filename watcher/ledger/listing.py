"""A page of the list of calendars: those in trouble first, then by the employee's address."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, case, func, or_, select
from sqlalchemy.orm import Session

from watcher.languages.catalogs import N_
from watcher.ledger import failing, standing, watched
from watcher.ledger.db import Database
from watcher.ledger.models import Account, Calendar
from watcher.ledger.states import AccountState, CalendarStatus

TROUBLE, PAUSED, POLLED = "trouble", "paused", "polled"
_IN_TROUBLE = and_(Account.is_active, ~standing.is_at_rest())


@dataclass(frozen=True, kw_only=True, slots=True)
class Chosen:
    """Which calendars: with these letters in the address or in the calendar's id, that fail for
    this ``cause``, and of this kind (``TROUBLE``: not simply up to date)."""

    letters: str = ""
    cause: str = ""
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Listed:
    """One calendar: ``watch`` is its live channel."""

    calendar: Calendar
    account: Account
    status: CalendarStatus
    watch: watched.Watch | None
    now: datetime

    @property
    def trouble(self) -> str:
        """What its last pass met, where that lasts."""
        return standing.trouble(self.calendar, self.status)

    @property
    def push(self) -> str:
        """How its changes become known, where no channel that was heard tells of them."""
        if self.calendar.push_supported is False:
            return N_("polled")
        if self.watch is None or self.watch.heard:
            return ""
        fresh = self.now - self.watch.opened_at <= watched.HEARD_WITHIN
        return N_("just opened") if fresh else N_("silent: polled")


def count(session: Session, chosen: Chosen = Chosen()) -> int:
    found = select(func.count()).select_from(Calendar).join(Account).where(*_which(chosen))
    return session.scalar(found) or 0


def page(
    db: Database, session: Session, now: datetime, chosen: Chosen, *, limit: int, offset: int = 0
) -> list[Listed]:
    """Each as ``fleet.look`` judges it."""
    rows = session.execute(
        select(Calendar, Account)
        .join(Account)
        .where(*_which(chosen))
        .order_by(case((_IN_TROUBLE, 0), else_=1), Account.email, Calendar.id)
        .offset(offset)
        .limit(limit)
    ).all()
    seen = standing.moment(db, session, now)
    watches = watched.live_channels(session, now, [row[0].id for row in rows])
    return [
        Listed(c, a, standing.calendar_status(c, a, seen), watches.get(c.id), now) for c, a in rows
    ]


def _which(chosen: Chosen) -> Sequence[ColumnElement[bool]]:
    found = [Calendar.removed.is_(False), Account.state != AccountState.DISCONNECTED]
    if chosen.letters:
        letters = chosen.letters.lower()
        fits = [
            func.lower(column).contains(letters, autoescape=True)
            for column in (Account.email, Calendar.google_id)
        ]
        found.append(or_(*fits))
    if chosen.cause:
        found.append(failing.fails(chosen.cause))
    kinds = {
        TROUBLE: _IN_TROUBLE,
        PAUSED: ~Account.is_active,
        POLLED: and_(Account.is_active, Calendar.push_supported.is_(False)),
    }
    return [*found, *([kinds[chosen.kind]] if chosen.kind in kinds else [])]
