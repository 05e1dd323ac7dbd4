"""From Google's JSON to ``GoogleEvent``: tolerant of everything but a broken id or time.

https://developers.google.com/workspace/calendar/api/v3/reference/events: of a cancelled event
only the id is sure, and any field may be missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from watcher.errors import WatcherError
from watcher.events.model import EventTime, GoogleEvent

FIRST_YEAR, LAST_YEAR = 1000, 9998
VISIBILITIES = frozenset({"default", "public", "private", "confidential"})


class Unmappable(WatcherError):
    """An event that cannot be expressed in ERPNext; kept aside with this message."""


def parse_event(item: Mapping[str, Any]) -> GoogleEvent:
    """Read one item of ``events.list`` or ``events.instances``.

    Raises ``Unmappable`` when the id is missing, or a live event's start or end is malformed.
    """
    event_id = item.get("id")
    if not isinstance(event_id, str) or not event_id:
        raise Unmappable("Google sent an event without an id")
    status = _text(item, "status") or "confirmed"
    # A cancelled event needs no times; broken ones must not keep it from being cancelled. Nor does
    # a series: its instances have their own.
    is_master = bool(item.get("recurrence"))
    timed = status != "cancelled" and not is_master
    return GoogleEvent(
        id=event_id,
        status=status,
        summary=_text(item, "summary"),
        description=_text(item, "description"),
        location=_text(item, "location"),
        hangout_link=_text(item, "hangoutLink"),
        visibility=_visibility(item.get("visibility")),
        event_type=_text(item, "eventType") or "default",
        start=_time(item.get("start"), "start") if timed else None,
        end=_time(item.get("end"), "end") if timed else None,
        recurring_event_id=_text(item, "recurringEventId"),
        is_master=is_master,
        own_response=_own_response(item.get("attendees")),
        updated=_stamp(item.get("updated")),
    )


def _text(item: Mapping[str, Any], name: str) -> str | None:
    value = item.get(name)
    return value if isinstance(value, str) and value else None


def _visibility(value: object) -> str:
    """One of Google's four words. A word that we do not know is taken for ``private``."""
    if value is None or value == "":
        return "default"
    return value if isinstance(value, str) and value in VISIBILITIES else "private"


def _time(value: object, name: str) -> EventTime | None:
    if not isinstance(value, Mapping):
        return None
    day, moment = value.get("date"), value.get("dateTime")
    for part in (day, moment):
        if part is not None and not isinstance(part, str):
            raise Unmappable(f"its {name} is not a text: {str(part)[:40]!r}")
    if moment:
        return EventTime(instant=_instant(moment, value.get("timeZone"), name))
    if day:
        return EventTime(day=_day(day, name))
    return None


def _day(text: str, name: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise Unmappable(f"its {name} is not a date: {text[:40]!r}") from None
    _check_year(day.year, name, text)
    return day


def _instant(text: str, zone_name: object, name: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Unmappable(f"its {name} is not a time: {text[:40]!r}") from None
    _check_year(moment.year, name, text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=_zone(zone_name, name))
    return moment.astimezone(UTC)


def _zone(name: object, field: str) -> ZoneInfo:
    try:
        return ZoneInfo(name if isinstance(name, str) and name else "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: "Europe" is a directory
        raise Unmappable(f"its {field} is in an unknown time zone: {str(name)[:60]!r}") from None


def _check_year(year: int, name: str, text: str) -> None:
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise Unmappable(f"its {name} is out of the range a calendar holds: {text[:40]!r}")


def _stamp(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def _own_response(attendees: object) -> str | None:
    if not isinstance(attendees, list):
        return None
    for attendee in attendees:
        if isinstance(attendee, Mapping) and attendee.get("self") is True:
            response = attendee.get("responseStatus")
            return response if isinstance(response, str) else None
    return None
