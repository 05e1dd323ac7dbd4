"""ERPNext's side of a pass: the rows on which what Google has told is decided."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import timedelta

from watcher.erpnext.client import BATCH
from watcher.events.mapping import data_id
from watcher.events.model import Row
from watcher.sync.decide import Rows
from watcher.sync.intake import sync_keys
from watcher.sync.passes import Basis, Pass
from watcher.sync.reading import Reading, read_past

ZONES_APART = timedelta(days=2)
"""Days of the calendar's zone and times of the site's differ by less."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """What one call can ask for where the changes are few and of living single events: the rows of
    their ``keys``, and those of the series that they may have been (``roots``, in ``calendar``)."""

    keys: Collection[str]
    roots: Collection[str]
    calendar: tuple[str, str]

    @classmethod
    def of(cls, basis: Basis, reading: Reading) -> Wanted | None:
        """None where one call is not enough. An event that is no series any more has its rows in
        this calendar alone, as good as always; the rows of a series that many attend would come in
        all their calendars."""
        keys = _keys(basis, reading)
        roots = {data_id(event.id) for event in reading.roots}
        series = any(event.is_master or event.is_cancelled for event in reading.roots)
        if series or not keys or len(keys) + len(roots) > BATCH:
            return None
        return cls(keys=keys, roots=roots, calendar=basis.calendar)

    def among(self, found: Iterable[Row]) -> Rows:
        """These, among rows that were asked for."""
        rows = list(found)
        return Rows(
            held=[row for row in rows if row.key in self.keys],
            of_series=[
                row
                for row in rows
                if row.recurring_event_id in self.roots and row.owner_ids == self.calendar
            ],
        )


def look_up(p: Pass, reading: Reading) -> tuple[Reading, Rows]:
    """What ERPNext holds of what was read; and the reading, with the past of series that became
    private, if ERPNext holds any of it."""
    basis = p.basis
    if reading.kind == "snapshot":
        # After a change of policy rows that have aged out may have to be masked as well.
        seen = basis.work.rows_seen if basis.work.policy_fingerprint == basis.policy else ""
        rows = Rows(held=rows_of_listing(p, [*_keys(basis, reading), *basis.work.to_mask], seen))
        p.hold()
        return reading, rows
    wanted = Wanted.of(p.basis, reading)
    if wanted is not None:
        found = p.mirror.rows_by_keys_or_series(wanted.keys, wanted.roots)
        p.hold()
        return reading, wanted.among(found)
    roots = [data_id(event.id) for event in reading.roots]
    of_series = p.mirror.rows_by_series(*basis.calendar, roots)
    p.hold()
    reading = read_past(p, reading, of_series)
    held = p.mirror.rows_by_keys(_keys(basis, reading))
    p.hold()
    return reading, Rows(held=list(held.values()), of_series=of_series)


def _keys(basis: Basis, reading: Reading) -> list[str]:
    events = (*reading.told, *reading.listed)
    return sync_keys(basis.rules, [event.id for event in events])


def rows_of_listing(p: Pass, keys: Iterable[str], seen: str) -> list[Row]:
    """What ERPNext holds for the calendar, as far as a listing of the window with these keys
    decides on it: the rows of the keys wherever they lie, and of the others those that do not end
    before the window, that were written after ``seen``, or that have no key. The rest is history,
    which stays as it is. All rows when ``seen`` is empty: rows that an earlier version has only
    masked may lie anywhere."""
    basis = p.basis
    if not seen:
        return p.mirror.rows_of_calendar(*basis.calendar)
    edge = (basis.window.start - ZONES_APART).astimezone(basis.rules.site_zone)
    rows = p.mirror.rows_for_listing(
        *basis.calendar, ends_after=f"{edge:%Y-%m-%d %H:%M:%S}", touched_since=seen
    )
    known = {row.key for row in rows}
    return [*rows, *p.mirror.rows_by_keys(key for key in keys if key not in known).values()]
