"""Google's items as the plan takes them: parsed, mapped, and split by what is to be done.

No I/O but a line in the log for a zone that nobody knows.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from watcher.events.mapping import PRIVATE, sync_key, to_erpnext
from watcher.events.model import ErpEvent, GoogleEvent, MappingRules, Skipped, Told, Window
from watcher.events.parse import Unmappable, parse_event
from watcher.events.times import zone_named
from watcher.events.window import in_window
from watcher.ledger.aside import SetAside

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Intake:
    """Google's items in ERPNext's form, split by what is to be done with them."""

    live: list[ErpEvent | Skipped]
    outside: list[ErpEvent]
    gone: list[str]
    refused: list[SetAside]

    @property
    def keys(self) -> set[str]:
        """Of all that is told of, but for what is gone."""
        return {event.key for event in (*self.live, *self.outside)}

    def told(self, rules: MappingRules) -> Told:
        """The same as the plan takes it, with keys for what is gone."""
        return Told(
            live=self.live,
            outside=self.outside,
            gone=sync_keys(rules, self.gone),
            aside=frozenset(refusal.key for refusal in self.refused),
        )


def parse_items(
    items: Iterable[dict[str, Any]], rules: MappingRules, zone: ZoneInfo
) -> tuple[list[GoogleEvent], list[SetAside]]:
    """The events, and what could not be read. ``zone`` is the calendar's."""
    events, refused = [], []
    for item in items:
        try:
            events.append(parse_event(item, zone))
        except Unmappable as error:
            refused.append(_refusal(rules, str(item.get("id", "")), error))
    return events, refused


def _refusal(rules: MappingRules, event_id: str, error: Unmappable) -> SetAside:
    return SetAside(
        key=sync_key(rules.account, rules.calendar_id, event_id),
        event_id=event_id,
        message=error.message,
    )


def map_events(
    events: Iterable[GoogleEvent], rules: MappingRules, window: Window, zone: ZoneInfo
) -> Intake:
    mapped = Intake(live=[], outside=[], gone=[], refused=[])
    for event in events:
        if event.is_cancelled and event.visibility in PRIVATE:
            # Made private and then deleted: what is left of it in ERPNext is masked as well.
            key = sync_key(rules.account, rules.calendar_id, event.id)
            mapped.live.append(
                Skipped(key=key, event_id=event.id, reason="cancelled_in_google", private=True)
            )
            continue
        if event.is_cancelled:
            mapped.gone.append(event.id)
            continue
        try:
            result = to_erpnext(event, rules)
        except Unmappable as error:
            mapped.refused.append(_refusal(rules, event.id, error))
            continue
        if isinstance(result, Skipped) or _inside(event, window, zone):
            mapped.live.append(result)
        else:
            mapped.outside.append(result)
    return mapped


def made_private(
    events: Iterable[GoogleEvent], masters: set[str], expanded: Iterable[GoogleEvent]
) -> list[GoogleEvent]:
    """Private instances of changed series that no expansion holds: one that has aged out of the
    window may be what was made private."""
    listed = {event.id for event in expanded}
    return [
        event
        for event in events
        if event.recurring_event_id in masters
        and event.visibility in PRIVATE
        and event.id not in listed
    ]


def _inside(event: GoogleEvent, window: Window, zone: ZoneInfo) -> bool:
    if event.start is None:
        return True
    return in_window(event.start, event.end or event.start, window, zone)


def sync_keys(rules: MappingRules, event_ids: Iterable[str]) -> list[str]:
    unique = dict.fromkeys(event_ids)
    return [sync_key(rules.account, rules.calendar_id, event_id) for event_id in unique]


@lru_cache(maxsize=1024)
def zone_or_utc(name: str) -> ZoneInfo:
    """The calendar's zone. One that is not in the zone database is taken for UTC and logged, once
    in this process."""
    zone = zone_named(name) if name else None
    if name and not isinstance(zone, ZoneInfo):
        log.warning("unknown time zone of a calendar, taken for UTC: %r", name[:60])
    return zone if isinstance(zone, ZoneInfo) else ZoneInfo("UTC")
