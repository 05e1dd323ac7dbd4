"""Rows whose calendar is no longer kept current say so in ERPNext, and say it no more once it is.

Nothing of it needs Google. It is done under the calendar's lease, a batch for each, so that no pass
writes the same rows meanwhile; a pass empties the mark of each row that it writes by itself. A
crash leaves rows that the next run goes on with.
"""

from __future__ import annotations

import logging

from watcher import errors
from watcher.erpnext.marks import Batch, mark_some, unmark_some
from watcher.events.mapping import data_id
from watcher.events.times import site_string
from watcher.ledger import calendars, leases, marks
from watcher.ledger.leases import CalendarLease
from watcher.ledger.marks import Marking
from watcher.services import Services
from watcher.sync.touched import Written, look_back

log = logging.getLogger(__name__)

CALENDARS = 50
BATCHES = 20
"""In one run, of all calendars together: about half a minute's work for ERPNext."""


def mark_calendars(services: Services) -> int:
    """Go on with the rows of calendars that are not as they should be. Returns how many batches
    were written. While ERPNext does not take them, the rest is left to the next run."""
    with services.db.reading() as session:
        todo = marks.due(session, services.clock(), CALENDARS)
    written = 0
    for calendar_id in todo:
        try:
            while written < BATCHES and _one_batch(services, calendar_id):
                written += 1
        except errors.WatcherError as error:
            log.info("rows that are not current are not marked now: %s", error.message)
            break
    return written


def _one_batch(services: Services, calendar_id: int) -> bool:
    """Whether rows were written: then there may be more."""
    begun = _begin(services, calendar_id)
    if begun is None:
        return False
    lease, marking = begun
    try:
        batch = _write(services, marking)
        seen = _seen(services, marking, batch)
        with services.db.session() as session:
            if batch.is_last:
                marks.ended(session, lease, marking)
            else:
                marks.went_on(session, lease, batch.after, seen)
    finally:
        _let_go(services, lease)
    return not batch.is_last


def _begin(services: Services, calendar_id: int) -> tuple[CalendarLease, Marking] | None:
    with services.db.session() as session:
        lease = leases.take_calendar(session, calendar_id, services.owner)
        if lease is None:
            return None
        marking = marks.begin(session, lease, services.clock())
        if marking is None:
            leases.release_calendar(session, lease)
            return None
    return lease, marking


def _write(services: Services, marking: Marking) -> Batch:
    client, calendar = services.erpnext, (data_id(marking.account), data_id(marking.google_id))
    if marking.since is None:
        return unmark_some(client, calendar, marking.after)
    zone = services.site().zone
    today = f"{services.clock().astimezone(zone):%Y-%m-%d} 00:00:00"
    return mark_some(client, calendar, site_string(marking.since, zone), today, marking.after)


def _seen(services: Services, marking: Marking, batch: Batch) -> str:
    """ERPNext's newest stamp of the calendar's rows: these writes are Watcher's own, and no reason
    to list the calendar anew. What others wrote meanwhile is, as before."""
    if not batch.keys or not marking.rows_seen:
        return marking.rows_seen
    calendar = data_id(marking.account), data_id(marking.google_id)
    written = Written(calendar, batch.keys, marking.rows_seen)
    seen, _ = look_back(services.mirror(), written)
    return seen


def _let_go(services: Services, lease: CalendarLease) -> None:
    """A change that was told meanwhile found the calendar leased: its pass is rung for now."""
    with services.db.session() as session:
        leases.release_calendar(session, lease)
        owes = calendars.owes_pass(session, lease.calendar_id)
    if owes:
        services.ring(lease.calendar_id, "live", "again")
