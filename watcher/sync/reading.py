"""Google's side of a pass: what changed since the sync token, or everything in the window.

Series are expanded by Google itself. Nothing here knows ERPNext, but for ``read_past``, which is
told the rows whose past is still readable.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any
from zoneinfo import ZoneInfo

from watcher.events.mapping import PRIVATE
from watcher.events.model import GoogleEvent, Row, Window
from watcher.events.plan import newest_by_id
from watcher.events.window import REACH
from watcher.ledger.aside import SetAside
from watcher.sync.expansion import expand, history
from watcher.sync.intake import parse_items, zone_or_utc
from watcher.sync.passes import Basis, Kind, Pass

ROLL_AFTER = REACH / 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """What Google has told.

    ``told`` are the changes of a delta (the newest of each event), ``listed`` what was listed: the
    window, or the instances of changed series and what has come within reach of the window's end.
    ``token`` is the sync token to go on with, ``filled`` the window whose end has been reached now
    (None: it is filled as far as before), ``items`` how many items the answers held, ``unreadable``
    those that are no events.
    """

    kind: Kind
    token: str
    zone_name: str
    pages: int
    items: int
    told: list[GoogleEvent]
    listed: list[GoogleEvent]
    unreadable: list[SetAside]
    filled: Window | None

    @property
    def zone(self) -> ZoneInfo:
        """The calendar's."""
        return zone_or_utc(self.zone_name)

    @property
    def is_empty(self) -> bool:
        """A delta that tells of nothing: there is nothing to decide."""
        return self.kind == "delta" and not self.items

    @property
    def roots(self) -> list[GoogleEvent]:
        """The events among ``told`` that are no instances of a series."""
        return [event for event in self.told if event.recurring_event_id is None]

    @property
    def masters(self) -> set[str]:
        """Ids of the series among ``told`` that live."""
        return {e.id for e in self.roots if e.is_master and not e.is_cancelled}

    @property
    def orphaned(self) -> set[str]:
        """Ids of series that Google calls gone while an exception of theirs is said to live."""
        gone = {event.id for event in self.roots} - self.masters
        alive = {e.recurring_event_id or "" for e in self.told if not e.is_cancelled}
        return gone & alive

    @property
    def private_roots(self) -> set[str]:
        return {event.id for event in self.roots if event.visibility in PRIVATE}


def read_window(p: Pass) -> Reading:
    """Everything in the window, series expanded. A new sync token is taken before the listing, so
    that a change in between comes with the next delta."""
    work, calendar_id = p.basis.work, p.basis.rules.calendar_id
    token = work.sync_token
    if token is None or p.basis.needs_token:
        token = p.google.mint_sync_token(calendar_id)
        p.hold()
    return replace(list_window(p), token=token)


def list_window(p: Pass) -> Reading:
    """As ``read_window``, without a token to go on with."""
    work, window = p.basis.work, p.basis.window
    items: list[dict[str, Any]] = []
    pages, zone_name = 0, work.time_zone
    for page in p.google.snapshot(p.basis.rules.calendar_id, window):
        p.hold()
        pages += 1
        items += page.items
        zone_name = page.time_zone or zone_name
    events, unreadable = parse_items(items, p.basis.rules, zone_or_utc(zone_name))
    return Reading(
        kind="snapshot",
        token="",
        zone_name=zone_name,
        pages=pages,
        items=len(items),
        told=[],
        listed=newest_by_id(events),
        unreadable=unreadable,
        filled=window,
    )


def read_changes(p: Pass) -> Reading:
    """What changed since the sync token, with the instances of changed series, and what has come
    within reach of the window's end. Raises ``SyncTokenExpired``."""
    work, rules = p.basis.work, p.basis.rules
    items: list[dict[str, Any]] = []
    pages, token, zone_name = 0, "", work.time_zone
    for page in p.google.changes(rules.calendar_id, work.sync_token or ""):
        p.hold()
        pages += 1
        items += page.items
        token = page.next_sync_token or token
        zone_name = page.time_zone or zone_name
    if not token:
        raise AssertionError("the client lets no delta end without a token")
    events, unreadable = parse_items(items, rules, zone_or_utc(zone_name))
    reading = Reading(
        kind="delta",
        token=token,
        zone_name=zone_name,
        pages=pages,
        items=len(items),
        told=newest_by_id(events),
        listed=[],
        unreadable=unreadable,
        filled=None,
    )
    found = expand(p, reading.masters, reading.orphaned)
    reached = _newly_reached(p.basis)
    if reached is not None:
        for page in p.google.snapshot(rules.calendar_id, reached):
            p.hold()
            found += page.items
        reading = replace(reading, filled=p.basis.window)
    return _with_listed(p.basis, reading, found)


def read_past(p: Pass, reading: Reading, rows: Iterable[Row]) -> Reading:
    """The reading, with what has aged out of the window of series that became private: their rows
    (among ``rows``) stay, so they have to be written anew without what was readable."""
    private = reading.masters & reading.private_roots
    return _with_listed(p.basis, reading, history(p, private, rows, reading.zone))


def _with_listed(basis: Basis, reading: Reading, items: list[dict[str, Any]]) -> Reading:
    if not items:
        return reading
    events, unreadable = parse_items(items, basis.rules, reading.zone)
    return replace(
        reading,
        items=reading.items + len(items),
        listed=newest_by_id([*reading.listed, *events]),
        unreadable=[*reading.unreadable, *unreadable],
    )


def _newly_reached(basis: Basis) -> Window | None:
    """What has come within reach of the window's far end since the mirror was last filled."""
    filled_to = basis.work.window_end
    if filled_to is None or basis.window.end - filled_to < ROLL_AFTER:
        return None
    return Window(start=filled_to, end=basis.window.end)
