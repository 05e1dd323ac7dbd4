"""A person's own calendar export (.ics) as events of the sandbox Google."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import cache
from operator import eq
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import icalendar

from watcher.sandbox.google import GoogleState, instance_id
from watcher.sandbox.google.errors import GoogleError


def read(path: Path) -> list[Any]:
    """The file's VEVENTs. Raises ``ValueError`` when it is no iCalendar; a line that cannot be
    read spoils its own event alone."""
    try:
        source = icalendar.Calendar.from_ical(path.read_bytes())
    except (ValueError, KeyError, IndexError) as error:
        raise ValueError(f"{path} is no calendar export (.ics)") from error
    return list(source.walk("VEVENT"))


def load(google: GoogleState, calendar_id: str, path: Path) -> tuple[int, int]:
    """Insert the file's events; returns (loaded, left out). VTIMEZONEs that are no IANA zone are
    taken as one that has the same offsets. Raises ``ValueError`` when the file is no iCalendar."""
    events = read(path)
    plain = [e for e in events if "RECURRENCE-ID" not in e]
    moved = [e for e in events if "RECURRENCE-ID" in e]
    ids: dict[str, str] = {}
    loaded = 0
    for event in plain:
        body = _body(event)
        made = body and _insert(google, calendar_id, body)
        if made:
            ids[str(event.get("UID", ""))] = made
            loaded += 1
    for event in moved:
        series = ids.get(str(event.get("UID", "")))
        loaded += series is not None and _exception(google, calendar_id, series, event)
    return loaded, len(events) - loaded


def _insert(google: GoogleState, calendar_id: str, body: dict[str, Any]) -> str | None:
    """None for what Google refuses, such as an end before its start."""
    try:
        return google.insert_event(calendar_id, body)
    except GoogleError:
        return None


def _body(event: Any) -> dict[str, Any] | None:
    """None for an event that is cancelled, has no start, or a line that cannot be read."""
    try:
        return _read_body(event)
    except ValueError:  # icalendar keeps a broken line, and raises when it is looked at
        return None


def _read_body(event: Any) -> dict[str, Any] | None:
    start = getattr(event.get("DTSTART"), "dt", None)
    if start is None:
        return None
    end = getattr(event.get("DTEND"), "dt", None)
    if end is None:
        length = getattr(event.get("DURATION"), "dt", None)
        end = start + (length if length is not None else _default_length(start))
    zone = _zone_name(start)
    body: dict[str, Any] = {"start": _time(start, zone), "end": _time(end, zone)}
    for field, name in (("SUMMARY", "summary"), ("DESCRIPTION", "description"),
                        ("LOCATION", "location")):  # fmt: skip
        if event.get(field):
            body[name] = str(event[field])
    if str(event.get("CLASS", "")).upper() in ("PRIVATE", "CONFIDENTIAL"):
        body["visibility"] = "private"
    if str(event.get("STATUS", "")).upper() == "CANCELLED":
        return None
    lines = list(_recurrence(event))
    if lines:
        body["recurrence"] = lines
    return body


def _default_length(start: date) -> timedelta:
    return timedelta() if isinstance(start, datetime) else timedelta(days=1)


def _zone_name(moment: date) -> str:
    """An IANA zone in which a series of this start runs as its author meant it."""
    zone = getattr(moment, "tzinfo", None)
    key = str(getattr(zone, "key", "") or "")
    if key in available_timezones():
        return key
    if not isinstance(moment, datetime) or zone is None or zone is UTC:
        return "UTC"
    # A VTIMEZONE of the file's own, such as Outlook's: the first zone with the same offsets.
    # A fixed one would move the series by an hour twice a year.
    return _zone_with(tuple(zone.utcoffset(probe) for probe in _probes(moment.year)), moment.year)


def _probes(year: int) -> list[datetime]:
    first = datetime(year, 1, 1, 12, tzinfo=UTC).replace(tzinfo=None)
    return [first + timedelta(days=15 * number) for number in range(24)]


@cache
def _zone_with(offsets: tuple[timedelta | None, ...], year: int) -> str:
    probes = _probes(year)
    for name in sorted(available_timezones()):
        if "/" in name and not name.startswith("Etc/"):
            zone = ZoneInfo(name)
            if all(map(eq, offsets, map(zone.utcoffset, probes))):
                return name
    return "UTC"


def _time(moment: date, zone: str) -> dict[str, str]:
    if not isinstance(moment, datetime):
        return {"date": moment.isoformat()}
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return {"dateTime": aware.astimezone(ZoneInfo(zone)).isoformat(), "timeZone": zone}


def _recurrence(event: Any) -> Iterator[str]:
    for field in ("RRULE", "EXDATE", "RDATE"):
        value = event.get(field)
        if value is None:
            continue
        for part in value if isinstance(value, list) else [value]:
            if field == "RRULE":
                yield f"RRULE:{part.to_ical().decode()}"
                continue
            texts = []
            for item in getattr(part, "dts", []):
                moment = item.dt
                if isinstance(moment, datetime):
                    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
                    texts.append(f"{aware.astimezone(UTC):%Y%m%dT%H%M%SZ}")
                elif isinstance(moment, date):
                    texts.append(f"{moment:%Y%m%d}")
            if texts:
                yield f"{field}:{','.join(texts)}"


def _exception(google: GoogleState, calendar_id: str, series: str, event: Any) -> bool:
    """Change or cancel the instance that RECURRENCE-ID names; False when there is none."""
    try:
        original = event.get("RECURRENCE-ID").dt
    except (ValueError, AttributeError):
        return False
    instance = instance_id(series, _time(original, _zone_name(original)))
    try:
        if str(event.get("STATUS", "")).upper() == "CANCELLED":
            google.delete_event(calendar_id, instance)
        else:
            body = _body(event)
            if body is None:
                return False
            body.pop("recurrence", None)
            google.patch_event(calendar_id, instance, body)
    except GoogleError:
        return False
    return True
