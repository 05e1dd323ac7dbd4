"""From Google's JSON to ``GoogleEvent``: tolerant of everything but a broken id or start.

https://developers.google.com/workspace/calendar/api/v3/reference/events: of a cancelled event
only the id is sure, and any field may be missing. Times come as other programs wrote them, and
are read where they can mean one thing only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any

from watcher.errors import WatcherError
from watcher.events.model import EventTime, GoogleEvent
from watcher.events.times import zone_named
from watcher.languages.sentence import sentence

FIRST_YEAR, LAST_YEAR = 1000, 9998
"""What ERPNext holds in every time zone."""
NO_END = date(LAST_YEAR + 1, 1, 1)
"""Stands for an end beyond ``LAST_YEAR``: such an event never ends."""
VISIBILITIES = frozenset({"default", "public", "private", "confidential"})

START, END = sentence("start"), sentence("end")
_YEAR = re.compile(r"\s*([+-]?\d{4,})-", re.ASCII)
_TIME = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)[T ](?P<hour>\d\d):(?P<minute>\d\d)"
    r"(?::(?P<second>\d\d)(?:[.,](?P<fraction>\d+))?)? ?(?P<offset>Z|[+-]\d\d(?::?\d\d)?)?",
    re.ASCII,
)


class Unmappable(WatcherError):
    """An event that cannot be expressed in ERPNext; kept aside with this message."""


def parse_event(item: Mapping[str, Any], calendar_zone: tzinfo) -> GoogleEvent:
    """Read one item of ``events.list`` or ``events.instances``.

    A time without offset and zone is in ``calendar_zone``. Raises ``Unmappable`` when the id is
    missing, or a live event's start or end is malformed.
    """
    event_id = item.get("id")
    if not isinstance(event_id, str) or not event_id:
        raise Unmappable(sentence("Google sent an event without an id"))
    status = _text(item, "status") or "confirmed"
    # A cancelled event needs no times; broken ones must not keep it from being cancelled. Nor does
    # a series: its instances have their own.
    is_master = bool(item.get("recurrence"))
    timed = status != "cancelled" and not is_master
    start, end = _times(item, calendar_zone) if timed else (None, None)
    return GoogleEvent(
        id=event_id,
        status=status,
        summary=_text(item, "summary"),
        description=_text(item, "description"),
        location=_text(item, "location"),
        meeting_link=_text(item, "hangoutLink") or _entry_point(item.get("conferenceData")),
        visibility=_visibility(item.get("visibility")),
        is_free=item.get("transparency") == "transparent",
        event_type=_text(item, "eventType") or "default",
        start=start,
        end=end,
        recurring_event_id=_text(item, "recurringEventId"),
        is_master=is_master,
        own_response=_own_response(item.get("attendees")),
        updated=_stamp(item.get("updated")),
    )


def original_start(item: Mapping[str, Any], calendar_zone: tzinfo) -> EventTime | None:
    """When an instance of a series began before it was moved; None for what is no instance."""
    try:
        return _time(item.get("originalStartTime"), "original start", calendar_zone)
    except Unmappable:
        return None


def _text(item: Mapping[str, Any], name: str) -> str | None:
    value = item.get(name)
    return value if isinstance(value, str) and value else None


def _visibility(value: object) -> str:
    """One of Google's four words. A word that we do not know is taken for ``private``."""
    if value is None or value == "":
        return "default"
    return value if isinstance(value, str) and value in VISIBILITIES else "private"


def _entry_point(conference: object) -> str | None:
    """Where to join a meeting of another provider than Google: its video link, else the first
    other link. Its dial-in numbers are no links."""
    points = conference.get("entryPoints") if isinstance(conference, Mapping) else None
    known = points if isinstance(points, list) else []
    for kinds in (("video",), ("more", "other", None)):
        for point in known:
            if not isinstance(point, Mapping):
                continue
            uri = _text(point, "uri")
            if point.get("entryPointType") in kinds and uri and uri.lower().startswith("https://"):
                return uri
    return None


# --- times --------------------------------------------------------------------------------------


def check_year(year: int, name: str, text: str) -> None:
    """Raises ``Unmappable`` for a year that ERPNext does not hold."""
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise Unmappable(
            sentence(
                "its %(name)s is out of the range that ERPNext holds: %(text)s",
                name=name,
                text=repr(text[:40]),
            )
        )


def _times(item: Mapping[str, Any], zone: tzinfo) -> tuple[EventTime | None, EventTime | None]:
    start = _time(item.get("start"), START, zone)
    end = _time(item.get("end"), END, zone)
    if item.get("eventType") == "outOfOffice":
        return _whole_days(start, end, _zone_of(item.get("start")) or zone)
    return start, end


def _whole_days(
    start: EventTime | None, end: EventTime | None, zone: tzinfo
) -> tuple[EventTime | None, EventTime | None]:
    """From midnight to midnight: Google knows no all-day absence, but this is one."""
    if start is None or end is None or start.instant is None or end.instant is None:
        return start, end
    first, last = start.instant.astimezone(zone), end.instant.astimezone(zone)
    if first.time() == last.time() == time() and first < last:
        return EventTime(day=first.date()), EventTime(day=last.date())
    return start, end


def _zone_of(value: object) -> tzinfo | None:
    name = value.get("timeZone") if isinstance(value, Mapping) else None
    return zone_named(name) if isinstance(name, str) and name else None


def _time(value: object, name: str, zone: tzinfo) -> EventTime | None:
    if not isinstance(value, Mapping):
        return None
    day, moment = value.get("date"), value.get("dateTime")
    for part in (day, moment):
        if part is not None and not isinstance(part, str):
            raise Unmappable(
                sentence(
                    "its %(name)s is not a text: %(text)s", name=name, text=repr(str(part)[:40])
                )
            )
    if moment:
        return EventTime(instant=_instant(moment, value, name, zone))
    if day:
        return EventTime(day=_day(day, name))
    return None


def _day(text: str, name: str) -> date:
    if _never_ends(text, name):
        return NO_END
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise Unmappable(
            sentence("its %(name)s is not a date: %(text)s", name=name, text=repr(text[:40]))
        ) from None


def _instant(text: str, value: Mapping[str, Any], name: str, zone: tzinfo) -> datetime:
    if _never_ends(text, name):
        return datetime.combine(NO_END, time(), UTC)
    try:
        moment = _moment(text)
    except ValueError:
        raise Unmappable(
            sentence("its %(name)s is not a time: %(text)s", name=name, text=repr(text[:40]))
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=_zone(value.get("timeZone"), name, zone))
    return moment.astimezone(UTC)


def _never_ends(text: str, name: str) -> bool:
    """Whether it is an end so far away that ERPNext holds no such year. Any other year that it
    does not hold is refused."""
    found = _YEAR.match(text)
    if found is None:
        return False
    year = int(found[1][:12])
    if name == END and year > LAST_YEAR:
        return True
    check_year(year, name, text)
    return False


def _moment(text: str) -> datetime:
    """RFC 3339 as lenient programs write it: a space for the T, small letters, no seconds,
    fractions of any length, the end of a day as 24:00, a leap second."""
    found = _TIME.fullmatch(text.strip().upper())
    if found is None:
        return datetime.fromisoformat(text.strip())
    hour, minute, second = found["hour"], found["minute"], found["second"] or "00"
    more = timedelta()
    if (hour, minute, second) == ("24", "00", "00"):
        hour, more = "00", timedelta(days=1)
    if second == "60":
        second, more = "59", timedelta(seconds=1)
    fraction = (found["fraction"] or "")[:6].ljust(6, "0")
    offset = found["offset"] or ""
    whole = f"{found['day']}T{hour}:{minute}:{second}.{fraction}{offset}"
    return datetime.fromisoformat(whole) + more


def _zone(name: object, field: str, calendar_zone: tzinfo) -> tzinfo:
    if not isinstance(name, str) or not name:
        return calendar_zone
    zone = zone_named(name)
    if zone is None:
        raise Unmappable(
            sentence(
                "its %(name)s is in an unknown time zone: %(zone)s",
                name=field,
                zone=repr(name[:60]),
            )
        )
    return zone


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
