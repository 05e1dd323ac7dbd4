"""On which days the Desk's calendar draws an Event: a model of what browsers showed.

15.43 hands FullCalendar 3 an all-day end that is a day later than the row's; 16.4.1 hands
FullCalendar 6 the row's own, whose time it cuts off, and so draws several days one short. It also
asks for days that begin at the reader's midnight, which the server refuses when that is not the
site's: nothing at all is drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from watcher_sandbox.erpnext.catalogue import NEW, OLD

_DAY = timedelta(days=1)
_NEXT_DAY_AT = {OLD: time(9), NEW: time(0)}
"""In a month a timed end on a later day counts for that day only when it is after this time."""
_UNTIL = {OLD: timedelta(hours=2), NEW: timedelta(hours=1)}
"""How long FullCalendar draws what ends before it begins."""

Block = tuple[datetime, datetime]


def days(
    row: Mapping[str, Any],
    *,
    frappe: int,
    site_zone: str = "UTC",
    reader_zone: str = "",
    view: str = "month",
    mended: bool = False,
) -> list[date]:
    """The days that show the row; none when it is not Open. ``reader_zone``: of who looks, the
    site's own unless it is given. A ``view`` other than the month has hours, and shows what is
    timed on each day that it touches. ``mended``: a 16 with the corrections of 2026, which takes
    any reader's midnight and gives an all-day end one day more, as 15 does."""
    if row.get("status") != "Open":
        return []
    if frappe == NEW and not mended and _other_midnight(row, site_zone, reader_zone):
        return []
    start, end = block(row, frappe=frappe, site_zone=site_zone, reader_zone=reader_zone)
    if row.get("all_day"):
        longer = frappe == OLD or mended
        return _all_day(start.date(), end.date() + (_DAY if longer else timedelta()))
    next_day_at = _NEXT_DAY_AT[frappe] if view == "month" else time()
    return _timed(start, end, next_day_at, _UNTIL[frappe])


def block(
    row: Mapping[str, Any], *, frappe: int, site_zone: str = "UTC", reader_zone: str = ""
) -> Block:
    """Start and end as Frappe hands them to FullCalendar, by the reader's wall clock: without an
    end, a day later."""
    start = _read(row["starts_on"], site_zone, reader_zone or site_zone)
    if not row.get("ends_on"):
        return start, start + _DAY
    return start, _read(row["ends_on"], site_zone, reader_zone or site_zone)


def _other_midnight(row: Mapping[str, Any], site_zone: str, reader_zone: str) -> bool:
    midnight = datetime.combine(_read(row["starts_on"], site_zone, site_zone), time())
    return _read(midnight, site_zone, reader_zone or site_zone).time() != time()


def _read(moment: object, site_zone: str, reader_zone: str) -> datetime:
    """Frappe's script cuts fractions of seconds off."""
    found = datetime.fromisoformat(str(moment)).replace(microsecond=0, tzinfo=ZoneInfo(site_zone))
    return found.astimezone(ZoneInfo(reader_zone)).replace(tzinfo=None)


def _all_day(first: date, after: date) -> list[date]:
    """The days from the first one up to ``after``, which is not drawn itself; one day at least."""
    number = max((after - first).days, 1)
    return [first + n * _DAY for n in range(number)]


def _timed(start: datetime, end: datetime, next_day_at: time, until: timedelta) -> list[date]:
    if end <= start:
        end = start + until
    last = end.date()
    if last > start.date() and end.time() <= next_day_at:
        last -= _DAY
    return [start.date() + n * _DAY for n in range((last - start.date()).days + 1)]
