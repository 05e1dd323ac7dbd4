"""The truth of the sandbox: users, calendars, events, and a change log that sync tokens point
into. One lock for all; callers hold it."""

from __future__ import annotations

import copy
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from watcher.sandbox.goog.errors import bad_request, not_found
from watcher.sandbox.goog.recurrence import Event, expand, is_all_day, start_of, trim

FAR = timedelta(days=365 * 3)
_ALPHABET = "0123456789abcdefghijklmnopqrstuv"


@dataclass
class Calendar:
    """One calendar: masters and singles by id, exceptions by instance id, changes by sequence."""

    id: str
    owner: str
    zone: str
    summary: str = ""
    watchable: bool = True
    events: dict[str, Event] = field(default_factory=dict)
    exceptions: dict[str, Event] = field(default_factory=dict)
    changed: dict[str, int] = field(default_factory=dict)
    sequence: int = 0
    token_epoch: int = 0

    @property
    def tz(self) -> ZoneInfo:
        return ZoneInfo(self.zone)


@dataclass
class User:
    email: str
    name: str
    sub: str
    zone: str


class Store:
    """Users and calendars. ``on_change(calendar_id)`` is called after each change."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.users: dict[str, User] = {}
        self.calendars: dict[str, Calendar] = {}
        self.access: dict[tuple[str, str], bool] = {}
        self.offset = timedelta()
        self.on_change: Callable[[str], None] = lambda _: None

    def now(self) -> datetime:
        return datetime.now(UTC) + self.offset

    # --- people and calendars ---------------------------------------------------------------

    def add_user(self, email: str, name: str = "", zone: str = "UTC") -> User:
        email = email.lower()
        user = User(email, name or email, str(10**20 + len(self.users)), zone)
        self.users[email] = user
        self.add_calendar(email, email, zone, name)
        return user

    def add_calendar(
        self, calendar_id: str, owner: str, zone: str = "UTC", summary: str = ""
    ) -> None:
        self.calendars[calendar_id] = Calendar(calendar_id, owner.lower(), zone, summary)
        self.access[(owner.lower(), calendar_id)] = True

    def calendar(self, user: str, calendar_id: str) -> Calendar:
        """The calendar as ``user`` may see it; ``primary`` is the user's own."""
        name = user if calendar_id == "primary" else calendar_id
        found = self.calendars.get(name) or self.calendars.get(name.lower())
        if found is None or not self.access.get((user, found.id)):
            raise not_found()
        return found

    # --- changes ------------------------------------------------------------------------------

    def _touch(self, calendar: Calendar, event_id: str, event: Event) -> None:
        calendar.sequence += 1
        calendar.changed[event_id] = calendar.sequence
        stamp = self.now()
        event["updated"] = f"{stamp:%Y-%m-%dT%H:%M:%S}.{stamp.microsecond // 1000:03d}Z"
        event["etag"] = f'"{calendar.sequence}{int(stamp.timestamp() * 1000)}"'

    def _changed(self, calendar: Calendar) -> None:
        self.on_change(calendar.id)

    def insert(self, calendar_id: str, body: Event) -> Event:
        with self.lock:
            calendar = self.calendars[calendar_id]
            event = copy.deepcopy(body)
            event.setdefault("id", "".join(secrets.choice(_ALPHABET) for _ in range(26)))
            if event["id"] in calendar.events:
                raise bad_request("duplicate", "The requested identifier already exists.")
            event.setdefault("status", "confirmed")
            event.setdefault("kind", "calendar#event")
            event.setdefault("iCalUID", f"{event['id']}@google.com")
            event.setdefault("created", f"{self.now():%Y-%m-%dT%H:%M:%S}.000Z")
            event.setdefault("eventType", "default")
            who = {"email": calendar.owner, "self": True}
            event.setdefault("organizer", who)
            event.setdefault("creator", who)
            calendar.events[event["id"]] = event
            self._touch(calendar, event["id"], event)
        self._changed(calendar)
        return event

    def patch(self, calendar_id: str, event_id: str, changes: Event) -> Event:
        with self.lock:
            calendar = self.calendars[calendar_id]
            event = calendar.events.get(event_id) or calendar.exceptions.get(event_id)
            if event is None:
                if "_" in event_id:
                    return self.patch_instance(calendar_id, event_id, changes)
                raise not_found()
            if "recurrence" in changes or "start" in changes:
                self._drop_exceptions(calendar, event_id)
            event.update(copy.deepcopy(changes))
            for name in [k for k, v in event.items() if v is None]:
                del event[name]
            self._touch(calendar, event_id, event)
        self._changed(calendar)
        return event

    def _drop_exceptions(self, calendar: Calendar, master_id: str) -> None:
        """Exceptions of a series whose times have changed are gone with their instances."""
        for key, exception in list(calendar.exceptions.items()):
            if exception["recurringEventId"] == master_id:
                del calendar.exceptions[key]
                calendar.changed.pop(key, None)

    def delete(self, calendar_id: str, event_id: str) -> None:
        with self.lock:
            calendar = self.calendars[calendar_id]
            if event_id in calendar.events:
                self._drop_exceptions(calendar, event_id)
                event = calendar.events[event_id]
                event["status"] = "cancelled"
                self._touch(calendar, event_id, event)
            else:
                self.patch_instance(calendar_id, event_id, {"status": "cancelled"})
                return
        self._changed(calendar)

    def patch_instance(self, calendar_id: str, instance_id: str, changes: Event) -> Event:
        """Make or change an exception of a series (an edit, a move, a cancellation)."""
        with self.lock:
            calendar = self.calendars[calendar_id]
            exception = calendar.exceptions.get(instance_id)
            if exception is None:
                exception = copy.deepcopy(self._instance(calendar, instance_id))
                calendar.exceptions[instance_id] = exception
            exception.update(copy.deepcopy(changes))
            self._touch(calendar, instance_id, exception)
        self._changed(calendar)
        return exception

    def _instance(self, calendar: Calendar, instance_id: str) -> Event:
        master = calendar.events.get(instance_id.rpartition("_")[0])
        if master is None or not master.get("recurrence"):
            raise not_found()
        for item in expand(master, {}, calendar.tz, self.now() + FAR):
            if item["id"] == instance_id:
                return item
        raise not_found()

    def split(self, calendar_id: str, instance_id: str, changes: Event) -> Event:
        """ "This and following": the series ends before the instance, a new one begins there."""
        with self.lock:
            calendar = self.calendars[calendar_id]
            master = calendar.events[instance_id.rpartition("_")[0]]
            item = self._instance(calendar, instance_id)
            at = start_of(item["start"], calendar.tz)
            recurrence = [
                ";".join(p for p in line.split(";") if not p.startswith("COUNT="))
                for line in master["recurrence"]
                if line.startswith("RRULE:")
            ]
            fresh = {
                k: copy.deepcopy(v)
                for k, v in master.items()
                if k not in ("id", "iCalUID", "etag", "updated", "created", "recurrence")
            }
            fresh |= {"start": item["start"], "end": item["end"], "recurrence": recurrence}
            fresh |= copy.deepcopy(changes)
            for key, exception in list(calendar.exceptions.items()):
                began = start_of(exception["originalStartTime"], calendar.tz)
                if exception["recurringEventId"] == master["id"] and began >= at:
                    del calendar.exceptions[key]
                    calendar.changed.pop(key, None)
            master["recurrence"] = trim(master["recurrence"], at, is_all_day(master))
            self._touch(calendar, master["id"], master)
        return self.insert(calendar_id, fresh)

    def move(self, calendar_id: str, event_id: str, destination: str) -> None:
        with self.lock:
            body = copy.deepcopy(self.calendars[calendar_id].events[event_id])
        self.delete(calendar_id, event_id)
        existing = self.calendars[destination].events.pop(event_id, None)
        self.insert(destination, body if existing is None else {**body})

    def truth(self, calendar_id: str, start: datetime, end: datetime) -> list[Event]:
        """What the calendar holds in [start, end), expanded, without the cancelled."""
        with self.lock:
            calendar = self.calendars[calendar_id]
            return [
                copy.deepcopy(e)
                for e in self.expanded(calendar, end)
                if e["status"] != "cancelled" and in_bounds(e, calendar.tz, start, end)
            ]

    def expanded(self, calendar: Calendar, until: datetime) -> list[Event]:
        found: list[Event] = []
        for event in calendar.events.values():
            if event.get("recurrence") and event["status"] != "cancelled":
                mine = {
                    k: e
                    for k, e in calendar.exceptions.items()
                    if e["recurringEventId"] == event["id"]
                }
                found += expand(event, mine, calendar.tz, until)
            else:
                found.append(event)
        return found

    def snapshot(self) -> dict[str, Any]:
        with self.lock:
            return {c.id: list(c.events.values()) for c in self.calendars.values()}


def in_bounds(event: Event, zone: ZoneInfo, start: datetime | None, end: datetime | None) -> bool:
    """timeMin bounds the end, timeMax the start, both exclusive."""
    if "start" not in event:
        return True
    begins = start_of(event["start"], zone)
    ends = start_of(event.get("end") or event["start"], zone)
    return (start is None or ends > start) and (end is None or begins < end)
