"""The parameters of events.list and events.instances, read and refused as Google does.

https://developers.google.com/workspace/calendar/api/v3/reference/events/list
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from watcher_sandbox.google.errors import GoogleError, invalid
from watcher_sandbox.google.store import EVENT_TYPES
from watcher_sandbox.google.times import parse_bound, zone

Args = Mapping[str, list[str]]

FORBIDDEN_WITH_TOKEN = (
    "iCalUID",
    "orderBy",
    "privateExtendedProperty",
    "q",
    "sharedExtendedProperty",
    "timeMin",
    "timeMax",
    "updatedMin",
)
PINNED = (
    "singleEvents",
    "showDeleted",
    "maxResults",
    "eventTypes",
    "timeZone",
    "maxAttendees",
    "showHiddenInvitations",
)
DEFAULT_RESULTS, MOST_RESULTS = 250, 2500


@dataclass(frozen=True, slots=True)
class Query:
    """One request's parameters. ``kept`` is what a sync token of it remembers."""

    single_events: bool = False
    show_deleted: bool = False
    max_results: int = DEFAULT_RESULTS
    time_min: datetime | None = None
    time_max: datetime | None = None
    updated_min: datetime | None = None
    order_by: str | None = None
    text: str | None = None
    ical_uid: str | None = None
    original_start: str | None = None
    event_types: frozenset[str] = frozenset()
    time_zone: str | None = None
    max_attendees: int | None = None
    private_properties: tuple[str, ...] = ()
    shared_properties: tuple[str, ...] = ()
    page_token: str | None = None
    sync_token: str | None = None
    kept: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """All parameters but the page token: they must be the same for each page of an answer."""
        return json.dumps([self.kept, self.sync_token], sort_keys=True)

    @property
    def mints_token(self) -> bool:
        """No nextSyncToken when orderBy or q was set."""
        return self.order_by is None and self.text is None


def read(args: Args) -> Query:
    """Raises ``GoogleError`` 400 for what Google refuses."""
    sync_token = _one(args, "syncToken")
    if sync_token is not None:
        _refuse_beside_token(args)
    time_min, time_max = _bound(args, "timeMin"), _bound(args, "timeMax")
    if time_min is not None and time_max is not None and time_min >= time_max:
        message = "The specified time range is empty."
        raise GoogleError(400, "timeRangeEmpty", message, location="timeMax")
    single = _flag(args, "singleEvents")
    return Query(
        single_events=single,
        show_deleted=_flag(args, "showDeleted"),
        max_results=min(MOST_RESULTS, _number(args, "maxResults") or DEFAULT_RESULTS),
        time_min=time_min,
        time_max=time_max,
        updated_min=_bound(args, "updatedMin"),
        order_by=_order(args, single),
        text=_one(args, "q"),
        ical_uid=_one(args, "iCalUID"),
        original_start=_one(args, "originalStart"),
        event_types=_types(args),
        time_zone=_zone(args),
        max_attendees=_number(args, "maxAttendees"),
        private_properties=tuple(args.get("privateExtendedProperty", ())),
        shared_properties=tuple(args.get("sharedExtendedProperty", ())),
        page_token=_one(args, "pageToken"),
        sync_token=sync_token,
        kept=_kept(args),
    )


def pinned(kept: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a query that a sync token's later requests must repeat."""
    return {name: value for name, value in kept.items() if name in PINNED}


def _refuse_beside_token(args: Args) -> None:
    for name in FORBIDDEN_WITH_TOKEN:
        if name in args:
            raise invalid(name, f"The parameter {name} cannot be used together with syncToken.")
    if _one(args, "showDeleted") is not None and not _flag(args, "showDeleted"):
        raise invalid("showDeleted", "showDeleted cannot be false together with syncToken.")


def _kept(args: Args) -> dict[str, Any]:
    """Parameters in one notation, defaults left out, so that equal queries are equal."""
    found: dict[str, Any] = {}
    for name in (*PINNED, *FORBIDDEN_WITH_TOKEN):
        values = args.get(name)
        if not values:
            continue
        if name in ("singleEvents", "showDeleted", "showHiddenInvitations"):
            if _flag(args, name):
                found[name] = True
        elif name == "maxResults":
            number = min(MOST_RESULTS, _number(args, name) or DEFAULT_RESULTS)
            found |= {} if number == DEFAULT_RESULTS else {name: number}
        else:
            found[name] = sorted(values)
    return found


def _one(args: Args, name: str) -> str | None:
    values = args.get(name)
    return values[0] if values and values[0] != "" else None


def _flag(args: Args, name: str) -> bool:
    value = (_one(args, name) or "false").lower()
    if value not in ("true", "false", "1", "0"):
        raise invalid(name, f"Invalid boolean value: '{value}'.", "invalidParameter")
    return value in ("true", "1")


def _number(args: Args, name: str) -> int | None:
    value = _one(args, name)
    if value is None:
        return None
    if not value.isascii() or not value.isdigit() or int(value) < 1:
        message = f"Invalid value '{value}'. Values must be within the range: [1, 2147483647]"
        raise invalid(name, message, "invalidParameter")
    return int(value)


def _bound(args: Args, name: str) -> datetime | None:
    value = _one(args, name)
    return None if value is None else parse_bound(name, value)


def _zone(args: Args) -> str | None:
    name = _one(args, "timeZone")
    if name is not None:
        zone(name)
    return name


def _order(args: Args, single: bool) -> str | None:
    value = _one(args, "orderBy")
    if value not in (None, "startTime", "updated"):
        raise invalid("orderBy", f"Invalid string value: '{value}'.", "invalidParameter")
    if value == "startTime" and not single:
        message = "The requested ordering is not available for the particular query."
        raise invalid("orderBy", message, "badRequest")
    return value


def _types(args: Args) -> frozenset[str]:
    found = frozenset(args.get("eventTypes", ()))
    if found - EVENT_TYPES:
        raise invalid("eventTypes", "Invalid event type.", "invalidParameter")
    return found
