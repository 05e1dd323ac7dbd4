"""Times of both sides. ERPNext holds naive strings in the site's zone; Google holds instants.

Conversion goes by instant, never by wall time, so that the hour that a clock change repeats or
skips comes out right.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from watcher.events.model import EventTime

FORMAT = "%Y-%m-%d %H:%M:%S"
ONE_DAY = timedelta(days=1)
EARLIEST = datetime.min.replace(tzinfo=UTC)
LATEST = datetime.max.replace(tzinfo=UTC)


def site_string(instant: datetime, zone: ZoneInfo) -> str:
    """An instant as ERPNext stores it; seconds are kept, fractions dropped."""
    return _format(instant.astimezone(zone).replace(tzinfo=None, microsecond=0))


def day_string(day: date) -> str:
    return _format(datetime.combine(day, time()))


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
