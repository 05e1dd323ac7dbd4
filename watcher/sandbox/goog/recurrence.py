"""Expansion of recurring events as Google does it: in the event's own zone, by wall time."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from dateutil.rrule import rruleset, rrulestr

Event = dict[str, Any]


def is_all_day(event: Event) -> bool:
    return "date" in event.get("start", {})


def start_of(moment: dict[str, str], zone: ZoneInfo) -> datetime:
    """The instant of a start or end; days begin in the calendar's ``zone``."""
    if "date" in moment:
        return datetime.combine(date.fromisoformat(moment["date"]), time(), zone).astimezone(UTC)
    instant = datetime.fromisoformat(moment["dateTime"])
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=ZoneInfo(moment.get("timeZone", "UTC")))
    return instant.astimezone(UTC)


def _event_zone(master: Event, zone: ZoneInfo) -> ZoneInfo:
    return ZoneInfo(master["start"].get("timeZone") or str(zone))


def occurrences(master: Event, zone: ZoneInfo, until: datetime) -> Iterator[datetime]:
    """Naive local starts of a series (midnights for all-day ones) up to ``until`` (aware)."""
    own: tzinfo
    if is_all_day(master):
        own = UTC
        first = datetime.combine(date.fromisoformat(master["start"]["date"]), time())
    else:
        own = _event_zone(master, zone)
        first = start_of(master["start"], zone).astimezone(own).replace(tzinfo=None)
    rules = rruleset()
    for line in master["recurrence"]:
        name, _, value = line.partition(":")
        if name.startswith("RRULE"):
            rules.rrule(rrulestr(_naive_until(value, own), dtstart=first))
        elif name.startswith("EXDATE"):
            for text in value.split(","):
                rules.exdate(_ical(text, name, own))
        elif name.startswith("RDATE"):
            for text in value.split(","):
                rules.rdate(_ical(text, name, own))
    limit = until.astimezone(own).replace(tzinfo=None)
    for moment in rules:
        if moment > limit:
            return
        yield moment


def _naive_until(rule: str, own: tzinfo) -> str:
    parts = []
    for part in rule.split(";"):
        if part.startswith("UNTIL=") and part.endswith("Z"):
            moment = datetime.strptime(part[6:], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
            parts.append(f"UNTIL={moment.astimezone(own):%Y%m%dT%H%M%S}")
        else:
            parts.append(part)
    return ";".join(parts)


def _ical(text: str, name: str, own: tzinfo) -> datetime:
    if len(text) == 8:
        return datetime.strptime(text, "%Y%m%d")  # noqa: DTZ007 - a day
    if text.endswith("Z"):
        utc = datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        return utc.astimezone(own).replace(tzinfo=None)
    moment = datetime.strptime(text, "%Y%m%dT%H%M%S")  # noqa: DTZ007 - local to the series
    if "TZID=" in name:
        named = ZoneInfo(name.split("TZID=")[1].split(";")[0])
        moment = moment.replace(tzinfo=named).astimezone(own).replace(tzinfo=None)
    return moment


def instance(master: Event, local: datetime, zone: ZoneInfo) -> Event:
    """One unchanged instance of a series, by its naive local start."""
    item = {k: copy.deepcopy(v) for k, v in master.items() if k != "recurrence"}
    item["recurringEventId"] = master["id"]
    if is_all_day(master):
        day = local.date()
        first = date.fromisoformat(master["start"]["date"])
        length = date.fromisoformat(master["end"]["date"]) - first
        item["id"] = f"{master['id']}_{day:%Y%m%d}"
        item["start"] = {"date": day.isoformat()}
        item["end"] = {"date": (day + length).isoformat()}
    else:
        own = _event_zone(master, zone)
        duration = start_of(master["end"], zone) - start_of(master["start"], zone)
        # A wall time that the clock skips moves on, as Google shows it.
        begins = local.replace(tzinfo=own).astimezone(UTC)
        item["id"] = f"{master['id']}_{begins:%Y%m%dT%H%M%SZ}"
        item["start"] = _moment(begins, own)
        item["end"] = _moment(begins + duration, own)
    item["originalStartTime"] = dict(item["start"])
    return item


def _moment(instant: datetime, zone: ZoneInfo) -> dict[str, str]:
    return {"dateTime": instant.astimezone(zone).isoformat(), "timeZone": str(zone)}


def expand(
    master: Event, exceptions: dict[str, Event], zone: ZoneInfo, until: datetime
) -> list[Event]:
    """All instances that begin by ``until``, exceptions in the place of what they replace."""
    found = []
    seen = set()
    for local in occurrences(master, zone, until):
        item = instance(master, local, zone)
        seen.add(item["id"])
        found.append(exceptions.get(item["id"], item))
    return found + [e for key, e in exceptions.items() if key not in seen]


def trim(recurrence: list[str], before: datetime, all_day: bool) -> list[str]:
    """The recurrence of a series that ends before ``before`` (a split)."""
    last = before - timedelta(seconds=1)
    until = f"{last:%Y%m%d}" if all_day else f"{last.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    lines = []
    for line in recurrence:
        if line.startswith("RRULE:"):
            parts = [p for p in line[6:].split(";") if not p.startswith(("UNTIL=", "COUNT="))]
            lines.append("RRULE:" + ";".join([*parts, f"UNTIL={until}"]))
        else:
            lines.append(line)
    return lines
