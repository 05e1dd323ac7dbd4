"""Kept events as the resources that one viewer gets."""

from __future__ import annotations

import base64
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from watcher_sandbox.google.behaviour import Behaviour
from watcher_sandbox.google.model import FULL_DETAIL, Calendar, Instance, Item, Json, Vanished
from watcher_sandbox.google.times import in_zone, rfc3339

_MASKED = frozenset(
    {
        "kind",
        "etag",
        "id",
        "status",
        "created",
        "updated",
        "start",
        "end",
        "recurrence",
        "recurringEventId",
        "originalStartTime",
        "visibility",
        "iCalUID",
        "sequence",
        "eventType",
        "transparency",
        "htmlLink",
        "organizer",
        "creator",
        "endTimeUnspecified",
    }
)
_BUSY_ONLY = frozenset(
    {
        "kind",
        "etag",
        "id",
        "status",
        "start",
        "end",
        "recurringEventId",
        "originalStartTime",
        "transparency",
        "updated",
        "visibility",
    }
)


@dataclass(frozen=True, slots=True)
class View:
    """Who looks at a calendar, and how: the response's zone, the cap on guests."""

    calendar: Calendar
    role: str
    zone_name: str
    behaviour: Behaviour
    max_attendees: int | None = None

    def item(self, item: Item) -> Json:
        """A single event or a series; a cancelled one as its tombstone."""
        if item.raw:
            return {**deepcopy(item.data), "id": item.id}
        if item.cancelled and (not self.behaviour.full_tombstones or "start" not in item.data):
            return self.stub(item)
        return self._resource(item, item.id, item.data)

    def instance(self, found: Instance) -> Json:
        """An instance; a cancelled one with the guaranteed fields only."""
        item = found.item or found.master
        if found.cancelled and not self.behaviour.full_tombstones:
            return self.stub(item, found.data["originalStartTime"])
        return self._resource(item, found.id, found.data)

    def stub(self, item: Item, original: Json | None = None) -> Json:
        """``id`` and ``status``; of an exception its series and original start too."""
        found: Json = {
            "kind": "calendar#event",
            "etag": item.etag,
            "id": item.id,
            "status": "cancelled",
        }
        original = original or item.original
        if item.master is not None and original is not None:
            found["recurringEventId"] = item.master
            found["originalStartTime"] = in_zone(original, self.zone_name)
        return found

    def vanished(self, gone: Vanished) -> Json:
        """An expanded instance that has no place in its series any more."""
        found: Json = {"kind": "calendar#event", "id": gone.id, "status": "cancelled"}
        if gone.original is not None:
            found["recurringEventId"] = gone.master
            found["originalStartTime"] = in_zone(gone.original, self.zone_name)
        return found

    def _resource(self, item: Item, event_id: str, data: Json) -> Json:
        owner = {"email": self.calendar.id}
        body: Json = {
            "status": "confirmed",
            "creator": owner,
            "organizer": owner,
            "reminders": {"useDefault": True},
            "eventType": "default",
            **{name: deepcopy(value) for name, value in data.items() if value is not None},
            "kind": "calendar#event",
            "etag": item.etag,
            "id": event_id,
            "htmlLink": self._link(event_id),
            "created": rfc3339(item.created),
            "updated": rfc3339(item.updated),
            "sequence": item.sequence,
        }
        for name in ("start", "end", "originalStartTime"):
            if name in body:
                body[name] = in_zone(body[name], self.zone_name)
        for name in ("creator", "organizer"):
            body[name] = self._marked(body[name])
        if "attendees" in body:
            self._guests(body)
        return self._masked(body)

    def _marked(self, person: Json) -> Json:
        """``self`` refers to the calendar that holds the copy, not to the caller."""
        plain = {k: v for k, v in person.items() if k != "self"}
        return {**plain, "self": True} if plain.get("email") == self.calendar.id else plain

    def _guests(self, body: Json) -> None:
        guests: list[Any] = [self._marked(each) for each in body["attendees"]]
        if self.max_attendees is not None and len(guests) > self.max_attendees:
            own = [each for each in guests if each.get("self")]
            guests = own or guests[: self.max_attendees]
            body["attendeesOmitted"] = True
        body["attendees"] = guests

    def _masked(self, body: Json) -> Json:
        """Roles below writer see a private event's slot without its detail."""
        if self.role == "freeBusyReader":
            return {k: v for k, v in body.items() if k in _BUSY_ONLY}
        if self.role not in FULL_DETAIL and body.get("visibility") in ("private", "confidential"):
            return {k: v for k, v in body.items() if k in _MASKED}
        return body

    def _link(self, event_id: str) -> str:
        eid = base64.urlsafe_b64encode(f"{event_id} {self.calendar.id}".encode()).decode()
        return f"https://www.google.com/calendar/event?eid={eid.rstrip('=')}"
