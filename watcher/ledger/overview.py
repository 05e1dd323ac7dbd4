"""The state of everything in one document: ``watcher status --json``, dashboard and metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Protocol
from urllib.parse import urlsplit

from sqlalchemy.orm import Session

from watcher import __version__
from watcher.ledger import alarms, budget, erpnext, fleet, freshness, presence, sizes, warnings
from watcher.ledger.causes import NOWHERE, Place
from watcher.ledger.db import Database
from watcher.ledger.document import (
    AccountCounts,
    CalendarCounts,
    ChannelCounts,
    Light,
    QueueCounts,
    Status,
)
from watcher.ledger.states import AccountState, CalendarStatus
from watcher.settings import Settings


class Watched(Protocol):
    """What ``look`` needs of a process: ``services.Services`` has it all."""

    @property
    def settings(self) -> Settings: ...
    @property
    def db(self) -> Database: ...
    @property
    def clock(self) -> Callable[[], datetime]: ...
    @property
    def doorbell(self) -> Lengths: ...


class Lengths(Protocol):
    def lengths(self) -> Mapping[str, int] | None: ...
    def refusal(self) -> str: ...


def look(app: Watched, *, refusal: str = "", silence: str = "") -> Status:
    """How everything is now, for whoever tells of it: the command, the dashboard, the metrics and
    the notices. ``refusal`` and ``silence`` as in ``Place``. Raises ``LedgerAway``."""
    place = Place(
        public_url=app.settings.public_url,
        erpnext_host=urlsplit(app.settings.erpnext_url).netloc,
        google_host=urlsplit(app.settings.google_api_url).netloc,
        own_queue=not app.settings.redis_url,
        day_line=app.settings.google_calls_per_day,
        refusal=refusal,
        queue_refusal=app.doorbell.refusal(),
        silence=silence,
    )
    lanes = app.doorbell.lengths()
    with app.db.reading() as session:
        return status(app.db, session, app.clock(), lanes, place)


def status(
    db: Database,
    session: Session,
    now: datetime,
    waiting: Mapping[str, int] | None,
    place: Place = NOWHERE,
) -> Status:
    """How everything is. ``waiting`` maps lanes to queue lengths; None: Redis does not answer."""
    calendars = fleet.look(db, session, now)
    found = alarms.find(session, calendars, place, queue_answers=waiting is not None)
    set_aside = erpnext.set_aside(session)
    warned = [*presence.silent(session, now), *warnings.find(calendars, set_aside, found)]
    problems, waits = (
        tuple(replace(each, next_try=_not_past(each.next_try, now)) for each in every)
        for every in (found, warned)
    )
    return Status(
        version=__version__,
        healthy=not problems,
        light=Light.RED if problems else Light.AMBER if waits else Light.GREEN,
        accounts=_accounts(session),
        calendars=_calendars(calendars),
        channels=_channels(calendars),
        queue=_queue(calendars, waiting or {}),
        processes=presence.counts(session, now),
        freshness_seconds=freshness.measured(session, now),
        google_calls=budget.calls(session, now, place.day_line),
        quarantined=set_aside.count,
        set_aside=replace(set_aside, next_try=_not_past(set_aside.next_try, now)),
        erpnext=erpnext.site(session),
        problems=problems,
        warnings=waits,
    )


def _not_past(next_try: datetime | None, now: datetime) -> datetime | None:
    """A try that is due or under way is the next one: it is now, and not a while ago."""
    return next_try and max(next_try, now)


def _accounts(session: Session) -> AccountCounts:
    counts = sizes.accounts(session)
    return AccountCounts(
        active=counts.get(AccountState.ACTIVE, 0),
        needs_reconnect=counts.get(AccountState.NEEDS_RECONNECT, 0),
        paused=counts.get(AccountState.PAUSED, 0),
        invited=counts.get(AccountState.INVITED, 0),
    )


def _calendars(calendars: fleet.Fleet) -> CalendarCounts:
    return CalendarCounts(
        up_to_date=calendars.counts[CalendarStatus.UP_TO_DATE],
        syncing=calendars.counts[CalendarStatus.SYNCING],
        delayed=calendars.counts[CalendarStatus.DELAYED],
        failing=calendars.counts[CalendarStatus.FAILING],
        paused=calendars.counts[CalendarStatus.PAUSED],
        poll_only=calendars.poll_only,
    )


def _channels(calendars: fleet.Fleet) -> ChannelCounts:
    return ChannelCounts(
        live=calendars.watching.heard,
        silent=calendars.watching.silent,
        missing=len(calendars.unwatched),
        next_expiry=calendars.watching.next_expiry,
    )


def _queue(calendars: fleet.Fleet, waiting: Mapping[str, int]) -> QueueCounts:
    return QueueCounts(
        live=waiting.get("live", 0),
        backfill=waiting.get("backfill", 0),
        oldest_seconds=round(calendars.longest_wait(), 1),
    )
