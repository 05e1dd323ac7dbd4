"""Times of both sides. ERPNext holds naive strings in the site's zone; Google holds instants.

Conversion goes by instant, never by wall time, so that the hour that a clock change repeats or
skips comes out right.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from watcher.events.model import EventTime

FORMAT = "%Y-%m-%d %H:%M:%S"
ONE_DAY = timedelta(days=1)
ONE_MINUTE = timedelta(minutes=1)
"""As long as a timed event is at least: a shorter one is in no week of the Desk's calendar, and
one without length loses its end in ERPNext and is drawn until midnight."""
EARLIEST = datetime.min.replace(tzinfo=UTC)
LATEST = datetime.max.replace(tzinfo=UTC)


def site_string(instant: datetime, zone: ZoneInfo) -> str:
    """An instant as ERPNext stores it; seconds are kept, fractions dropped."""
    return _format(instant.astimezone(zone).replace(tzinfo=None, microsecond=0))


def day_string(day: date) -> str:
    return _format(datetime.combine(day, time()))


def end_of_day_string(day: date) -> str:
    """As the Desk itself ends a single day. At midnight the end would equal the start, and ERPNext
    empties an end that does."""
    return _format(datetime.combine(day, time(23, 59, 59)))


def end_string(first: str, last: str) -> str:
    """The end of a timed event on the site's clock: a minute after its start at least. In the hour
    that a clock change repeats, a later instant can read as an earlier time."""
    earliest = naive(first) + ONE_MINUTE
    return _format(max(earliest, naive(last)))


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """The instant at which ``day`` begins in ``zone`` (UTC)."""
    return _utc(datetime.combine(day, time(), zone))


def day_after(day: date) -> date:
    """The next day; the last day of the calendar has none and stays."""
    return day if day == date.max else day + ONE_DAY


def bounds(start: EventTime, end: EventTime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Start and exclusive end as instants; days begin in the calendar's ``zone``."""
    return _at(start, zone), _at(end, zone)


def _at(moment: EventTime, zone: ZoneInfo) -> datetime:
    if moment.instant is not None:
        return moment.instant
    if moment.day is None:
        raise ValueError("an event time is either a day or an instant")
    return midnight(moment.day, zone)


def from_site(text: str, zone: ZoneInfo) -> datetime:
    """The instant of a naive string of the site (the first one where the clock repeats)."""
    return _utc(naive(text).replace(tzinfo=zone))


_OFFSET_ZONE = re.compile(r"(?:GMT|UTC)([+-])(\d\d?)(?::?([0-5]\d))?", re.IGNORECASE | re.ASCII)


def zone_named(name: str) -> tzinfo | None:
    """The zone of a name of the zone database, or of an offset as some clients write it
    (``GMT+05:30``, ``UTC+5``); None for a name that is neither."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: "Europe" is a directory
        pass
    found = _OFFSET_ZONE.fullmatch(name)
    if found is None or int(found[2]) > 23:
        return None
    offset = timedelta(hours=int(found[2]), minutes=int(found[3] or 0))
    return timezone(offset if found[1] == "+" else -offset)


def naive(text: str) -> datetime:
    return datetime.strptime(text[:19], FORMAT)  # noqa: DTZ007 - naive on purpose, see above


def _utc(moment: datetime) -> datetime:
    """In UTC; a person may have dated a row 9999-12-31, which has no UTC in every zone."""
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return LATEST if moment.year > 1 else EARLIEST


def _format(moment: datetime) -> str:
    return f"{moment.year:04d}{moment:-%m-%d %H:%M:%S}"
