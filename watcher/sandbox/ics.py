"""A person's own calendar export (.ics) as events of the sandbox Google."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import icalendar

from watcher.sandbox.google import GoogleState, instance_id
from watcher.sandbox.google.errors import GoogleError


def load(google: GoogleState, calendar_id: str, path: Path) -> tuple[int, int]:
    """Insert the file's events; returns (loaded, left out). VTIMEZONEs that are no IANA zone are
    taken by their offsets. Raises ``ValueError`` when the file is no iCalendar."""
    source = icalendar.Calendar.from_ical(path.read_bytes())
    events = list(source.walk("VEVENT"))
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
    key = str(getattr(getattr(moment, "tzinfo", None), "key", "") or "")
    return key if key in available_timezones() else "UTC"


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
    original = getattr(event.get("RECURRENCE-ID"), "dt", None)
    if original is None:
        return False
    instance = instance_id(series, _time(original, _zone_name(original)))
    try:
        if str(event.get("STATUS", "")).upper() == "CANCELLED":
            google.delete_event(calendar_id, instance)
        else:
            body = _body(event) or {}
            body.pop("recurrence", None)
            google.patch_event(calendar_id, instance, body)
    except GoogleError:
        return False
    return True
