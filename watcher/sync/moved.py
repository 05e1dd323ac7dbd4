"""An account's own calendar that Google shows under another id: a mailbox that was renamed, or an
address that never was a calendar's id.

The rows in ERPNext go along (their key and calendar id change, whatever people added to them
stays), and only then the ledger: broken off in between, the next try finds the rest. Meanwhile
nobody writes under the old id, since Google answers 404 for it.
"""

from __future__ import annotations

import logging

from watcher.erpnext.rekeying import Renamed, rekey
from watcher.errors import CalendarGone, LeaseLost
from watcher.google.own import own_calendar
from watcher.ledger import accounts, aside, calendars, channels, leases, own
from watcher.ledger.debts import Work
from watcher.ledger.leases import CalendarLease
from watcher.ledger.models import Account
from watcher.services import Services

log = logging.getLogger(__name__)


def follow(services: Services, lease: CalendarLease, work: Work, sure: bool) -> bool:
    """Google does not know the calendar of ``work``. Is it the account's own, look for it as its
    main calendar, and go on with the id that Google names: True then, and it owes a full listing.

    ``sure``: the 404 is not one of the moment; what was never mirrored needs no proof of that.
    Raises ``CalendarGone`` when nothing was ever mirrored and there is no main calendar either,
    and what both sides raise.
    """
    with services.db.reading() as session:
        account = session.get_one(Account, work.account_id)
        if not own.is_own(session, account, work.google_id) or not (sure or work.first):
            return False
    google = services.google(account.id, account.email, "poll")
    try:
        found = own_calendar(google, account.email)
    except CalendarGone:
        if work.first:
            raise
        return False  # it was there: then it is gone, like any other
    if found.lower() == work.google_id.lower():
        return False
    _move_rows(services, lease, Renamed(address=account.email, old=work.google_id, new=found))
    _move_ledger(services, lease, account.id, found)
    log.warning("Google shows the calendar %s of %s as %s", work.google_id, account.email, found)
    return True


def _move_ledger(services: Services, lease: CalendarLease, account_id: int, google_id: str) -> None:
    now = services.clock()
    with services.db.session() as session:
        accounts.lock(session, account_id)
        calendar = calendars.locked(session, lease.calendar_id)
        if calendar.fence != lease.fence:
            raise LeaseLost
        channels.retire_all(session, calendar.id, now)
        aside.release_others(session, calendar.id, ())
        own.note_own(session, session.get_one(Account, account_id), google_id, now)
        own.move_to(session, calendar, google_id, now)


def _move_rows(services: Services, lease: CalendarLease, renamed: Renamed) -> None:
    def hold() -> None:
        with services.db.session() as session:
            leases.extend_calendar(services.db, session, lease)

    rekey(services.erpnext, services.mirror(), renamed, hold)
