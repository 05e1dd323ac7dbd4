"""Which events are ours to carry: one predicate for what Google sends and what ERPNext holds.

Google's ``timeMin`` bounds the end and ``timeMax`` the start, both exclusive; all-day events are
placed in the calendar's zone (events.list reference). The same rule is applied here to both
sides, since sources disagree whether a sync token keeps its bounds.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from watcher.events import times
from watcher.events.model import EventTime, Row, Window


def make_window(now: datetime, past_days: int, future_days: int) -> Window:
    """The window around ``now`` (aware), in whole seconds: Google ignores fractions of timeMin and
    timeMax, and both sides must agree."""
    whole = now.replace(microsecond=0)
    return Window(start=whole - timedelta(days=past_days), end=whole + timedelta(days=future_days))


REACH = timedelta(hours=12)
"""So much beyond the window's far end is mirrored as well. The end moves with the clock; once half
of it is used up, the next pass reads what has come within reach, so that the window itself is
always full: four calls of Google's a day."""


def reaching(window: Window) -> Window:
    return Window(start=window.start, end=window.end + REACH)


def in_window(start: EventTime, end: EventTime, window: Window, calendar_zone: ZoneInfo) -> bool:
    """Google's rule: the end after the window's start, the start before its end. An end that does
    not come after its start, or too soon, is read as the mapping writes it."""
    if start.day is not None and end.day is not None:
        end = EventTime(day=max(end.day, times.day_after(start.day)))
    begins, ends = times.bounds(start, end, calendar_zone)
    return max(_soonest_end(begins), ends) > window.start and begins < window.end


def _soonest_end(begins: datetime) -> datetime:
    return begins + times.ONE_MINUTE if begins < times.LATEST - times.ONE_MINUTE else times.LATEST


def row_bounds(row: Row, site_zone: ZoneInfo, calendar_zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Start and exclusive end of a row. Its end may be missing: ERPNext stores one that equals the
    start as nothing, and so did 0.1.0 end single days and events without length."""
    last = row.ends_on or row.starts_on
    if row.all_day:
        first_day, last_day = times.naive(row.starts_on).date(), times.naive(last).date()
        next_day = times.day_after(max(first_day, last_day))
        return times.midnight(first_day, calendar_zone), times.midnight(next_day, calendar_zone)
    begins = times.from_site(row.starts_on, site_zone)
    return begins, max(_soonest_end(begins), times.from_site(last, site_zone))


def row_in_window(row: Row, window: Window, site_zone: ZoneInfo, calendar_zone: ZoneInfo) -> bool:
    begins, ends = row_bounds(row, site_zone, calendar_zone)
    return ends > window.start and begins < window.end


def row_is_past(row: Row, window: Window, site_zone: ZoneInfo, calendar_zone: ZoneInfo) -> bool:
    """The row has aged out at the past edge: history, left as it is."""
    return row_bounds(row, site_zone, calendar_zone)[1] <= window.start
