"""events.list, events.instances and their tokens."""

from __future__ import annotations

import base64
import copy
import json
from datetime import datetime, timedelta
from typing import Any

from watcher.sandbox.goog.errors import ApiError, bad_request, not_found
from watcher.sandbox.goog.recurrence import Event, expand, start_of
from watcher.sandbox.goog.store import FAR, Calendar, Store, in_bounds

FORBIDDEN = ("iCalUID", "orderBy", "privateExtendedProperty", "q", "sharedExtendedProperty",
             "timeMin", "timeMax", "updatedMin")  # fmt: skip
UNBOUND = ("fields", "pageToken", "syncToken", "quotaUser", "alt", "prettyPrint", "key",
           "timeMin", "timeMax")  # fmt: skip
CANCELLED_FIELDS = ("kind", "etag", "id", "status")
CANCELLED_EXCEPTION = (*CANCELLED_FIELDS, "recurringEventId", "originalStartTime")


class Listing:
    """Reads of one store. ``keep_bounds``: a token keeps the time bounds of its first request."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.keep_bounds = False
        self.page_cap = 2500

    def list_events(self, user: str, calendar_id: str, args: dict[str, str]) -> dict[str, Any]:
        with self.store.lock:
            calendar = self.store.calendar(user, calendar_id)
            query = {k: v for k, v in args.items() if k not in UNBOUND}
            start, end = _moment(args, "timeMin"), _moment(args, "timeMax")
            if start and end and start >= end:
                raise bad_request("timeRangeEmpty", "The specified time range is empty.")
            since, bounds = self._since(user, calendar, args, query)
            if bounds is not None:
                start, end = bounds
            items = self._items(calendar, args, start, end, since)
            answer = self._page(user, calendar, args, query, items, (start, end))
        return _head(calendar) | answer

    def _since(
        self, user: str, calendar: Calendar, args: dict[str, str], query: dict[str, str]
    ) -> tuple[int | None, tuple[datetime | None, datetime | None] | None]:
        if "syncToken" not in args:
            return None, None
        for name in FORBIDDEN:
            if name in args:
                raise bad_request("invalid", f"{name} cannot be used with syncToken")
        if args.get("showDeleted") == "false":
            raise bad_request("invalid", "showDeleted=false cannot be used with syncToken")
        token = _decode(args["syncToken"])
        if token.get("user") != user or token.get("calendar") != calendar.id:
            raise ApiError(410, "fullSyncRequired", "Sync token is no longer valid")
        if token["epoch"] != calendar.token_epoch:
            raise ApiError(410, "fullSyncRequired", "Sync token is no longer valid, a full sync "
                           "is required.")  # fmt: skip
        if token["query"] != query:
            raise bad_request("invalid", "The sync token belongs to another query")
        bounds = None
        if self.keep_bounds:
            low, high = token["bounds"]
            bounds = (low and datetime.fromisoformat(low), high and datetime.fromisoformat(high))
        return int(token["sequence"]), bounds

    def _items(
        self, calendar: Calendar, args: dict[str, str], start: datetime | None,
        end: datetime | None, since: int | None,
    ) -> list[Event]:  # fmt: skip
        single = args.get("singleEvents") == "true"
        deleted = args.get("showDeleted") == "true" or since is not None
        horizon = (end or self.store.now() + FAR) + timedelta(days=1)
        if single:
            items = self._single(calendar, horizon, since)
        else:
            items = [*calendar.events.values(), *calendar.exceptions.values()]
            if since is not None:
                items = [e for e in items if calendar.changed.get(e["id"], 0) > since]
        found = []
        for event in items:
            gone = event["status"] == "cancelled"
            exception = "recurringEventId" in event
            if gone and not deleted and (single or not exception):
                continue
            if not gone and not self._in_bounds(calendar, event, start, end):
                continue
            found.append(_shown(event))
        if args.get("q"):
            found = [e for e in found if args["q"].lower() in e.get("summary", "").lower()]
        if args.get("orderBy") == "startTime":
            found.sort(key=lambda e: start_of(e["start"], calendar.tz))
        return found

    def _single(self, calendar: Calendar, horizon: datetime, since: int | None) -> list[Event]:
        items = self.store.expanded(calendar, horizon)
        if since is None:
            return items
        return [
            e
            for e in items
            if max(
                calendar.changed.get(e["id"], 0),
                calendar.changed.get(e.get("recurringEventId", ""), 0),
            )
            > since
        ]

    def _in_bounds(
        self, calendar: Calendar, event: Event, start: datetime | None, end: datetime | None
    ) -> bool:
        if not event.get("recurrence"):
            return in_bounds(event, calendar.tz, start, end)
        if start is None and end is None:
            return True
        until = (end or self.store.now() + FAR) + timedelta(days=1)
        return any(
            in_bounds(i, calendar.tz, start, end) for i in expand(event, {}, calendar.tz, until)
        )

    def _page(
        self, user: str, calendar: Calendar, args: dict[str, str], query: dict[str, str],
        items: list[Event], bounds: tuple[datetime | None, datetime | None],
    ) -> dict[str, Any]:  # fmt: skip
        size = min(int(args.get("maxResults", 250)), self.page_cap, 2500)
        page = _decode(args["pageToken"]) if "pageToken" in args else {}
        at = int(page.get("at", 0))
        sequence = int(page.get("sequence", calendar.sequence))
        answer: dict[str, Any] = {"items": items[at : at + size]}
        if at + size < len(items):
            answer["nextPageToken"] = _encode({"at": at + size, "sequence": sequence})
        elif "orderBy" not in args and "q" not in args:
            answer["nextSyncToken"] = _encode(
                {
                    "user": user, "calendar": calendar.id, "epoch": calendar.token_epoch,
                    "sequence": sequence, "query": query,
                    "bounds": [b and b.isoformat() for b in bounds],
                }
            )  # fmt: skip
        return answer

    def instances(
        self, user: str, calendar_id: str, event_id: str, args: dict[str, str]
    ) -> dict[str, Any]:
        with self.store.lock:
            calendar = self.store.calendar(user, calendar_id)
            master = calendar.events.get(event_id)
            if master is None or master["status"] == "cancelled":
                raise not_found()
            start, end = _moment(args, "timeMin"), _moment(args, "timeMax")
            mine = {
                k: e for k, e in calendar.exceptions.items() if e["recurringEventId"] == event_id
            }
            until = (end or self.store.now() + FAR) + timedelta(days=1)
            found = expand(master, mine, calendar.tz, until) if master.get("recurrence") else []
            items = [
                _shown(e)
                for e in found
                if (e["status"] != "cancelled" or args.get("showDeleted") == "true")
                and in_bounds(e, calendar.tz, start, end)
            ]
            size = min(int(args.get("maxResults", 250)), self.page_cap, 2500)
            at = int(_decode(args["pageToken"])["at"]) if "pageToken" in args else 0
            answer = _head(calendar) | {"items": items[at : at + size]}
            if at + size < len(items):
                answer["nextPageToken"] = _encode({"at": at + size})
            return answer

    def get(self, user: str, calendar_id: str, event_id: str) -> Event:
        with self.store.lock:
            calendar = self.store.calendar(user, calendar_id)
            event = calendar.events.get(event_id) or calendar.exceptions.get(event_id)
            if event is None:
                raise not_found()
            return copy.deepcopy(event)


def _head(calendar: Calendar) -> dict[str, Any]:
    return {
        "kind": "calendar#events", "summary": calendar.summary or calendar.id,
        "timeZone": calendar.zone, "accessRole": "owner",
    }  # fmt: skip


def _shown(event: Event) -> Event:
    """A tombstone keeps only what Google guarantees."""
    if event["status"] != "cancelled":
        return copy.deepcopy(event)
    keep = CANCELLED_EXCEPTION if "recurringEventId" in event else CANCELLED_FIELDS
    return {k: copy.deepcopy(event[k]) for k in keep if k in event}


def _moment(args: dict[str, str], name: str) -> datetime | None:
    if name not in args:
        return None
    try:
        moment = datetime.fromisoformat(args[name])
    except ValueError:
        raise bad_request("badRequest", f"{name} is not a time") from None
    if moment.tzinfo is None:
        raise bad_request("badRequest", f"{name} needs an offset")
    return moment.replace(microsecond=0)


def _encode(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


def _decode(text: str) -> dict[str, Any]:
    try:
        value = json.loads(base64.urlsafe_b64decode(text))
    except ValueError:
        raise bad_request("invalid", "Invalid token value") from None
    return dict(value)


def mask(document: dict[str, Any], fields: str | None) -> dict[str, Any]:
    """Apply a ``fields`` mask: ``a,b,items(c,d(e))``."""
    if not fields:
        return document
    return _apply(document, _parse(fields))


def _parse(text: str) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    stack, name = [tree], ""
    for char in text + ",":
        if char == "(":
            stack[-1][name] = {}
            stack.append(stack[-1][name])
            name = ""
        elif char in ",)":
            if name:
                stack[-1][name] = None
            name = ""
            if char == ")":
                stack.pop()
        else:
            name += char
    return tree


def _apply(value: Any, tree: dict[str, Any] | None) -> Any:
    if tree is None:
        return value
    if isinstance(value, list):
        return [_apply(v, tree) for v in value]
    return {k: _apply(v, tree[k]) for k, v in value.items() if k in tree}
