"""An employee no longer wants one of the chosen calendars copied: nothing more is read of it at
once, and cron does with its rows within a minute what ``WATCHER_LEAVING_EVENTS`` says."""

from __future__ import annotations

import logging
from functools import partial

from watcher import errors
from watcher.accounts import disconnect
from watcher.ledger import accounts, audit, calendars, channels, chosen
from watcher.ledger.models import Account
from watcher.services import Services

log = logging.getLogger(__name__)


def let_go(services: Services, email: str, google_id: str) -> bool:
    """False for a calendar that the employee has not chosen: it is the company's."""
    events = services.settings.leaving_events
    with services.db.session() as session:
        account, now = accounts.get(session, email), services.clock()
        accounts.lock(session, account.id)
        mine = {each.google_id: each.id for each in chosen.of_account(session, account.id)}
        if google_id not in mine:
            return False
        calendar = calendars.locked(session, mine[google_id])
        calendar.removed, calendar.sync_token = True, None
        channels.retire_all(session, calendar.id, now)  # which cron stops at Google
        chosen.let_go(session, calendar.id, events, now)
        subject = audit.calendar(account.email, google_id)
        act = audit.Act(audit.What.CALENDAR_REMOVE, subject, {"events": events})
        audit.record(session, act, now)
    return True


def finish(services: Services) -> int:
    """Go on with disconnections and with calendars that were let go; returns how many of them are
    done."""
    return disconnect.finish(services) + _finish(services)


def _finish(services: Services) -> int:
    with services.db.reading() as session:
        left = chosen.left(session)
    return sum(
        errors.contained(partial(_clear, services, number, events), _not_yet)
        for number, events in left
    )


def _clear(services: Services, number: int, events: str) -> int:
    with services.db.reading() as session:
        calendar = calendars.get(session, number)
        email = session.get_one(Account, calendar.account_id).email
    if calendar.removed:  # else it was added again meanwhile
        disconnect.drain(services, [number])
        of_it = disconnect.Calendars(email, [calendar.google_id])
        disconnect.treat_events(services, of_it, events)
    with services.db.session() as session:
        chosen.done(session, number)
    return 1


def _not_yet(error: errors.WatcherError) -> int:
    log.warning("a calendar that was let go is tried again: %s", error.message)
    return 0
