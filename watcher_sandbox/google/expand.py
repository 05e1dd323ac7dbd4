"""Series to instances, exceptions merged in."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from watcher_sandbox.google import recurrence
from watcher_sandbox.google.errors import GoogleError
from watcher_sandbox.google.model import Calendar, Instance, Item, Json
from watcher_sandbox.google.recurrence import Series
from watcher_sandbox.google.times import instant, is_all_day, zone

_SERIES_ONLY = ("recurrence",)
_DAY = timedelta(days=1)
_EARLIEST = datetime(1000, 1, 1, tzinfo=UTC)
_LATEST = datetime(9000, 1, 1, tzinfo=UTC)


def series(item: Item) -> Series:
    return recurrence.series_of(item.data["start"], item.data["recurrence"])


def span(data: Json, calendar: Calendar) -> tuple[datetime, datetime] | None:
    """(start, end) as instants; None when the times cannot be read (raw events)."""
    try:
        start = instant(data["start"], calendar.time_zone)
        return start, instant(data.get("end") or data["start"], calendar.time_zone)
    except (KeyError, GoogleError):
        return None


def overlaps(
    times: tuple[datetime, datetime] | None, low: datetime | None, high: datetime | None
) -> bool:
    """timeMin bounds the end, timeMax the start, both exclusive."""
    if times is None:
        return True
    return (low is None or times[1] > low) and (high is None or times[0] < high)


def instance_at(calendar: Calendar, master: Item, start: datetime) -> Instance:
    """The instance whose original start is ``start`` (wall time of the series)."""
    rules = series(master)
    suffix = recurrence.suffix(rules, start)
    instance_id = f"{master.id}_{suffix}"
    item_id = calendar.exceptions.get(master.id, {}).get(suffix)
    item = calendar.items[item_id] if item_id else None
    data = {k: v for k, v in master.data.items() if k not in _SERIES_ONLY}
    data |= _times(master, rules, start)
    data |= {"recurringEventId": master.id}
    data["originalStartTime"] = data["start"]
    if item is not None:
        data |= item.data
    return Instance(instance_id, master, item, data)


def _times(master: Item, rules: Series, start: datetime) -> Json:
    first, last = master.data["start"], master.data["end"]
    if is_all_day(first):
        days = recurrence.series_of(last, []).first - rules.first
        return {
            "start": {"date": start.date().isoformat()},
            "end": {"date": (start + days).date().isoformat()},
        }
    length = instant(last, "UTC") - instant(first, "UTC")
    begin = recurrence.to_utc(rules, start)
    return {
        "start": _shown(begin, first.get("timeZone") or "UTC"),
        "end": _shown(begin + length, last.get("timeZone") or first.get("timeZone") or "UTC"),
    }


def _shown(moment: datetime, name: str) -> Json:
    return {"dateTime": moment.astimezone(zone(name)).isoformat(), "timeZone": name}


def instances(
    calendar: Calendar, master: Item, low: datetime | None, high: datetime
) -> Iterator[Instance]:
    """Instances (cancelled ones too) that overlap the window by their present times.

    Exceptions count by where they were moved to; a cancelled one by where it would have been.
    """
    rules = series(master)
    seen = set()
    for start in recurrence.starts(rules, *_wall_bounds(rules, master, low, high)):
        found = instance_at(calendar, master, start)
        if found.id not in seen and overlaps(span(found.data, calendar), low, high):
            seen.add(found.id)
            yield found
    for suffix in list(calendar.exceptions.get(master.id, {})):
        moved = by_suffix(calendar, master, suffix)
        if moved is None or moved.id in seen:
            continue
        if overlaps(span(moved.data, calendar), low, high):
            seen.add(moved.id)
            yield moved


def by_suffix(calendar: Calendar, master: Item, suffix: str) -> Instance | None:
    """The instance with this original start, or None when the series has none there."""
    start = recurrence.from_suffix(series(master), suffix)
    return None if start is None else instance_at(calendar, master, start)


def _wall_bounds(
    rules: Series, master: Item, low: datetime | None, high: datetime
) -> tuple[datetime | None, datetime]:
    """Bounds for the rule that are wide enough; each instance is then tested exactly."""
    length = instant(master.data["end"], rules.zone_name) - instant(
        master.data["start"], rules.zone_name
    )
    before = min(high, _LATEST).astimezone(UTC).replace(tzinfo=None) + _DAY
    if low is None or low < _EARLIEST:
        return None, before
    return low.astimezone(UTC).replace(tzinfo=None) - length - _DAY, before
