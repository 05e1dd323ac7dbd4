"""Google's date and time notations, to instants and back."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from watcher_sandbox.google.errors import GoogleError, invalid

Json = dict[str, Any]


@lru_cache(maxsize=512)
def zone(name: str) -> ZoneInfo:
    """An IANA zone; 400 ``invalid`` for a name that there is not."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise invalid("timeZone", f"Invalid time zone definition: {name}") from None


def rfc3339(moment: datetime) -> str:
    """UTC with milliseconds, as in ``updated``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + (
        f"{moment.microsecond // 1000:03d}Z"
    )


def day_of_id(day: date) -> str:
    """A day as an instance's id has it; ``strftime`` writes a year below 1000 without zeros."""
    return f"{day.year:04}{day:%m%d}"


def moment_of_id(moment: datetime) -> str:
    """A moment as an instance's id has it, in UTC."""
    utc = moment.astimezone(UTC)
    return f"{day_of_id(utc)}{utc:T%H%M%SZ}"


def parse_bound(name: str, text: str) -> datetime:
    """timeMin, timeMax, updatedMin: RFC 3339, offset mandatory, fractions of seconds ignored."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise GoogleError(400, "badRequest", "Bad Request", location=name) from None
    if moment.tzinfo is None or len(text) < 20:
        raise GoogleError(400, "badRequest", "Bad Request", location=name)
    return moment.astimezone(UTC).replace(microsecond=0)


def is_all_day(value: Json) -> bool:
    return "date" in value


def instant(value: Json, calendar_zone: str) -> datetime:
    """A start or end as aware UTC; a date is midnight in the calendar's zone."""
    try:
        if "date" in value:
            day = date.fromisoformat(value["date"])
            return datetime.combine(day, time(), zone(calendar_zone)).astimezone(UTC)
        moment = datetime.fromisoformat(value["dateTime"])
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=zone(value.get("timeZone") or calendar_zone))
        return moment.astimezone(UTC)
    except (KeyError, TypeError, ValueError, OverflowError):
        raise invalid("start", "Invalid start or end time.") from None


def normal(value: Json, calendar_zone: str) -> Json:
    """A start or end as it is kept: dateTime with offset, in the event's own zone."""
    if value.get("date"):
        return {"date": date.fromisoformat(str(value["date"])).isoformat()}
    name = value.get("timeZone") or calendar_zone
    moment = instant(value, calendar_zone).astimezone(zone(name)).replace(microsecond=0)
    return {"dateTime": moment.isoformat(), "timeZone": name}


def in_zone(value: Json, zone_name: str) -> Json:
    """A kept start or end as an answer shows it: the offset of ``zone_name``, in whole minutes.

    The local mean times of before about 1900 have seconds in their offset, which RFC 3339 cannot
    write: these are left out, and the instant stays.
    """
    if "dateTime" not in value:
        return dict(value)
    moment = datetime.fromisoformat(value["dateTime"]).astimezone(zone(zone_name))
    minutes = (moment.utcoffset() or timedelta()) // timedelta(minutes=1)
    text = moment.astimezone(timezone(timedelta(minutes=minutes))).isoformat()
    return {**value, "dateTime": text.replace("+00:00", "Z")}


def wall(value: Json) -> datetime:
    """A kept start as naive wall time of its own zone (midnight for a date)."""
    if "date" in value:
        return datetime.combine(date.fromisoformat(value["date"]), time())
    moment = datetime.fromisoformat(value["dateTime"])
    if moment.tzinfo is None:
        return moment  # inserted raw
    return moment.astimezone(zone(value.get("timeZone") or "UTC")).replace(tzinfo=None)
