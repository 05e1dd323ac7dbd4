"""A Google event in ERPNext's terms: pure, and the only place where privacy is decided.

Masking happens here, before any request is built, so that nothing private can leave by another
way. Facts about Frappe's Event are measured; see docs/how-it-works.md.
"""

from __future__ import annotations

import hashlib
import json
import re

from watcher.events.model import (
    BUSY,
    PRIVATE_FREE,
    ErpEvent,
    EventTime,
    GoogleEvent,
    MappingRules,
    Skipped,
)
from watcher.events.parse import LAST_YEAR, Unmappable, check_year
from watcher.events.text import anchor, line, link, paragraph, rich
from watcher.events.times import (
    ONE_DAY,
    day_string,
    end_of_day_string,
    end_string,
    site_string,
)

MAPPING_VERSION = 2
"""Part of every content hash: a new version rewrites all rows with the next snapshot."""

UNTITLED = "(No title)"
PRIVATE = frozenset({"private", "confidential"})
SKIPPED_TYPES = frozenset({"workingLocation", "birthday"})
MAX_SUBJECT = 60_000
"""Bytes; Frappe's Small Text ends between 65,000 and 66,000."""
MAX_DATA = 140
LAST_MOMENT = f"{LAST_YEAR}-12-31 23:59:59"

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
    return f"{head}~{digest[:32]}"


def to_erpnext(event: GoogleEvent, rules: MappingRules) -> ErpEvent | Skipped:
    """Map one live event. Raises ``Unmappable`` when it has no usable start."""
    key = sync_key(rules.account, rules.calendar_id, event.id)
    is_private = event.visibility in PRIVATE
    reason = _skip_reason(event, rules)
    if reason:
        return Skipped(
            key=key,
            event_id=event.id,
            reason=reason,
            private=is_private,
            recurring_event_id=event.recurring_event_id and data_id(event.recurring_event_id),
        )
    starts_on, ends_on, all_day = _times(event, rules)
    masked = is_private and rules.private_events == "busy"
    event_type = "Private" if is_private and not masked else rules.default_event_type
    fields: dict[str, object] = {
        "key": key,
        "event_id": data_id(event.id),
        "recurring_event_id": event.recurring_event_id and data_id(event.recurring_event_id),
        "calendar_id": data_id(rules.calendar_id),
        "account": data_id(rules.account),
        "erpnext_user": rules.erpnext_user,
        "starts_on": starts_on,
        "ends_on": ends_on,
        "all_day": all_day,
        "event_type": event_type,
        "share_with": rules.erpnext_user if event_type == "Private" else None,
        "employee": _where_known(rules, "custom_google_employee", rules.employee or ""),
        **(_mask(event, rules) if masked else _texts(event, rules)),
    }
    digest = _hash(fields)
    return ErpEvent(**fields, content_hash=digest, masked=masked, updated=event.updated)  # type: ignore[arg-type]


def _skip_reason(event: GoogleEvent, rules: MappingRules) -> str:
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


def _times(event: GoogleEvent, rules: MappingRules) -> tuple[str, str, bool]:
    start = event.start
    if start is None:
        raise Unmappable("it has no start")
    end = _end(start, event.end)
    if start.day is not None and end.day is not None:
        # Google's end is exclusive, ERPNext's is the last day.
        last = end.day - ONE_DAY
        several = last > start.day
        ends_on = day_string(last) if several else end_of_day_string(start.day)
        return day_string(start.day), ends_on, True
    if start.instant is None or end.instant is None:
        raise Unmappable("its start and end are not of one kind")
    first = site_string(start.instant, rules.site_zone)
    check_year(int(first[:4]), "start", first)
    ends_on = end_string(first, site_string(end.instant, rules.site_zone))
    return first, min(ends_on, LAST_MOMENT), False


def _end(start: EventTime, end: EventTime | None) -> EventTime:
    if end is None:
        return start
    if (end.day is None) != (start.day is None):
        raise Unmappable("its start and end are not of one kind")
    return end


# --- texts --------------------------------------------------------------------------------------


def _mask(event: GoogleEvent, rules: MappingRules) -> dict[str, str | None]:
    """Empty, and not left out: what stood there before is overwritten."""
    return {
        "subject": PRIVATE_FREE if event.is_free else BUSY,
        "description": "",
        "location": _where_known(rules, "location", ""),
        "meet_link": _where_known(rules, "google_meet_link", ""),
    }


def _texts(event: GoogleEvent, rules: MappingRules) -> dict[str, str | None]:
    place = " ".join(line(event.location or "", MAX_SUBJECT).split())
    meeting = link(event.meeting_link)
    location = _where_known(rules, "location", _short(place))
    parts = [rich(event.description or "")]
    if location is None or len(place) > MAX_DATA:
        parts.append(paragraph("Place", event.location or "", MAX_SUBJECT))
    if meeting:
        parts.append(f"<p>Meeting: {anchor(meeting)}</p>")
    meet_link = meeting if meeting and len(meeting) <= MAX_DATA else ""
    return {
        "subject": line(event.summary or "", MAX_SUBJECT) or UNTITLED,
        "description": "".join(parts),
        "location": location,
        "meet_link": _where_known(rules, "google_meet_link", meet_link),
    }


def _where_known(rules: MappingRules, field: str, value: str) -> str | None:
    """None where the site's Event has no such field."""
    return value if field in rules.site_fields else None


def _short(place: str) -> str:
    return place if len(place) <= MAX_DATA else line(place[: MAX_DATA - 1], MAX_SUBJECT) + "…"


def _hash(fields: dict[str, object]) -> str:
    shape = json.dumps([MAPPING_VERSION, fields], sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(shape.encode()).hexdigest()
