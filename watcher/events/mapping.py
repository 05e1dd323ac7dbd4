"""A Google event in ERPNext's terms: what is mirrored at all, whose row it is, and what is private.

This is the only place where it is decided whether an event is masked; ``fields`` says what then
stands in each field. It happens before any request is built, so that nothing private can leave by
another way. Facts about Frappe's Event are measured; see docs/how-it-works.md.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from watcher.events import model
from watcher.events.fields import (
    ALWAYS,
    MAX_DATA,
    MAX_SUBJECT,
    OPTIONAL,
    Source,
    Value,
    hashed,
    values_of,
)
from watcher.events.parse import LAST_YEAR, START, Unmappable, check_year
from watcher.events.text import line
from watcher.events.times import (
    ONE_DAY,
    day_string,
    end_of_day_string,
    end_string,
    site_string,
)
from watcher.languages.sentence import sentence

MAPPING_VERSION = 2
"""Part of every content hash: a new version rewrites all rows with the next snapshot."""

PRIVATE = frozenset({"private", "confidential"})
SKIPPED_TYPES = frozenset({"workingLocation", "birthday"})
LAST_MOMENT = f"{LAST_YEAR}-12-31 23:59:59"

SHORTENED = "~"
"""Stands before the hash of an id that a Data field does not take; no id of Google's has it."""

_TASK = re.compile(r"https://tasks\.google\.com/task/", re.IGNORECASE)
_UNUSUAL = re.compile(r"[^\w.@:+#-]")


def sync_key(account: str, calendar_id: str, event_id: str) -> str:
    """The identity of a mirrored row: 64 lower-case hex characters (the database compares
    without case)."""
    parts = json.dumps([account.lower(), calendar_id, event_id])
    return hashlib.sha256(parts.encode()).hexdigest()


def data_id(value: str) -> str:
    """An id as a Data field takes it (140 characters of harmless text). Another keeps its head and
    gets a hash."""
    harmless = line(value, MAX_SUBJECT) == value
    if harmless and len(value) <= MAX_DATA:
        return value
    digest = hashlib.sha256(value.encode(errors="backslashreplace")).hexdigest()
    head = value[:100] if harmless else _UNUSUAL.sub("", value[:100])
    return f"{head}{SHORTENED}{digest[:32]}"


def to_erpnext(event: model.GoogleEvent, rules: model.MappingRules) -> model.MappedEvent:
    """Map one live event. Raises ``Unmappable`` when it has no usable start."""
    reason = _skip_reason(event, rules)
    if reason:
        return model.Skipped(
            key=sync_key(rules.account, rules.calendar_id, event.id),
            event_id=event.id,
            reason=reason,
            private=event.visibility in PRIVATE,
            recurring_event_id=event.recurring_event_id and data_id(event.recurring_event_id),
        )
    source = _source(event, rules)
    values, identity = values_of(source), _identity(source)
    fields: dict[str, Any] = {name: values[name] for name in ALWAYS}
    return model.ErpEvent(
        **identity,
        **fields,
        extras={name: str(values[name]) for name in OPTIONAL if name in values},
        content_hash=_hash(identity, values),
        masked=source.masked,
        updated=event.updated,
    )


def _source(event: model.GoogleEvent, rules: model.MappingRules) -> Source:
    starts_on, ends_on, all_day = _times(event, rules)
    is_private = event.visibility in PRIVATE
    masked = is_private and rules.private_events == "busy"
    return Source(
        event=event,
        rules=rules,
        starts_on=starts_on,
        ends_on=ends_on,
        all_day=all_day,
        event_type="Private" if is_private and not masked else rules.default_event_type,
        masked=masked,
    )


def _identity(source: Source) -> dict[str, Any]:
    """Whose row it is and who may read it, by the attributes of ``ErpEvent``."""
    event, rules = source.event, source.rules
    return {
        "key": sync_key(rules.account, rules.calendar_id, event.id),
        "event_id": data_id(event.id),
        "recurring_event_id": event.recurring_event_id and data_id(event.recurring_event_id),
        "calendar_id": data_id(rules.calendar_id),
        "account": data_id(rules.account),
        "erpnext_user": rules.erpnext_user,
        "share_with": rules.erpnext_user if source.event_type == "Private" else None,
    }


def _skip_reason(event: model.GoogleEvent, rules: model.MappingRules) -> str:
    if event.event_type in SKIPPED_TYPES:
        return "event_type"
    if event.event_type == "focusTime" and _TASK.search(event.description or ""):
        # What Google makes of a task with a time. Nothing but this link tells it from focus time.
        return "google_task"
    if event.own_response == "declined" and rules.declined_events == "skip":
        return "declined"
    if event.visibility in PRIVATE and rules.private_events == "skip":
        return "private"
    return ""


# --- times --------------------------------------------------------------------------------------


def _times(event: model.GoogleEvent, rules: model.MappingRules) -> tuple[str, str, bool]:
    start = event.start
    if start is None:
        raise Unmappable(sentence("it has no start"))
    end = _end(start, event.end)
    if start.day is not None and end.day is not None:
        # Google's end is exclusive, ERPNext's is the last day.
        last = end.day - ONE_DAY
        several = last > start.day
        ends_on = day_string(last) if several else end_of_day_string(start.day)
        return day_string(start.day), ends_on, True
    if start.instant is None or end.instant is None:
        raise Unmappable(sentence("its start and end are not of one kind"))
    first = site_string(start.instant, rules.site_zone)
    check_year(int(first[:4]), START, first)
    ends_on = end_string(first, site_string(end.instant, rules.site_zone))
    return first, min(ends_on, LAST_MOMENT), False


def _end(start: model.EventTime, end: model.EventTime | None) -> model.EventTime:
    if end is None:
        return start
    if (end.day is None) != (start.day is None):
        raise Unmappable(sentence("its start and end are not of one kind"))
    return end


# --- the hash -----------------------------------------------------------------------------------


def _hash(identity: Mapping[str, object], values: Mapping[str, Value]) -> str:
    fields = {**hashed(values), **identity}
    shape = json.dumps([MAPPING_VERSION, fields], sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(shape.encode()).hexdigest()
