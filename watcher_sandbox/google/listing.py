"""events.list, events.instances and events.get: full listings, windows, deltas, pages."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from watcher_sandbox.google import expand, query
from watcher_sandbox.google.behaviour import Behaviour
from watcher_sandbox.google.clock import Clock
from watcher_sandbox.google.errors import GoogleError, full_sync_required, not_found
from watcher_sandbox.google.model import READERS, Calendar, Instance, Item, Json
from watcher_sandbox.google.query import Args, Query
from watcher_sandbox.google.render import View
from watcher_sandbox.google.store import Store
from watcher_sandbox.google.synctokens import (
    Pages,
    Session,
    SyncPoint,
    SyncTokens,
    bad_token,
    paged,
)
from watcher_sandbox.google.times import parse_bound, rfc3339


class Listing:
    """Reads of events for one viewer. The caller holds the state's lock."""

    def __init__(self, store: Store, clock: Clock, behaviour: Behaviour) -> None:
        self._store = store
        self._clock = clock
        self._behaviour = behaviour
        self._pages = Pages()
        self.sync_tokens = SyncTokens()

    def readable(self, user: str, calendar_id: str) -> tuple[Calendar, str]:
        """(calendar, the user's role); 404 for one that the user cannot read."""
        calendar = self._store.calendar(calendar_id)
        role = calendar.roles.get(user)
        if role not in READERS:
            raise not_found()
        return calendar, role or ""

    # --- the three calls ------------------------------------------------------------------

    def page(self, user: str, calendar_id: str, args: Args) -> Json:
        """One page of events.list."""
        calendar, role = self.readable(user, calendar_id)
        asked = query.read(args)
        self._refuse_old(asked)
        view = self._view(calendar, role, asked)
        single = asked.single_events or role == "freeBusyReader"
        if asked.sync_token is None:
            kept = asked.kept
            session = self._session(calendar, asked, lambda: self._full(view, asked, single))
        else:
            point = self._point(user, calendar, asked)
            kept = point.query
            session = self._session(calendar, asked, lambda: self._delta(view, point, single))
        items, more, seq = paged(self._pages, session, asked.page_token, self._size(asked))
        answer = self._envelope(calendar, view, items)
        if more is not None:
            answer["nextPageToken"] = more
        elif asked.mints_token:
            now = self._clock.now_ms()
            answer["nextSyncToken"] = self.sync_tokens.make(
                SyncPoint(user, calendar.id, seq, kept, now)
            )
        return answer

    def instances(self, user: str, calendar_id: str, event_id: str, args: Args) -> Json:
        """One page of events.instances; 404 for a series that is gone."""
        calendar, role = self.readable(user, calendar_id)
        asked = query.read(args)
        item = calendar.items.get(event_id)
        if item is None or item.cancelled or item.master is not None:
            raise not_found()
        view = self._view(calendar, role, asked)

        def find() -> list[Json]:
            if not item.is_series:
                return []
            found = self._instances(calendar, item, asked)
            if asked.original_start is not None:
                wanted = parse_bound("originalStart", asked.original_start)
                found = (each for each in found if _original(each, calendar) == wanted)
            return [view.instance(each) for each in found]

        session = self._session(calendar, asked, find, event_id)
        items, more, _ = paged(self._pages, session, asked.page_token, self._size(asked))
        answer = self._envelope(calendar, view, items)
        if more is not None:
            answer["nextPageToken"] = more
        return answer

    def get(self, user: str, calendar_id: str, event_id: str, args: Args) -> Json:
        """One event, series or instance; a deleted one comes with status cancelled."""
        calendar, role = self.readable(user, calendar_id)
        view = self._view(calendar, role, query.read(args))
        item = calendar.items.get(event_id)
        if item is not None and (
            item.master is None or item.suffix not in self._live(calendar, item)
        ):
            return view.item(item)
        return view.instance(self._store.instance(calendar, event_id))

    def truth(self, calendar_id: str, low: datetime, high: datetime) -> list[Json]:
        """Every live event and instance in the window, as the owner sees them; for checkers."""
        calendar = self._store.calendar(calendar_id)
        asked = Query(single_events=True, time_min=low, time_max=high)
        return self._full(self._view(calendar, "owner", asked), asked, True)

    # --- what a request wants -------------------------------------------------------------

    def _full(self, view: View, asked: Query, single: bool) -> list[Json]:
        calendar = view.calendar
        found: list[tuple[Any, Json]] = []
        for item in list(calendar.items.values()):
            if asked.updated_min is not None and item.updated < asked.updated_min:
                continue
            found += [
                (self._order_key(calendar, asked, source), shown)
                for source, shown in self._expanded(view, item, asked, single)
                if _matches(source, asked)
            ]
        if asked.order_by is not None:
            found.sort(key=lambda pair: pair[0])
        return [shown for _, shown in found]

    def _expanded(
        self, view: View, item: Item, asked: Query, single: bool
    ) -> Iterator[tuple[Item | Instance, Json]]:
        """What one kept item contributes to a full listing."""
        calendar = view.calendar
        deleted = asked.show_deleted or asked.updated_min is not None
        if item.master is not None and item.suffix in self._live(calendar, item):
            if single:
                return  # comes with its series
            exception = self._store.instance(calendar, item.id)
            if self._inside(calendar, exception.data, asked):
                yield exception, view.instance(exception)  # cancelled ones too
        elif item.cancelled:
            wanted = deleted and not (single and item.is_series)
            if wanted and self._inside(calendar, item.data, asked):
                yield item, view.item(item)
        elif item.is_series and single:
            for each in self._instances(calendar, item, asked, deleted):
                yield each, view.instance(each)
        elif item.raw or self._item_inside(calendar, item, asked):
            yield item, view.item(item)

    def _delta(self, view: View, point: SyncPoint, single: bool) -> list[Json]:
        """Changes since the token, oldest first, each id once."""
        calendar = view.calendar
        bounds = self._token_bounds(point)
        found: dict[str, Json] = {}
        for item in self._changed(calendar, point.seq):
            for event_id, data, shown in self._news(view, item, single):
                inside = self._inside(calendar, data, bounds)
                found[event_id] = shown if inside else _bare(event_id)
        if single:
            for gone in calendar.vanished.values():
                if gone.seq > point.seq:
                    found[gone.id] = view.vanished(gone)
        types = frozenset(point.query.get("eventTypes", ()))
        return [each for each in found.values() if not types or _of_type(each, types)]

    def _news(self, view: View, item: Item, single: bool) -> Iterator[tuple[str, Json, Json]]:
        """(id, data, what is shown) of a changed item."""
        calendar = view.calendar
        if item.master is not None and item.suffix in self._live(calendar, item):
            found = self._store.instance(calendar, item.id)
            yield item.id, found.data, view.instance(found)
        elif not (single and item.is_series):
            yield item.id, item.data, view.item(item)
        elif not item.cancelled:
            # The whole series, far past any window of the first request.
            for each in expand.instances(calendar, item, None, self._store.horizon()):
                yield each.id, each.data, view.instance(each)

    def _instances(
        self, calendar: Calendar, item: Item, asked: Query, deleted: bool | None = None
    ) -> Iterator[Instance]:
        high = min(asked.time_max or self._store.horizon(), self._farthest())
        deleted = asked.show_deleted if deleted is None else deleted
        for each in expand.instances(calendar, item, asked.time_min, high):
            if deleted or not each.cancelled:
                yield each

    # --- small parts ----------------------------------------------------------------------

    def _session(self, calendar: Calendar, asked: Query, find: Any, about: str = "") -> Session:
        """The answer to be paged; later pages take it from the first one's session."""
        key = f"{calendar.id} {about} {asked.key}"
        items = find() if asked.page_token is None else []
        return Session(key, items, self._store.seq, self._behaviour.empty_first_page)

    def _view(self, calendar: Calendar, role: str, asked: Query) -> View:
        zone_name = asked.time_zone or calendar.time_zone
        return View(calendar, role, zone_name, self._behaviour, asked.max_attendees)

    def _point(self, user: str, calendar: Calendar, asked: Query) -> SyncPoint:
        """The place in the log; 410 when expired, 400 (or 410) when it is not for this query."""
        bad = self._behaviour.bad_token_status
        point = self.sync_tokens.read(asked.sync_token or "", bad)
        if (point.user, point.calendar) != (user, calendar.id):
            raise full_sync_required()  # another user's token
        ttl = self._behaviour.sync_token_ttl
        age = (self._clock.now_ms() - point.issued_ms) / 1000
        if self.sync_tokens.is_expired(point) or (ttl is not None and age > ttl):
            raise full_sync_required()
        if query.pinned(point.query) != query.pinned(asked.kept):
            raise bad_token(bad)
        return point

    def _token_bounds(self, point: SyncPoint) -> Query:
        if not self._behaviour.token_keeps_bounds:
            return Query()
        low, high = (point.query.get(name) for name in ("timeMin", "timeMax"))
        return Query(
            time_min=parse_bound("timeMin", low[0]) if low else None,
            time_max=parse_bound("timeMax", high[0]) if high else None,
        )

    def _refuse_old(self, asked: Query) -> None:
        oldest = self._clock.now() - timedelta(days=self._behaviour.updated_min_days)
        if asked.updated_min is not None and asked.updated_min < oldest:
            message = "The requested minimum modification time lies too far in the past."
            raise GoogleError(410, "updatedMinTooLongAgo", message, location="updatedMin")

    def _size(self, asked: Query) -> int:
        limit = self._behaviour.page_limit
        return asked.max_results if limit is None else max(1, min(limit, asked.max_results))

    def _farthest(self) -> datetime:
        return datetime(9000, 1, 1, tzinfo=UTC)

    def _live(self, calendar: Calendar, item: Item) -> dict[str, str]:
        return calendar.exceptions.get(item.master or "", {})

    def _inside(self, calendar: Calendar, data: Json, asked: Query) -> bool:
        return expand.overlaps(expand.span(data, calendar), asked.time_min, asked.time_max)

    def _item_inside(self, calendar: Calendar, item: Item, asked: Query) -> bool:
        """A series is inside when one of its instances is."""
        if not item.is_series or (asked.time_min is None and asked.time_max is None):
            return self._inside(calendar, item.data, asked)
        return next(self._instances(calendar, item, asked), None) is not None

    def _changed(self, calendar: Calendar, seq: int) -> list[Item]:
        tail = []
        for item in reversed(calendar.items.values()):
            if item.seq <= seq:
                break
            tail.append(item)
        return tail[::-1]

    def _order_key(self, calendar: Calendar, asked: Query, source: Item | Instance) -> Any:
        if asked.order_by == "updated":
            return _item_of(source).updated
        times = expand.span(source.data, calendar)
        return times[0] if times else datetime.min.replace(tzinfo=UTC)

    def _envelope(self, calendar: Calendar, view: View, items: list[Json]) -> Json:
        return {
            "kind": "calendar#events",
            "etag": f'"p{calendar.seq:010d}"',
            "summary": calendar.summary,
            "description": "",
            "updated": rfc3339(calendar.updated or self._clock.now()),
            "timeZone": view.zone_name,
            "accessRole": view.role,
            "defaultReminders": [],
            "items": items,
        }


def _item_of(source: Item | Instance) -> Item:
    return source if isinstance(source, Item) else source.item or source.master


def _original(found: Instance, calendar: Calendar) -> datetime | None:
    times = expand.span({"start": found.data["originalStartTime"]}, calendar)
    return times[0] if times else None


def _bare(event_id: str) -> Json:
    return {"kind": "calendar#event", "id": event_id, "status": "cancelled"}


def _of_type(shown: Json, types: frozenset[str]) -> bool:
    return shown.get("status") == "cancelled" or shown.get("eventType", "default") in types


def _matches(source: Item | Instance, asked: Query) -> bool:
    data = source.data
    if asked.event_types and data.get("eventType", "default") not in asked.event_types:
        return False
    if asked.ical_uid is not None and data.get("iCalUID") != asked.ical_uid:
        return False
    if asked.text is not None and asked.text.lower() not in _searched(data):
        return False
    properties = data.get("extendedProperties", {})
    pairs = (("private", asked.private_properties), ("shared", asked.shared_properties))
    return all(
        f"{name}={properties.get(kind, {}).get(name)}" == wanted
        for kind, constraints in pairs
        for wanted in constraints
        for name in [wanted.partition("=")[0]]
    )


def _searched(data: Json) -> str:
    guests = [
        str(part)
        for guest in data.get("attendees", ())
        for part in (guest.get("email"), guest.get("displayName"))
        if part
    ]
    texts = [str(data.get(name, "")) for name in ("summary", "description", "location")]
    return " ".join([*texts, *guests]).lower()
