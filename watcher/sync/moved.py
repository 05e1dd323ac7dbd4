"""An account's own calendar that Google shows under another id: a mailbox that was renamed, or an
address that never was a calendar's id.

The rows in ERPNext go along (their key and calendar id change, whatever people added to them
stays), and only then the ledger: broken off in between, the next try finds the rest. Meanwhile
nobody writes under the old id, since Google answers 404 for it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from watcher.erpnext.client import BATCH, ErpNextClient
from watcher.erpnext.events import EventMirror
from watcher.erpnext.rows import KEY, bulk_doc, chunks
from watcher.errors import CalendarGone, ErpRefused, LeaseLost
from watcher.events.mapping import data_id, sync_key
from watcher.events.model import Cancel, Row
from watcher.google.own import NO_OWN_CALENDAR, own_calendar
from watcher.ledger import accounts, aside, calendars, channels, leases, own
from watcher.ledger.calendars import Work
from watcher.ledger.leases import CalendarLease
from watcher.ledger.models import Account
from watcher.services import Services

log = logging.getLogger(__name__)

__all__ = ["NO_OWN_CALENDAR", "follow", "rekey"]

CALENDAR = "custom_google_calendar_id"


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
    _move_rows(services, lease, account.email, (work.google_id, found))
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


def _move_rows(
    services: Services,
    lease: CalendarLease,
    address: str,
    ids: tuple[str, str],
) -> None:
    def hold() -> None:
        with services.db.session() as session:
            leases.extend_calendar(services.db, session, lease)

    rekey(services.erpnext, services.mirror(), address, *ids, hold=hold)


def rekey(
    client: ErpNextClient,
    mirror: EventMirror,
    address: str,
    old: str,
    new: str,
    *,
    hold: Callable[[], None],
) -> None:
    """Make the rows of calendar ``old`` rows of ``new``. Where there is such a row already, or the
    event's whole id is not in the row, it is cancelled (or deleted, as the settings say): the next
    listing makes what is missing. Safe to repeat; ``hold`` is called before each write.
    """
    account = data_id(address)
    held = mirror.held_of_calendar(account, data_id(old))
    keys = {row.name: _new_key(row, address, old, new) for row in held}
    taken = mirror.held_by_keys(keys.values())
    going = {row.name: row for row in held if keys[row.name] and keys[row.name] not in taken}
    docs = {name: {KEY: keys[name], CALENDAR: data_id(new)} for name in going}
    for few in chunks(list(going), BATCH):
        hold()
        client.bulk_update([bulk_doc(name, docs[name]) for name in few])
    # Of those that it lists as failed, and of the others, only what is read again is believed.
    left = [row.name for row in mirror.held_of_calendar(account, data_id(old))]
    for name in (name for name in left if name in going):
        hold()
        _put(client, name, docs[name])
    doubles = [row for row in held if row.name not in going and not row.is_cancelled]
    mirror.apply([_ends(row) for row in doubles], before_batch=hold)


def _new_key(row: Row, address: str, old: str, new: str) -> str:
    whole = row.key == sync_key(address, old, row.event_id)
    return sync_key(address, new, row.event_id) if whole else ""


def _put(client: ErpNextClient, name: str, fields: dict[str, str]) -> None:
    try:
        client.update({"doctype": "Event", "name": name, **fields})
    except ErpRefused as error:
        log.warning("ERPNext refuses to move the row %s: %s", name, error.message)


def _ends(row: Row) -> Cancel:
    return Cancel(name=row.name, key=row.key, event_id=row.event_id, reason="moved")
