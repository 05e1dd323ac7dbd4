"""All calendars and their events: every write goes through here and leaves a numbered change.

Nothing here knows HTTP. The caller holds the state's lock. ``on_change(calendar_id)`` is called
after each change and must not block.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable
from copy import deepcopy
from datetime import datetime, timedelta
from typing import Any

from watcher_sandbox.google import expand, recurrence
from watcher_sandbox.google.behaviour import Behaviour
from watcher_sandbox.google.clock import Clock
from watcher_sandbox.google.errors import GoogleError, invalid, not_found
from watcher_sandbox.google.model import Calendar, Instance, Item, Json, Vanished
from watcher_sandbox.google.times import instant, is_all_day, normal, zone

EVENT_TYPES = frozenset(
    {"birthday", "default", "focusTime", "fromGmail", "outOfOffice", "workingLocation"}
)
_ID = re.compile(r"[a-v0-9]{5,1024}")
_READ_ONLY = ("id", "kind", "etag", "htmlLink", "created", "updated", "sequence")
_ALPHABET = "0123456789abcdefghijklmnopqrstuv"


def new_event_id() -> str:
    """26 characters of Google's base32hex alphabet."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(26))


PRIVATE = ("private", "confidential")


class Store:
    """All calendars. Every public method that writes returns the resource's id."""

    def __init__(
        self, clock: Clock, behaviour: Behaviour, on_change: Callable[[str], None]
    ) -> None:
        self._clock = clock
        self._behaviour = behaviour
        self._on_change = on_change
        self.calendars: dict[str, Calendar] = {}
        self.seq = 0

    # --- calendars ------------------------------------------------------------------------

    def add_calendar(
        self, calendar_id: str, owner: str, time_zone: str, summary: str, primary: bool = False
    ) -> Calendar:
        zone(time_zone)
        calendar = Calendar(calendar_id, summary, time_zone, owner, {owner: "owner"}, primary)
        self.calendars[calendar_id] = calendar
        return calendar

    def rename_calendar(self, old_id: str, new_id: str) -> None:
        """``ValueError`` when another calendar has that id."""
        if new_id in self.calendars:
            raise ValueError(f"there is a calendar {new_id}")
        renamed = self.calendar(old_id)
        if renamed.summary == old_id:
            renamed.summary = new_id
        renamed.id = new_id
        self.calendars[new_id] = self.calendars.pop(old_id)

    def calendar(self, calendar_id: str) -> Calendar:
        """404 ``notFound`` when there is none."""
        found = self.calendars.get(calendar_id)
        if found is None:
            raise not_found()
        return found

    # --- events ---------------------------------------------------------------------------

    def insert(self, calendar_id: str, body: Json, raw: bool = False) -> str:
        """409 ``duplicate`` for a used id, 400 for times or rules that cannot be."""
        calendar = self.calendar(calendar_id)
        event_id = str(body.get("id") or new_event_id())
        if not raw and not _ID.fullmatch(event_id):
            raise invalid("id", "Invalid resource id value.")
        known = calendar.items.get(event_id)
        if known is not None and not known.cancelled:
            message = "The requested identifier already exists."
            raise GoogleError(409, "duplicate", message)
        data = deepcopy(body)
        if not raw:
            data = self._checked(calendar, _writable(data))
            data.setdefault("iCalUID", body.get("iCalUID") or f"{event_id}@google.com")
        now = self._clock.now()
        item = Item(event_id, data, 0, now, now, raw=raw)
        self._put(calendar, item)
        self._on_change(calendar_id)
        return event_id

    def patch(self, calendar_id: str, event_id: str, changes: Json) -> str:
        """Change a single event, a whole series, or one instance. A value None removes."""
        calendar = self.calendar(calendar_id)
        item = calendar.items.get(event_id)
        if item is not None and item.raw:
            item.data |= deepcopy(changes)
            self._put(calendar, item)
        elif item is not None and item.master is None:
            self._patch_item(calendar, item, changes)
        else:
            self._patch_instance(calendar, self.instance(calendar, event_id), changes)
        self._on_change(calendar_id)
        return event_id

    def delete(self, calendar_id: str, event_id: str) -> None:
        """Cancel; 410 ``deleted`` when it is already gone."""
        calendar = self.calendar(calendar_id)
        item = calendar.items.get(event_id)
        if item is None or item.master is not None:
            instance = self.instance(calendar, event_id)
            if instance.cancelled:
                raise GoogleError(410, "deleted", "Resource has been deleted")
            self._patch_instance(calendar, instance, {"status": "cancelled"})
        elif item.cancelled:
            raise GoogleError(410, "deleted", "Resource has been deleted")
        else:
            self._delete_item(calendar, item)
        self._on_change(calendar_id)

    def split(self, calendar_id: str, instance_id: str, changes: Json) -> str:
        """ "This and following": trims the series, begins a new one at the instance.

        ``changes`` apply to the new series, whose id is returned. At the first instance there is
        nothing to trim: the whole series changes and keeps its id.
        """
        calendar = self.calendar(calendar_id)
        instance = self.instance(calendar, instance_id)
        master = instance.master
        rules = expand.series(master)
        start = recurrence.from_suffix(rules, instance_id[len(master.id) + 1 :])
        if start is None:
            raise not_found()
        if start == next(recurrence.starts(rules, None, None)):
            return self.patch(calendar_id, master.id, changes)
        original = expand.instance_at(calendar, master, start).data["originalStartTime"]
        body = {k: v for k, v in master.data.items() if k != "iCalUID"}
        body |= {
            "recurrence": recurrence.following(rules, start),
            "start": original,
            "end": self._end_like(master, original),
        }
        self._patch_item(calendar, master, {"recurrence": recurrence.trimmed(rules, start)})
        new_id = self.insert(calendar_id, body | deepcopy(changes))
        self._on_change(calendar_id)
        return new_id

    def move(self, source_id: str, event_id: str, target_id: str) -> str:
        """Change the organiser: a stub stays behind, the id is the same over there."""
        source, target = self.calendar(source_id), self.calendar(target_id)
        item = source.items.get(event_id)
        if item is None or item.cancelled or item.master is not None:
            raise not_found()
        if item.data.get("eventType", "default") != "default":
            raise GoogleError(400, "eventTypeRestriction", "Only default events can be moved.")
        known = target.items.get(event_id)
        if known is not None and not known.cancelled:
            raise GoogleError(409, "duplicate", "The requested identifier already exists.")
        exceptions = source.exceptions_of(event_id)
        moved = deepcopy(item)
        copies = [deepcopy(each) for each in exceptions.values()]
        self._delete_item(source, item)
        self._put(target, moved)
        for copy in copies:
            self._put(target, copy)
        self._revive(target, moved, self._instance_ids(target, moved))
        self._on_change(source_id)
        self._on_change(target_id)
        return event_id

    def instance(self, calendar: Calendar, instance_id: str) -> Instance:
        """One instance, exception or not, by its id; 404 when its series has none such."""
        master_id, _, suffix = instance_id.rpartition("_")
        master = calendar.items.get(master_id)
        if master is None or master.cancelled or not master.is_series:
            raise not_found()
        found = expand.by_suffix(calendar, master, suffix)
        if found is None:
            raise not_found()
        return found

    def horizon(self) -> datetime:
        """Where the expansion of an endless series ends."""
        return self._clock.now() + timedelta(days=self._behaviour.horizon_days)

    # --- inside ---------------------------------------------------------------------------

    def _patch_item(self, calendar: Calendar, item: Item, changes: Json) -> None:
        before = self._instance_ids(calendar, item)
        old = {k: item.data.get(k) for k in ("start", "recurrence", "status")}
        data = {**item.data, **_writable(deepcopy(changes))}
        data = {k: v for k, v in data.items() if v is not None}
        item.data = self._checked(calendar, data)
        item.sequence += 1
        self._put(calendar, item)
        if old != {k: item.data.get(k) for k in old}:
            self._reconcile_instances(calendar, item, before)
        for exception in calendar.exceptions_of(item.id).values():
            self._put(calendar, exception)  # it has changed in all that it does not override

    def _reconcile_instances(
        self, calendar: Calendar, item: Item, before: dict[str, Json | None]
    ) -> None:
        """After a change of the starts: instances without a place end, returning ones revive."""
        after = self._instance_ids(calendar, item)
        self._forget_exceptions(calendar, item, keep=set(after))
        self._vanish(calendar, item, {k: v for k, v in before.items() if k not in after})
        self._revive(calendar, item, after)

    def _revive(self, calendar: Calendar, item: Item, ids: Iterable[str]) -> None:
        placed = set(calendar.exceptions.get(item.id, {}).values()) | {item.id}
        for instance_id in ids:
            calendar.vanished.pop(instance_id, None)
            if instance_id not in placed:
                calendar.items.pop(instance_id, None)

    def _patch_instance(self, calendar: Calendar, instance: Instance, changes: Json) -> None:
        now = self._clock.now()
        suffix = instance.id[len(instance.master.id) + 1 :]
        item = instance.item or Item(
            instance.id,
            {},
            0,
            now,
            now,
            master=instance.master.id,
            suffix=suffix,
            original=instance.data["originalStartTime"],
        )
        wanted = _writable(deepcopy(changes))
        if "recurrence" in wanted:
            raise invalid("recurrence", "An instance has no recurrence of its own.")
        self._checked(calendar, {**instance.data, **wanted})
        for name in ("start", "end"):
            if name in wanted:
                wanted[name] = normal(_with_zone(wanted[name], instance.data), calendar.time_zone)
        item.data = {**item.data, **wanted}
        item.sequence += 1
        self._put(calendar, item)
        if wanted.get("visibility") in PRIVATE:
            self._hide_series(calendar, instance.master, wanted["visibility"])

    def _hide_series(self, calendar: Calendar, master: Item, visibility: str) -> None:
        """An instance that is made private takes its whole series along (Calendar's release notes
        of 2026-07-07); the reverse is ignored by Google."""
        exceptions = calendar.exceptions.get(master.id, {}).values()
        for item in (master, *(calendar.items[each] for each in list(exceptions))):
            if item.data.get("visibility") not in PRIVATE:
                item.data = {**item.data, "visibility": visibility}
                self._put(calendar, item)

    def _delete_item(self, calendar: Calendar, item: Item) -> None:
        before = self._instance_ids(calendar, item)
        item.data = {**item.data, "status": "cancelled"}
        self._put(calendar, item)
        self._reconcile_instances(calendar, item, before)

    def _put(self, calendar: Calendar, item: Item) -> None:
        """Number the change and move the item to the end of the calendar's log."""
        self.seq += 1
        item.seq = calendar.seq = self.seq
        item.updated = calendar.updated = self._clock.now()
        calendar.items.pop(item.id, None)
        calendar.items[item.id] = item
        if not item.is_series:
            calendar.vanished.pop(item.id, None)
        if item.master is not None:
            calendar.exceptions.setdefault(item.master, {})[item.suffix] = item.id

    def _instance_ids(self, calendar: Calendar, item: Item) -> dict[str, Json | None]:
        """Ids under which a reader of expanded events knows this item, with original starts."""
        if item.raw or item.cancelled:
            return {}
        if not item.is_series:
            return {item.id: None}
        found = expand.instances(calendar, item, None, self.horizon())
        return {each.id: each.data["originalStartTime"] for each in found}

    def _vanish(self, calendar: Calendar, item: Item, ids: dict[str, Json | None]) -> None:
        for instance_id, original in ids.items():
            if instance_id != item.id or item.is_series:
                gone = Vanished(instance_id, item.id, original, item.seq)
                calendar.vanished[instance_id] = gone

    def _forget_exceptions(self, calendar: Calendar, master: Item, keep: set[str]) -> None:
        """Exceptions without a place in the series any more end with it.

        As stubs of no series they stay in the log, unless they were cancelled before or the
        switch says that Google does not mention them.
        """
        mine = calendar.exceptions.get(master.id, {})
        for suffix, item_id in list(mine.items()):
            if item_id in keep:
                continue
            item = calendar.items[item_id]
            del mine[suffix]
            if item.cancelled or not self._behaviour.reset_exceptions_reported:
                del calendar.items[item_id]
                continue
            item.data = {**item.data, "status": "cancelled"}
            self._put(calendar, item)
            del calendar.exceptions[master.id][suffix]
        if not mine:
            calendar.exceptions.pop(master.id, None)

    def _end_like(self, master: Item, start: Json) -> Json:
        first, last = master.data["start"], master.data["end"]
        length = instant(last, "UTC") - instant(first, "UTC")
        moment = instant(start, "UTC") + length
        if is_all_day(first):
            return {"date": moment.date().isoformat()}
        return normal(
            {"dateTime": moment.isoformat(), "timeZone": last.get("timeZone") or "UTC"}, "UTC"
        )

    def _checked(self, calendar: Calendar, data: Json) -> Json:
        """The resource with its times in their kept form; 400 for what Google refuses."""
        if data.get("eventType", "default") not in EVENT_TYPES:
            raise invalid("eventType", "Invalid value.")
        if data.get("status") == "cancelled" and "start" not in data:
            return data
        for name in ("start", "end"):
            if not isinstance(data.get(name), dict):
                raise GoogleError(400, "required", f"Missing {name} time.", location=name)
        times = {n: _kept(_with_zone(data[n], data), calendar) for n in ("start", "end")}
        if is_all_day(times["start"]) != is_all_day(times["end"]):
            raise invalid("end", "Start and end times must either both be date or both dateTime.")
        low, high = (instant(times[n], calendar.time_zone) for n in ("start", "end"))
        if high < low or (high == low and is_all_day(times["start"])):
            raise GoogleError(400, "timeRangeEmpty", "The specified time range is empty.")
        found = {**data, **times}
        if found.get("recurrence"):
            recurrence.check(recurrence.series_of(found["start"], found["recurrence"]))
        return found


def _kept(value: Json, calendar: Calendar) -> Json:
    try:
        return normal(value, calendar.time_zone)
    except (ValueError, KeyError):
        raise invalid("start", "Invalid start or end time.") from None


def _with_zone(value: Json, like: Json) -> Json:
    """A dateTime without zone takes the zone of the event's kept start."""
    if "dateTime" in value and not value.get("timeZone"):
        start: Any = like.get("start")
        known = start.get("timeZone") if isinstance(start, dict) else None
        return {**value, "timeZone": known} if known else value
    return value


def _writable(body: Json) -> Json:
    return {k: v for k, v in body.items() if k not in _READ_ONLY}
