"""A person's own calendar export (.ics) as events of the sandbox Google."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import icalendar

from watcher.sandbox.goog.recurrence import start_of
from watcher.sandbox.goog.store import Store


def load(store: Store, calendar_id: str, path: Path) -> tuple[int, int]:
    """Insert the file's events; returns (loaded, left out). VTIMEZONEs that are no IANA zone are
    taken by their offsets. Raises ``ValueError`` when the file is no iCalendar."""
    source = icalendar.Calendar.from_ical(path.read_bytes())
    events = list(source.walk("VEVENT"))
    plain = [e for e in events if "RECURRENCE-ID" not in e]
    moved = [e for e in events if "RECURRENCE-ID" in e]
    ids: dict[str, str] = {}
    left_out = 0
    for event in plain:
        body = _body(event)
        if body is None:
            left_out += 1
            continue
        ids[str(event.get("UID", ""))] = store.insert(calendar_id, body)["id"]
    for event in moved:
        left_out += not _exception(store, calendar_id, ids.get(str(event.get("UID", ""))), event)
    return len(events) - left_out, left_out


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


def _exception(store: Store, calendar_id: str, master: str | None, event: Any) -> bool:
    original = getattr(event.get("RECURRENCE-ID"), "dt", None)
    if master is None or original is None:
        return False
    calendar = store.calendars[calendar_id]
    wanted = start_of(_time(original, _zone_name(original)), calendar.tz)
    horizon = wanted + timedelta(days=2)
    for item in store.expanded(calendar, horizon):
        if item.get("recurringEventId") != master:
            continue
        if start_of(item["originalStartTime"], calendar.tz) == wanted:
            if str(event.get("STATUS", "")).upper() == "CANCELLED":
                store.delete(calendar_id, item["id"])
            else:
                body = _body(event) or {}
                body.pop("recurrence", None)
                store.patch(calendar_id, item["id"], body)
            return True
    return False
