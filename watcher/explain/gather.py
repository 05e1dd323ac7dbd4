"""Everything that is to be known of one event in one calendar: from the ledger, and asked of Google
and ERPNext now. Nothing is changed on either side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from watcher import errors
from watcher.erpnext import deletions
from watcher.erpnext.site import Employee, Site
from watcher.events import mapping
from watcher.events.model import Create, GoogleEvent, Row
from watcher.events.parse import original_start
from watcher.explain import gathered
from watcher.explain.asking import Asking
from watcher.explain.decision import decide_on, keys_of
from watcher.google.own import look
from watcher.languages.names import code
from watcher.ledger import debts, told
from watcher.sync.intake import parse_items, sync_keys, zone_or_utc
from watcher.sync.passes import Basis, make_basis


@dataclass(frozen=True, kw_only=True, slots=True)
class Ground:
    """What all events of one calendar have in common: the calendar, and what a pass over it would
    decide on. ``site`` is why ERPNext's site could not be read; then the basis has a time zone that
    stands in for the site's, which decides nothing."""

    calendar: told.CalendarTold
    basis: Basis
    site: gathered.Silence | None

    @property
    def zone(self) -> ZoneInfo:
        """The calendar's."""
        return zone_or_utc(self.calendar.time_zone)


def ground(asking: Asking, calendar: told.CalendarTold) -> Ground:
    services = asking.services
    with services.db.reading() as session:
        work = debts.peek(session, calendar.id, snapshot=True)
    site = asking.ask("erpnext", services.site)
    silent = site if isinstance(site, gathered.Silence) else None
    employee = (
        None if silent else asking.ask("erpnext", partial(services.employee, work.erpnext_user))
    )
    if isinstance(site, gathered.Silence):
        name = services.settings.erpnext_time_zone or calendar.time_zone
        site = Site(zone_or_utc(name), api_user="", versions={}, fields=frozenset())
    basis = make_basis(services, work, site, employee if isinstance(employee, Employee) else None)
    return Ground(calendar=calendar, basis=basis, site=silent)


def facts_of(
    asking: Asking, on: Ground, event_id: str, google: gathered.AtGoogle | gathered.Silence
) -> gathered.Facts:
    """``google`` is what Google has said of the event. Raises ``LedgerAway``."""
    (key,) = sync_keys(on.basis.rules, [event_id])
    found = gathered.Facts(
        calendar=on.calendar,
        event_id=event_id,
        key=key,
        basis=on.basis,
        google=google,
        erpnext=_in_erpnext(asking, on, key, event_id),
    )
    found = replace(found, decided=_decided(on, found))
    found = _with_ledger(asking, found)
    return _with_deletion(asking, found)


# --- Google ---------------------------------------------------------------------------------


def at_google(asking: Asking, on: Ground, event_id: str) -> gathered.AtGoogle | gathered.Silence:
    """What Google says of the event now; an account that is not active is left alone."""
    calendar = on.calendar
    if not calendar.account.is_active:
        return gathered.Silence(
            message=errors.sentence(
                "it was not asked, since the account is not active (%(state)s)",
                state=code(calendar.account.state),
            )
        )
    if mapping.SHORTENED in event_id:
        return gathered.Silence(
            message=errors.sentence("it was not asked: ERPNext keeps this event's id shortened")
        )
    google_id = calendar.google_id
    item = asking.google(calendar, lambda google: google.event(google_id, event_id))
    if isinstance(item, gathered.Silence):
        return item
    if item is None:
        shown = asking.google(calendar, lambda google: look(google, google_id))
        hidden = shown.message if isinstance(shown, errors.Permanent) else ""
        return gathered.AtGoogle(hides_calendar=hidden)
    return _with_instances(asking, on, read_item(on, item))


def read_item(on: Ground, item: dict[str, Any]) -> gathered.AtGoogle:
    """One item of a listing. Most of what cannot be read has a time that is none, and a title all
    the same."""
    events, refused = parse_items([item], on.basis.rules, on.zone)
    if refused:
        timeless = {name: value for name, value in item.items() if name not in ("start", "end")}
        named, _ = parse_items([timeless], on.basis.rules, on.zone)
        return gathered.AtGoogle(unreadable=refused[0].message, named=named[0] if named else None)
    event, before = events[0], original_start(item, on.zone)
    moved = before if before is not None and event.start not in (None, before) else None
    return gathered.AtGoogle(event=event, moved_from=moved)


def _with_instances(
    asking: Asking, on: Ground, found: gathered.AtGoogle
) -> gathered.AtGoogle | gathered.Silence:
    event, google_id = found.event, on.calendar.google_id
    if event is None or not event.is_master or event.is_cancelled:
        return found
    series, window = event.id, on.basis.window
    items = asking.google(on.calendar, lambda google: google.instances(google_id, series, window))
    if isinstance(items, gathered.Silence):
        return items
    instances, _ = parse_items(items or [], on.basis.rules, on.zone)
    return replace(found, instances=tuple(each for each in instances if not each.is_cancelled))


# --- ERPNext --------------------------------------------------------------------------------


def _in_erpnext(
    asking: Asking, on: Ground, key: str, event_id: str
) -> gathered.InErpnext | gathered.Silence:
    if on.site is not None:
        return on.site
    mirror = asking.ask("erpnext", asking.services.mirror)
    if isinstance(mirror, gathered.Silence):
        return mirror
    rows = asking.ask("erpnext", lambda: mirror.rows_of_events([mapping.data_id(event_id)]))
    if isinstance(rows, gathered.Silence):
        return rows
    mine = [row for row in rows if row.key == key or row.owner_ids == on.basis.calendar]
    own = [row for row in mine if row.key == key or row.event_id == mapping.data_id(event_id)]
    return gathered.InErpnext(
        row=next((row for row in mine if row in own), None),
        of_series=tuple(row for row in mine if row.key and row not in own),
        elsewhere=tuple(row for row in rows if row not in mine),
    )


def _with_deletion(asking: Asking, found: gathered.Facts) -> gathered.Facts:
    """Where a row should be and is none, somebody may have deleted it."""
    erpnext, event = found.erpnext, found.event
    wanted = event is None or event.is_cancelled or isinstance(found.decided.action, Create)
    if (
        not isinstance(erpnext, gathered.InErpnext)
        or erpnext.row
        or erpnext.of_series
        or not wanted
    ):
        return found
    deletion = _deletion(asking, found.key)
    return replace(found, erpnext=replace(erpnext, deletion=deletion)) if deletion else found


def _deletion(asking: Asking, key: str) -> deletions.Deletion | None:
    client = asking.services.erpnext
    found = asking.ask("erpnext", lambda: deletions.last_deletion(client, key=key))
    return found if isinstance(found, deletions.Deletion) else None


# --- what follows ---------------------------------------------------------------------------


def _decided(on: Ground, found: gathered.Facts) -> gathered.Decided:
    google, erpnext = found.google, found.erpnext
    if isinstance(google, gathered.Silence) or google.hides_calendar:
        return gathered.Decided()
    if google.unreadable:
        return gathered.Decided(unmappable=google.unreadable)
    events: Sequence[GoogleEvent] = google.instances
    if google.event is not None and not google.event.is_master:
        events = [google.event]
    rows: list[Row] | None = None
    if isinstance(erpnext, gathered.InErpnext):
        rows = [row for row in (erpnext.row, *erpnext.of_series) if row is not None]
    return decide_on(on.basis, on.zone, events, rows)


def _with_ledger(asking: Asking, found: gathered.Facts) -> gathered.Facts:
    """What stands aside, and since when the change has been read."""
    number, google = found.calendar.id, found.google
    instances = google.instances if isinstance(google, gathered.AtGoogle) else ()
    keys = [found.key, *keys_of(found.basis, instances)]
    with asking.services.db.reading() as session:
        aside = told.set_aside(session, number, keys)
        changed = found.changed_at
        read = told.first_read_since(session, number, changed) if changed else None
    mine = aside.pop(found.key, None)
    return replace(found, aside=mine, series_aside=tuple(aside.values()), read_since=read)
