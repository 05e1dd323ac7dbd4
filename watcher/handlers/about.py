"""What an account's pages tell its employee: who asks, what is read, who sees it, how it stands."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

from flask import current_app
from flask_babel import gettext

from watcher.accounts.upcoming import Upcoming, next_event
from watcher.errors import WatcherError
from watcher.handlers import answered, trouble
from watcher.handlers.context import services
from watcher.handlers.speech import language
from watcher.handlers.turns import alone
from watcher.languages import catalogs, seeing
from watcher.ledger import calendars, choices, own, standing
from watcher.ledger import erpnext as known_site
from watcher.ledger.models import Account, Calendar
from watcher.ledger.states import CalendarStatus
from watcher.services import Services

ERPNEXT = __name__
TURN_SECONDS = 2.0


@dataclass(slots=True)
class Reader:
    """By which ERPNext is read for employees: one at a time, since each holds a thread of the web
    server meanwhile, and notifications need theirs."""

    services: Services
    lock: threading.Lock = field(default_factory=threading.Lock)


def told(account: Account) -> dict[str, Any]:
    """For the pages: the company, what is read, who sees it, and what becomes of the copies."""
    app = services()
    what = choices.seen(app.settings, account)
    with app.db.reading() as db:
        company = known_site.company(db, app.settings)
    words = catalogs.words(language())
    return {
        "email": account.email,
        "company": company,
        "read": list(seeing.what_is_read(what, words)),
        "sees": list(seeing.who_sees(what, words)),
        "leaving": seeing.rows_after_leaving(app.settings.leaving_events, words),
        "finds": app.settings.find_calendars != "no",
        "delegated": account.source == "service-account",
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """A calendar: ``name`` is Google's id, empty for the own one under the account's address."""

    name: str
    is_own: bool
    status: CalendarStatus
    at_google: bool
    """Whether it is Google that refuses, where it fails."""
    cause: str
    """What the admins' pages call it; empty where all is well."""
    trouble: str
    """Why it is not copied now, for the employee, in the language of the page."""
    read_at: datetime | None
    """When all of it was last read, None before the first time."""
    checked_at: datetime | None
    zone: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """How the calendars of an account stand. ``changed_at`` is when ERPNext was last written."""

    calendars: Sequence[Shown]
    changed_at: datetime | None

    @property
    def main(self) -> Shown | None:
        """The own calendar, or the first one where others are mirrored in its place."""
        mine = [each for each in self.calendars if each.is_own]
        return next(iter(mine or self.calendars), None)

    @property
    def zone(self) -> str:
        return self.main.zone if self.main and self.main.read_at else "UTC"


def stands(account: Account) -> Standing:
    app = services()
    with app.db.reading() as db:
        seen_at = standing.moment(app.db, db, app.clock())
        rows = calendars.of_account(db, account.id)
        mine = own.of_account(db, account)
        found = [_shown(row, account, seen_at, mine) for row in rows]
    changes = [row.changed_at for row in rows if row.changed_at is not None]
    return Standing(calendars=found, changed_at=max(changes, default=None))


def _shown(
    row: Calendar, account: Account, seen_at: standing.Moment, mine: Calendar | None
) -> Shown:
    status = standing.calendar_status(row, account, seen_at)
    is_amiss = bool(standing.trouble(row, status))
    return Shown(
        name="" if row.google_id.lower() == account.email else row.google_id,
        is_own=mine is not None and mine.id == row.id,
        status=status,
        at_google=row.cause not in trouble.NOT_GOOGLE,
        cause=row.cause if is_amiss else "",
        trouble=gettext(trouble.of(row.cause, row.state)) if is_amiss else "",
        read_at=row.last_snapshot_at,
        checked_at=row.last_success_at,
        zone=row.time_zone,
    )


@dataclass(frozen=True, slots=True)
class Next:
    """The next event as ERPNext has it, asked ``at`` that moment; ``away`` says that it could not
    be asked."""

    event: Upcoming | None = None
    who: str = ""
    at: datetime | None = None
    away: bool = False


def upcoming(account: Account, how: Standing) -> Next:
    """Asks ERPNext, unless it has just answered for this account and nothing of it was written to
    ERPNext since."""
    key = f"next:{account.id}:{how.changed_at}"
    try:
        answer = answered.lately(key, lambda: _next_event(account.email))
    except WatcherError:
        return Next(away=True)
    found = answer.value
    if found is None:
        return Next(at=answer.at)
    if not found.is_private:
        who = gettext("everybody who works in ERPNext")
    elif account.erpnext_user is not None:
        who = gettext("you alone")
    else:
        who = gettext("nobody in ERPNext")
    return Next(found, who, answer.at)


def _next_event(email: str) -> Upcoming | None:
    reader = cast(Reader, current_app.extensions[ERPNEXT])
    with alone(reader.lock, TURN_SECONDS):
        return next_event(reader.services, email)
